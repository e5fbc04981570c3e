"""State dicts are found in everyday checkpoints, and their names are matched to the model's."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtkd_cli.errors import DataError
from mtkd_cli.safe_loading import weights
from mtkd_cli.safe_loading.checkpoint_layout import StateDict, match_names

State = dict[str, Tensor]


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


def prefixed(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def load(content: object, key: str | None = None, trusted: bool = False) -> tuple[nn.Module, StateDict]:
    """Save the content, and return a model with the weights that were found in the file."""
    torch.save(content, "w.ckpt")
    module = network(seed=9)
    found = weights.read_checkpoint("w.ckpt", trusted=trusted, key=key)
    found = match_names(found, module.state_dict().keys(), "teacher 'a'")
    weights.load_into(module, found.tensors, "teacher 'a'")
    return module, found


def same_outputs(first: nn.Module, second: nn.Module) -> bool:
    views = torch.linspace(-1, 1, 48).view(3, 1, 4, 4)
    with torch.inference_mode():
        return torch.equal(first.eval()(views), second.eval()(views))


def lightning(state: State) -> dict[str, Any]:
    """Return the content of a checkpoint as Lightning's ``Trainer.save_checkpoint`` writes it."""
    return {
        "epoch": 3,
        "global_step": 120,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": prefixed("model.", state),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val'}": {"best_model_score": torch.tensor(0.9)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-3}]}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 1e-3, "widths": [8, 16], "args": argparse.Namespace(gpus=1)},
    }


def timm_file(state: State) -> dict[str, Any]:
    """Return the content of a checkpoint as timm's ``CheckpointSaver`` writes it, without an average."""
    return {
        "epoch": 3,
        "arch": "resnet10t",
        "state_dict": state,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
        "version": 2,
        "args": argparse.Namespace(model="resnet10t", lr=0.1, data_dir="data"),
        "amp_scaler": {"scale": 65536.0, "growth_factor": 2.0},
        "metric": 81.5,
    }


