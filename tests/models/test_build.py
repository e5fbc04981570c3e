"""Loading models: checkpoints, heads, and what a student's file is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import models as torchvision_models

from mtkd_cli.data import dataset
from mtkd_cli.data.dataset import Dataset
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import InputSpec, LossOptions, Model, ModelRequest, Samples, SourceData, TaskData
from mtkd_cli.models import build, preprocess
from mtkd_cli.models import head as model_head
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.resolve import ModelPart
from mtkd_cli.recipe.schema import Data, Student, Teacher
from mtkd_cli.teachers import load as teacher_loading
from mtkd_tasks.classification import Classification
from mtkd_tasks.detection import Detection
from tests.fixtures.command_line import mtkd

CLASSES = ("a", "b", "c")
TASK = Classification(TaskData(CLASSES, np.zeros(1, dtype=np.int64), InputSpec()), LossOptions())


@pytest.fixture(scope="module")
def data() -> Dataset:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 3, 32, 32), dtype=np.uint8)
    samples = Samples(tuple(map(str, range(30))), pixels, np.arange(30) % 3)
    return dataset.load(SourceData(CLASSES, samples), Data(name="none"))


@pytest.fixture
def part(registry: Registry) -> Callable[[str], ModelPart]:
    def of(reference: str) -> ModelPart:
        provider, _, name = reference.partition(":")
        found = registry.find("teachers", provider)
        return ModelPart(found.spec, found.plugin, name)  # type: ignore[arg-type]

    return of


@pytest.fixture
def teacher(part: Callable[[str], ModelPart], data: Dataset) -> Callable[..., Model]:
    def load(reference: str, **keys: Any) -> Model:
        wanted = Teacher.model_validate({"model": reference, "name": "T", **keys})
        return teacher_loading.load_teacher(part(reference), wanted, data, TASK)

    return load


def outputs(model: Model) -> int:
    with torch.inference_mode():
        return int(preprocess.with_preprocessing(model).eval()(torch.zeros(1, 3, 32, 32)).shape[1])


def test_checkpoint_decides_the_size_of_the_head(tmp_path: Path, teacher: Callable[..., Model]) -> None:
    ten = timm.create_model("test_efficientnet", num_classes=10)
    save_file(ten.state_dict(), tmp_path / "ten.safetensors")
    model = teacher("timm:test_efficientnet", checkpoint=str(tmp_path / "ten.safetensors"))
    assert outputs(model) == 10
    assert model.classes is None, "they are no longer ImageNet's"
    assert model.trained
    torch.testing.assert_close(model.module.classifier.weight, ten.classifier.weight)


def test_checkpoint_of_imagenet_keeps_the_names(tmp_path: Path, teacher: Callable[..., Model]) -> None:
    torch.save(torchvision_models.squeezenet1_1().state_dict(), tmp_path / "s.pt")
    model = teacher("torchvision:squeezenet1_1", checkpoint=str(tmp_path / "s.pt"))
    assert model.classes is not None
    assert len(model.classes) == outputs(model) == 1000


@pytest.mark.parametrize(
    "reference",
    [
        "torchvision:squeezenet1_1",  # a convolution
        "timm:test_resnet",
        "timm:test_vit",
        "timm:vit_small_patch16_dinov3",  # it has no head of its own
    ],
)
def test_head_is_made_for_the_data(part: Callable[[str], ModelPart], data: Dataset, reference: str) -> None:
    model = build.build_student(part(reference), Student(model=reference), data, TASK, seed=0)
    assert outputs(model) == 3
    assert isinstance(model.module.get_submodule(model.head), nn.Linear | nn.Conv2d)


def test_same_seed_same_head(part: Callable[[str], ModelPart], data: Dataset) -> None:
    def head(seed: int) -> torch.Tensor:
        student = Student(model="timm:test_resnet")
        weight: torch.Tensor = build.build_student(
            part(student.model), student, data, TASK, seed
        ).module.fc.weight
        return weight

    torch.testing.assert_close(head(0), head(0), rtol=0, atol=0)
    assert not torch.equal(head(0), head(1))


def test_rejects_wrong_architecture(tmp_path: Path, teacher: Callable[..., Model]) -> None:
    file = tmp_path / "other.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), file)
    with pytest.raises(DataError, match=r"do not fit the model: .* missing .*; .* unknown") as caught:
        teacher("timm:test_efficientnet", checkpoint=str(file))
    assert "'T' (timm:test_efficientnet)" in caught.value.where
    assert str(file) in caught.value.where


def test_rejects_wrong_shape(tmp_path: Path, teacher: Callable[..., Model]) -> None:
    tensors = timm.create_model("test_resnet").state_dict()
    first = next(iter(tensors))
    tensors[first] = tensors[first][:, :1].contiguous()
    save_file(tensors, tmp_path / "grey.safetensors")
    with pytest.raises(DataError, match=rf"{first} is \(.*\), the model has"):
        teacher("timm:test_resnet", checkpoint=str(tmp_path / "grey.safetensors"))


def test_rejects_untrained_teacher(teacher: Callable[..., Model]) -> None:
    with pytest.raises(DataError, match="no trained weights"):
        teacher("convnet:4")
    with pytest.raises(DataError, match="no trained weights"):
        teacher("convnet:4", fit="head")
    assert not teacher("convnet:4", fit="all").trained


def test_rejects_missing_checkpoint(teacher: Callable[..., Model]) -> None:
    with pytest.raises(DataError, match=r"no file gone\.pt") as caught:
        teacher("convnet:4", checkpoint="gone.pt")
    assert "'T'" in caught.value.where


def test_rejects_fit_head_without_head(tmp_path: Path, teacher: Callable[..., Model]) -> None:
    (tmp_path / "m.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Conv2d(3, 3, 32), nn.Flatten())\n"
    )
    with pytest.raises(UsageError, match="no last layer"):
        teacher(f"python:{tmp_path / 'm.py'}:build", fit="head", pretrained=True)


@pytest.mark.parametrize("reference", ["convnet:4", "mlp:4", "resnet:8-8"])
def test_input_decides_what_is_built(
    tmp_path: Path, part: Callable[[str], ModelPart], teacher: Callable[..., Model], reference: str
) -> None:
    request = ModelRequest(reference.partition(":")[2], 1, 12, 3, False)
    torch.save(part(reference).create().build(request).module.state_dict(), tmp_path / "grey.pt")
    model = teacher(reference, checkpoint=str(tmp_path / "grey.pt"), input={"size": 12, "channels": 1})
    assert outputs(model) == 3


def test_several_heads_cannot_be_replaced(
    tmp_path: Path, part: Callable[[str], ModelPart], data: Dataset
) -> None:
    several = Model(
        nn.Identity(),
        build.complete_input(data.input, Student(model="x:y").input, data.input),
        "",
        ("a",) * 9,
    )
    with pytest.raises(UsageError, match="9 outputs and no single last layer"):
        model_head.with_outputs(several, 3, "student", 0)


def write_images(root: Path, count: int, size: int) -> None:
    rng = np.random.default_rng(1)
    for label, base in (("dark", 60), ("light", 190)):
        folder = root / label
        folder.mkdir(parents=True)
        for number in range(count):
            pixels = rng.normal(base, 30, (size, size, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")


def distill(recipe: dict[str, Any], *arguments: str) -> dict[str, Any]:
    Path("r.yaml").write_text(json.dumps(recipe))
    done = mtkd("distill", "r.yaml", "--json", "--name", "run", *arguments)
    assert done.exit_code == 0, done.output
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_student_file_loads_into_plain_timm() -> None:
    write_images(Path("images"), 12, 32)
    small = {"size": 32}
    report = distill(
        {
            "task": "classification",
            "data": {"name": "image-folder", "path": "images", "size": 32},
            "teachers": [{"model": "convnet:4", "fit": {"train": "all", "epochs": 2}}],
            "strategy": "mean",
            "student": {"model": "timm:test_efficientnet", "input": small},
            "train": {"epochs": 1, "lr": 1e-3, "batch_size": 8},
        },
        "--no-baseline",
    )
    plain = timm.create_model("test_efficientnet", num_classes=2)
    plain.load_state_dict(load_file("runs/run/student.safetensors"))
    assert json.loads(Path("runs/run/student.json").read_text())["classes"] == ["dark", "light"]
    assert 0 <= report["scores"]["student"]["accuracy"] <= 1


ANSWERS = """
import torch
from torch import nn

