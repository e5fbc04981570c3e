"""Five teachers of five kinds in one recipe: each is shown, read and aligned in its own way."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from onnx import TensorProto, helper
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models as torchvision_models
from torchvision.transforms.v2.functional import resize, to_dtype, to_image

from mtkd_cli.teachers import prepare
from mtkd_cli.training.context import Context
from tests.fixtures.command_line import mtkd

NAMES = ("ant", "bee", "cat", "dog", "emu", "fox", "gnu", "hen", "ibex", "jay")
SIX = ("jay", "cat", "ant", "fox", "hen", "bee")
FOLDERS = {"train": NAMES, "val": NAMES[:4], "test": NAMES[4:8]}
RECIPE = """
task: classification
data: {name: image-folder, path: images, size: 240}
teachers:
  - {name: timm, model: "timm:tf_efficientnet_lite1", checkpoint: timm.safetensors}
  - {name: torchvision, model: "torchvision:shufflenet_v2_x0_5", checkpoint: torchvision.pt}
  - {name: onnx, model: "onnx:model.onnx"}
  - {name: api, model: "predictions:api.csv", outputs: probabilities}
  - {name: six, model: "python:six.py:build", checkpoint: six.safetensors, classes: six.txt}
strategy: mean
student: {model: "convnet:4", input: {size: 32}}
train: {epochs: 1, batch_size: 8, lr: 0.01}
store: {precision: fp32}
"""
SIX_PY = """
from torch import nn
from mtkd_cli.interfaces import InputSpec, Model

def build():
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 6))
    return Model(module, InputSpec(size=16, channels=3, mean=(0.2,) * 3, std=(0.5,) * 3), head="1")
"""

ByHand = Callable[[Tensor, str], Tensor]
"""From pixels ``[3, 240, 240]``, 0 to 1, and the sample's id to an answer in the data's classes."""


def paint(path: Path, number: int) -> None:
    """Write a smooth image of its own."""
    across, down = np.meshgrid(np.linspace(0, 1, 240), np.linspace(0, 1, 240))
    waves = [np.sin(3 * (across * (number % 5 - 2) + down * (c - 1) + number)) for c in range(3)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((127.5 + 120 * np.stack(waves, axis=2)).astype(np.uint8)).save(path)


def settle(module: nn.Module, size: int) -> nn.Module:
    """Fit a network's running statistics, so that random weights answer differently to each image."""
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    with torch.no_grad():
        module.train()(torch.randn(8, 3, size, size))
    return module.eval()


def by_timm() -> ByHand:
    module = settle(timm.create_model("tf_efficientnet_lite1", num_classes=10), 96)
    save_file(module.state_dict(), "timm.safetensors")
    config = timm.data.resolve_data_config(model=module)
    assert config["input_size"] == (3, 240, 240)
    transform = timm.data.create_transform(**config)
    return lambda pixels, _: module(transform(pixels)[None])[0]


def by_torchvision() -> ByHand:
    module = settle(torchvision_models.shufflenet_v2_x0_5(num_classes=10), 96)
    torch.save(module.state_dict(), "torchvision.pt")
    transform = torchvision_models.ShuffleNet_V2_X0_5_Weights.DEFAULT.transforms()
    assert transform.crop_size == [224]
    return lambda pixels, _: module(transform(pixels)[None])[0]


def small(pixels: Tensor, side: int) -> Tensor:
    return resize(pixels, [side, side], antialias=True)


def by_onnx() -> ByHand:
    """Write a linear classifier whose classes are in the reverse order."""
    weight = torch.randn(3 * 32 * 32, 10) / 10
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["logits"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 3, 32, 32))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("n", 10))],
        [helper.make_tensor("w", TensorProto.FLOAT, weight.shape, weight.numpy().tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    helper.set_model_props(model, {"classes": json.dumps(NAMES[::-1])})
    onnx.save(model, "model.onnx")
    return lambda pixels, _: (small(pixels, 32).flatten() @ weight).flip(0)


def by_api(ids: list[str]) -> ByHand:
    said = dict(zip(ids, torch.randn(len(ids), 10).softmax(dim=1), strict=True))
    with Path("api.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", *NAMES], *([key, *row.tolist()] for key, row in said.items())])
    return lambda _, sample: said[sample].log()


def by_six() -> ByHand:
    layer = nn.Linear(3 * 16 * 16, 6)
    save_file({"1.weight": layer.weight.detach(), "1.bias": layer.bias.detach()}, "six.safetensors")
    Path("six.py").write_text(SIX_PY)
    Path("six.txt").write_text("\n".join(SIX))

    def answer(pixels: Tensor, _: str) -> Tensor:
        own = layer(((small(pixels, 16) - 0.2) / 0.5).flatten())
        return torch.stack([own[SIX.index(name)] if name in SIX else torch.tensor(-1e9) for name in NAMES])

    return answer


def test_five_kinds_of_teachers_at_once_answer_as_each_does_by_hand(context: Callable[..., Context]) -> None:
    torch.manual_seed(0)
    ids = [f"{split}/{name}/1.png" for split, names in FOLDERS.items() for name in names]
    for number, sample in enumerate(ids):
        paint(Path("images", sample), number)
    hands = {
        "timm": by_timm(),
        "torchvision": by_torchvision(),
        "onnx": by_onnx(),
        "api": by_api(ids),
        "six": by_six(),
    }
    Path("r.yaml").write_text(RECIPE)
    done = mtkd("distill", "r.yaml", "--no-baseline", "--json")
    assert done.exit_code == 0, done.stderr
    assert "label spaces" in done.stderr
    assert "teacher six does not know 4 of 10 classes: dog, emu, gnu, ibex" in done.stderr
    report = json.loads(done.stdout)
    scores, costs = (report[part]["teachers"] for part in ("scores", "costs"))
    assert costs["onnx"]["parameters"] == 10 * 3 * 32 * 32
    assert scores["six"]["nll"] is None, "it gives labels that it does not know no chance"
    assert (scores["api"]["nll"], costs["api"]["latency_ms"]) == (pytest.approx(2.3, abs=2), None)
    told = {teacher["name"]: teacher["classes"] for teacher in report["teachers"]}
    assert told["six"] == {name: [name] if name in SIX else [] for name in NAMES}
    assert told["onnx"] == {name: [name] for name in NAMES}

    run = context(recipe="r.yaml")
    for teacher in prepare.prepare_teachers(run, 1):
        for split in run.data.splits:
            recorded = teacher.recorded_outputs(split.name, 0)
            for row, sample in enumerate(split.samples.ids):
                with torch.inference_mode(), Image.open(Path("images", sample)) as image:
                    pixels = to_dtype(to_image(image), torch.float32, scale=True)
                    expected = hands[teacher.name](pixels, sample)
                close = pytest.approx(expected.numpy(), abs=1e-3, rel=1e-4)
                assert recorded[row].numpy() == close, (teacher.name, sample)
        spread = recorded[:, [NAMES.index(name) for name in SIX]].std(dim=0).mean()
        assert spread > 0.1, f"{teacher.name} answers the same to every image"