LAYOUTS: dict[str, Callable[[State], object]] = {
    "lightning": lightning,
    "lightning, compiled": lambda state: lightning(prefixed("_orig_mod.", state)),
    "timm": timm_file,
    "tutorial": lambda s: {
        "epoch": 1,
        "model_state_dict": s,
        "optimizer_state_dict": {"state": {}},
        "loss": 0.3,
    },
    "net": lambda state: {"net": state, "acc": 91.2, "epoch": 4},
    "model": lambda state: {"model": state, "args": argparse.Namespace(lr=0.1)},
    "ema": lambda state: {"ema": state, "step": 4},
    "nested": lambda state: {"checkpoint": 1, "model": {"state_dict": state}},
    "parallel": lambda state: prefixed("module.", state),
    "compiled": lambda state: prefixed("_orig_mod.", state),
    "compiled and parallel": lambda state: {"model": prefixed("module._orig_mod.", state)},
    "averaged": lambda state: {"n_averaged": torch.tensor(7), **prefixed("module.", state)},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reads_everyday_checkpoints(layout: str) -> None:
    module = network()
    loaded, found = load(LAYOUTS[layout](module.state_dict()))
    assert same_outputs(loaded, module)
    assert all("prefix" in note or "'ema'" in note for note in found.notes)
    assert bool(found.notes) == (layout not in ("timm", "tutorial", "net", "model", "nested"))


def test_the_prefix_is_named() -> None:
    _, found = load(prefixed("net.module.", network().state_dict()))
    assert found.notes == ("removes the prefix 'net.module.' from the names",)


def test_a_model_with_the_prefix_keeps_it() -> None:
    state = {"module.a": torch.ones(2), "module.b": torch.ones(3)}
    assert match_names(StateDict(state), ["module.a", "module.b"], "here") == StateDict(state)


def test_leaves_out_the_parts_of_a_lightning_module_that_are_not_the_model() -> None:
    module = network()
    content = lightning(module.state_dict())
    content["state_dict"]["loss.weight"] = torch.ones(2)
    loaded, found = load(content)
    assert same_outputs(loaded, module)
    assert found.notes[1] == "leaves out tensors of other parts: loss.weight"


def test_two_models_in_one_state_dict_need_a_choice() -> None:
    module, other = network(1), network(2)
    state = prefixed("student.", module.state_dict()) | prefixed("teacher.", other.state_dict())
    with pytest.raises(DataError, match=r"weights 2 times: below student\., teacher\.") as error:
        load({"state_dict": state})
    assert error.value.hint == "choose one with checkpoint_key: state_dict.student"
    assert same_outputs(load({"state_dict": state}, "state_dict.student")[0], module)
    assert same_outputs(load(state, "teacher")[0], other)


@pytest.mark.parametrize(
    ("averaged", "plain"), [("state_dict_ema", "state_dict"), ("model_ema", "model"), ("ema", "net")]
)
def test_prefers_averaged_weights_and_says_so(averaged: str, plain: str) -> None:
    average, last = network(1), network(2)
    content = {plain: last.state_dict(), averaged: average.state_dict(), "args": argparse.Namespace()}
    loaded, found = load(content)
    assert same_outputs(loaded, average)
    assert found.notes == (f"uses '{averaged}' (also in the file: {plain}; checkpoint_key selects one)",)
    loaded, found = load(content, plain)
    assert same_outputs(loaded, last)
    assert found.notes == ()


def test_several_state_dicts_need_a_choice() -> None:
    generator, critic = network(1), network(2)
    content = {"generator": generator.state_dict(), "critic": critic.state_dict(), "step": 3}
    with pytest.raises(DataError, match="several state dicts: generator, critic") as error:
        load(content)
    assert error.value.hint == "choose one with checkpoint_key: generator"
    assert same_outputs(load(content, "critic")[0], critic)
    with pytest.raises(DataError, match="'critics' selects no state dict") as error:
        load(content, "critics")
    assert "critic" in error.value.hint
    with pytest.raises(DataError, match="several state dicts: net, model"):
        load({"net": critic.state_dict(), "model": generator.state_dict()} | content)


def test_usual_keys_are_preferred_to_others() -> None:
    module = network()
    loaded, found = load({"model": module.state_dict(), "criterion": {"weight": torch.ones(2)}})
    assert same_outputs(loaded, module)
    assert found.notes == ("uses 'model' (also in the file: criterion; checkpoint_key selects one)",)


class Malicious:
    """Leaves a marker when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("marker"),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda content: {**content, "args": argparse.Namespace(lr=Malicious())},
        lambda content: {**content, "args": argparse.Namespace(inner=argparse.Namespace(a=[Malicious()]))},
        lambda content: {**content, "hyper_parameters": {"model": Malicious()}},
        lambda content: {**content, "callbacks": {"own": Malicious()}},
        lambda content: {**content, "optimizer": Malicious()},
        lambda content: {**content, "ema": Malicious()},
    ],
    ids=["namespace", "nested namespace", "hyper_parameters", "callback", "optimizer", "ema"],
)
@pytest.mark.parametrize("layout", [lightning, timm_file])
def test_runs_no_code_in_other_parts_of_a_checkpoint(layout: Any, change: Any, zipped: bool) -> None:
    state = network().state_dict()
    torch.save(change(layout(state)), "w.ckpt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match="more than tensors") as error:
        weights.read_checkpoint("w.ckpt")
    assert not Path("marker").exists()
    assert "--trust-pickle w.ckpt" in error.value.hint
    if zipped:
        assert "Path" in error.value.what or "touch" in error.value.what or "getattr" in error.value.what
    weights.read_checkpoint("w.ckpt", trusted=True)
    assert Path("marker").exists()


def test_a_namespace_is_created_without_its_methods() -> None:
    """A file cannot replace the class's behavior: its attributes are plain members of the instance."""
    module = network()
    content = timm_file(module.state_dict())
    content["args"].__dict__["__class__"] = "other"
    content["args"].__dict__["__reduce__"] = "other"
    assert same_outputs(load(content)[0], module)
