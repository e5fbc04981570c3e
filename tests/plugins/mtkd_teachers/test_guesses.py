"""What the built-in providers recognize in a file or folder."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mtkd_teachers.guess_checkpoint import guess_timm, guess_torchvision
from mtkd_teachers.guess_files import guess_exported, guess_hf, guess_onnx, guess_predictions
from tests.plugins.mtkd_teachers.test_onnx import write

WEIGHTS = {"fc.weight": torch.zeros(7, 4)}


def test_timm_files_name_their_model() -> None:
    torch.save({"arch": "resnet18", "version": 2, "state_dict": WEIGHTS}, "a.pt")
    (found,) = guess_timm(Path("a.pt"), "")
    assert found.settings == {"model": "timm:resnet18", "checkpoint": "a.pt"}
    assert found.outputs == 7
    assert guess_torchvision(Path("a.pt"), "") == []
    save_file(WEIGHTS, "model.safetensors")
    Path("config.json").write_text(json.dumps({"architecture": "mobilenetv3_small_100"}))
    (found,) = guess_timm(Path("model.safetensors"), "")
    assert found.settings["model"] == "timm:mobilenetv3_small_100"


@pytest.mark.parametrize(
    "content",
    [
        {"model": WEIGHTS, "args": argparse.Namespace(model="regnet_y_400mf")},
        {"state_dict": WEIGHTS, "hyper_parameters": {"arch": "regnet_y_400mf"}},
    ],
)
def test_torchvision_files_name_their_model(content: dict[str, object]) -> None:
    torch.save(content, "a.pth")
    (found,) = guess_torchvision(Path("a.pth"), "")
    assert found.settings["model"] == "torchvision:regnet_y_400mf"


def test_unknown_architecture_and_damaged_files_are_not_recognized() -> None:
    torch.save({"arch": "my-net", "state_dict": WEIGHTS}, "a.pt")
    Path("b.pt").write_bytes(b"no weights")
    Path("c.safetensors").write_bytes(b"no weights")
    for name in ("a.pt", "b.pt", "c.safetensors"):
        assert guess_timm(Path(name), "") == guess_torchvision(Path(name), "") == []
        assert guess_exported(Path(name), "") == []


def test_onnx_says_classes_outputs_and_softmax() -> None:
    path = Path(write("m.onnx", classes=["a", "b", "c"]))
    (found,) = guess_onnx(path, "classification")
    assert (found.settings, found.outputs, found.has_classes) == ({"model": "onnx:m.onnx"}, 3, True)
    (soft,) = guess_onnx(Path(write("p.onnx", outputs=["p"])), "classification")
    assert soft.settings["outputs"] == "probabilities"
    (both,) = guess_onnx(Path(write("b.onnx", outputs=["logits", "p"])), "classification")
    assert both.settings["model"] == "onnx:b.onnx#FILL-IN"
    assert "logits, p" in both.why["model"]


@pytest.mark.parametrize(
    ("row", "task", "outputs"),
    [
        ("0.25,0.75", "classification", "probabilities"),
        ("0.25,0.5", "classification", None),
        ("0.25,0.5", "multilabel", "probabilities"),
        ("-1,2", "classification", None),
        ("0.25,0.75", "regression", "values"),
    ],
)
def test_predictions_are_probabilities_if_rows_say_so(row: str, task: str, outputs: str | None) -> None:
    Path("p.csv").write_text(f"id,a,b\n1,{row}\n2,{row}\n")
    (found,) = guess_predictions(Path("p.csv"), task)
    assert found.settings.get("outputs") == outputs


def test_hf_folder_needs_model_type() -> None:
    Path("config.json").write_text(json.dumps({"model_type": "vit"}))
    assert guess_hf(Path(), "")[0].reason == "config.json says model_type: vit"
    Path("config.json").write_text(json.dumps({"architecture": "resnet18"}))
    assert guess_hf(Path(), "") == []