class Fixed(nn.Module):
    def forward(self, x):
        return torch.tensor([[0.7, 0.2, 0.1]]).repeat(len(x), 1) * self.factor

def build(factor=1.0):
    model = Fixed()
    model.factor = factor
    return model

def logits():
    return build(20.0)
"""


def test_probabilities_become_log_probabilities(tmp_path: Path, teacher: Callable[..., Model]) -> None:
    (tmp_path / "m.py").write_text(ANSWERS)
    model = teacher(f"python:{tmp_path / 'm.py'}:build", outputs="probabilities", pretrained=True)
    with torch.inference_mode():
        answer = preprocess.with_preprocessing(model)(torch.zeros(2, 3, 32, 32))
    torch.testing.assert_close(answer.softmax(1), torch.tensor([[0.7, 0.2, 0.1]]).repeat(2, 1))


def test_rejects_logits_declared_as_probabilities(tmp_path: Path, teacher: Callable[..., Model]) -> None:
    (tmp_path / "m.py").write_text(ANSWERS)
    model = teacher(f"python:{tmp_path / 'm.py'}:logits", outputs="probabilities", pretrained=True)
    with pytest.raises(DataError, match="from 2 to 14, are not probabilities") as caught:
        preprocess.with_preprocessing(model)(torch.zeros(2, 3, 32, 32))
    assert "outputs: logits" in caught.value.hint


def test_rejects_probabilities_taken_for_logits(tmp_path: Path, teacher: Callable[..., Model]) -> None:
    (tmp_path / "m.py").write_text(ANSWERS)
    views = torch.zeros(2, 3, 32, 32)
    with pytest.raises(DataError, match="look like probabilities") as caught:
        preprocess.with_preprocessing(teacher(f"python:{tmp_path / 'm.py'}:build", pretrained=True))(views)
    assert "outputs: probabilities" in caught.value.hint
    sure = teacher(f"python:{tmp_path / 'm.py'}:build", outputs="logits", pretrained=True)
    assert preprocess.with_preprocessing(sure)(views).shape == (2, 3)


DETECTOR = """
from torch import nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator

