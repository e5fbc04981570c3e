"""Every teacher is probed on a few samples before any is fitted."""

from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mtkd_cli.errors import DataError, MtkdError
from mtkd_cli.interfaces import Model
from mtkd_cli.teachers import prepare
from mtkd_cli.training.context import Context
from tests.fixtures.command_line import mtkd
from tests.fixtures.small_runs import Contexts

ODD = """
import torch
from torch import nn
from mtkd_cli.interfaces import InputSpec, Model

class Odd(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x, 4 * torch.randn(len(x), 10, generator=torch.Generator().manual_seed(0)))

def of(answer):
    return lambda: Odd(answer)

nan = of(lambda x, z: z.masked_fill(torch.arange(len(z))[:, None] == 2, torch.nan))
infinite = of(lambda x, z: z * torch.inf)
eleven = of(lambda x, z: torch.cat([z, z[:, :1]], dim=1))
named = lambda: Model(Odd(lambda x, z: z), InputSpec(), classes=("cat", "dog"))
strangers = lambda: Model(Odd(lambda x, z: z[:, :2]), InputSpec(), classes=("cat", "dog"))
nothing = of(lambda x, z: None)
entries = of(lambda x, z: {"logits": z, "features": x})
pair = of(lambda x, z: (z, x))
text = of(lambda x, z: "five")
one = of(lambda x, z: z[:1])
maps = of(lambda x, z: z[:, :, None, None])
probabilities = of(lambda x, z: z.softmax(dim=1))
logits = of(lambda x, z: z)
def refuse(x, z):
    raise RuntimeError("the views are too small")

raises = of(refuse)
colour = lambda: nn.Sequential(nn.Conv2d(3, 10, 8), nn.Flatten())
wide = lambda: nn.Sequential(nn.Flatten(), nn.Linear(999, 10))
last = of(lambda x, z: torch.randn(len(x), 16, 16, 11))
first = of(lambda x, z: torch.randn(len(x), 11, 16, 16))
"""
FITTED = "{model: 'mlp:4', fit: all}"


@pytest.fixture(autouse=True)
def odd() -> None:
    Path("odd.py").write_text(ODD)


def with_odd(name: str, keys: str = "") -> str:
    return f"teachers=[{FITTED}, {{name: bad, model: 'python:odd.py:{name}', pretrained: true{keys}}}]"


def refused(context: Contexts, name: str, keys: str = "", *more: str, views: int | None = 1) -> MtkdError:
    """Return the error of a recipe whose second teacher is invalid; the first was not fitted."""
    with pytest.raises(MtkdError) as caught:
        prepare.prepare_teachers(context(with_odd(name, keys), *more), views)
    assert "\n" not in caught.value.what
    assert "'bad'" in caught.value.what + caught.value.where
    store = Path(os.environ["MTKD_STORE"])
    assert not [*store.glob("fitted/*"), *store.glob("outputs/*")]
    return caught.value


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("nan", "returned NaN or infinity", "mean and std, or set store.on_nan: drop"),
        ("infinite", "returned NaN or infinity", "check its checkpoint"),
        ("eleven", "has 11 outputs, but the data has 10 classes", "classes:, or adapt it with fit: head"),
        ("named", "has 10 outputs but 2 class names", "name every output with classes:"),
        ("strangers", "knows none of the data's 10 classes", "its own are cat, dog; "),
        ("nothing", "the teacher returned None", "return a tensor from its forward method"),
        (
            "entries",
            "gives a dict of logits, features; the task needs a tensor (samples, classes)",
            "one of its entries",
        ),
        ("pair", "gives a tuple of 2; the task needs a tensor (samples, classes)", "one of its entries"),
        ("text", "gives a str; the task needs a tensor (samples, classes)", "made for this task?"),
        ("one", "gives (1, 10) for 4 samples; the task needs one output each", "made for this task?"),
        ("maps", "gives (4, 10, 1, 1); the task needs (samples, classes)", "it outputs maps: pool them"),
        (
            "probabilities",
            "look like probabilities, but would be used as logits",
            "set outputs: probabilities",
        ),
        ("raises", "fails on inputs (4, 1, 8, 8): the views are too small", "its input: size"),
        ("colour", "fails on inputs (4, 1, 8, 8): ", "set input: {channels: 3}"),
        ("wide", "fails on inputs (4, 1, 8, 8): ", "set its input: size and channels"),
    ],
)
def test_rejects_invalid_teacher_before_fitting(context: Contexts, name: str, what: str, hint: str) -> None:
    error = refused(context, name)
    assert what in error.what
    assert hint in error.hint