class Body(nn.Conv2d):
    out_channels = 32

    def __init__(self):
        super().__init__(3, 32, 3, stride=8, padding=1)

def build(outputs):
    return FCOS(Body(), outputs, anchor_generator=AnchorGenerator(((16,),), ((1.0,),)))
"""


@pytest.mark.parametrize(
    ("outputs_in_file", "keys"),
    [
        (3, {"classes": CLASSES}),
        (4, {"classes": CLASSES}),
        (4, {"classes": CLASSES, "background": "first"}),
        (4, {"classes": ("__background__", *CLASSES)}),
        (4, {}),
    ],
)
def test_detector_checkpoint_may_include_background(
    part: Callable[[str], ModelPart], data: Dataset, outputs_in_file: int, keys: dict[str, Any]
) -> None:
    Path("det.py").write_text(DETECTOR)
    made: dict[str, Any] = {}
    exec(DETECTOR, made)
    trained = made["build"](outputs_in_file)
    save_file(trained.state_dict(), "d.safetensors")
    wanted = Teacher.model_validate(
        {"model": "python:det.py:build", "name": "T", "checkpoint": "d.safetensors", **keys}
    )
    boxes = np.full((1, 1, 5), -1, dtype=np.float32)
    task = Detection(TaskData(CLASSES, boxes, InputSpec()), LossOptions())
    model = teacher_loading.load_teacher(part("python:det.py:build"), wanted, data, task)
    assert model.outputs == outputs_in_file
    for name, tensor in trained.state_dict().items():
        assert torch.equal(model.module.state_dict()[name], tensor)