def test_rejects_logits_declared_as_probabilities(context: Contexts) -> None:
    error = refused(context, "logits", ", outputs: probabilities")
    assert "are not probabilities that sum to 1" in error.what
    assert "set outputs: logits" in error.hint


def test_probes_live_teachers(context: Contexts) -> None:
    refused(context, "nan", "", "views=live", views=None)


def test_rejects_maps_with_classes_last(context: Contexts) -> None:
    def run(name: str) -> Context:
        small = (
            "data.scenes=12",
            "data.test_scenes=10",
            "data.size=16",
            "data.labels=8",
            "data.val=0.5",
            "student=unet:4",
        )
        bad = with_odd(name).replace("mlp:4", "unet:4")
        return context(*small, bad, "fit.epochs=1", recipe="digit-scenes-seg")

    with pytest.raises(DataError) as caught:
        prepare.prepare_teachers(run("last"), 0)
    assert "gives (4, 16, 16, 11), classes last; the task needs (samples, classes" in caught.value.what
    assert "permute(0, 3, 1, 2)" in caught.value.hint
    assert len(prepare.prepare_teachers(run("first"), 0)) == 2


def test_accepts_nan_with_on_nan_drop(context: Contexts) -> None:
    ready = prepare.prepare_teachers(context(with_odd("nan"), "store.on_nan=drop"), 1)
    assert ready[1].recorded_outputs("val", 0)[2].isnan().all()


def test_holds_one_teacher_in_memory(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[weakref.ref[nn.Module]] = []
    load = prepare.load_teacher

    def alone(*arguments: Any) -> Model:
        gc.collect()
        assert not [module for module in loaded if module() is not None]
        model: Model = load(*arguments)
        loaded.append(weakref.ref(model.module))
        return model

    monkeypatch.setattr(prepare, "load_teacher", alone)
    prepare.prepare_teachers(context("fit.epochs=1"), 1)
    assert len(loaded) == 6, "each was asked, then fitted and recorded"
    prepare.prepare_teachers(context("fit.epochs=1"), 1)
    assert len(loaded) == 6


def test_probe_does_not_change_outputs(context: Contexts) -> None:
    """A probe does not consume random numbers of the fit."""
    first = [teacher.recorded_outputs("val", 0) for teacher in prepare.prepare_teachers(context(), 1)]
    one = [
        prepare.prepare_teachers(
            context(f"teachers=[{{model: '{model}', fit: {{train: all, epochs: 2, labels: all}}}}]"), 1
        )[0]
        for model in ("mlp:32", "convnet:8-16", "resnet:8-8")
    ]
    for together, alone in zip(first, one, strict=True):
        assert torch.equal(together, alone.recorded_outputs("val", 0))


def test_command_shows_three_lines() -> None:
    done = mtkd("distill", "digits", with_odd("nothing"))
    assert done.exit_code == 3
    assert "Traceback" not in done.stderr
    assert "the teacher returned None" in done.stderr
    assert "teacher 'bad'" in done.stderr
    planned = mtkd("distill", "digits", with_odd("one"), "--dry-run")
    assert planned.exit_code == 3
    assert "gives (1, 10) for 4 samples" in planned.stderr
