"""`mtkd export --format hub`: a folder that mtkd, and the model's own library, load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import yaml

from mtkd_cli.inference.student import load_student
from tests.fixtures.command_line import Mtkd

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)


def test_folder_loads_as_the_run_does(mtkd: Mtkd, run: Path, tmp_path: Path) -> None:
    written = json.loads(
        mtkd("export", run, "--format", "hub", "--output", tmp_path / "mine", "--json").stdout
    )
    assert written["files"] == ["README.md", "config.json", "model.safetensors", "student.json"]
    expected = load_student(run).answer(IMAGES)
    assert torch.equal(load_student(tmp_path / "mine").answer(IMAGES), expected)
    card = (tmp_path / "mine" / "README.md").read_text()
    metadata = yaml.safe_load(card.split("---")[1])
    assert metadata["library_name"] == "mtkd"
    report = json.loads((run / "report.json").read_text())
    scores = {m["type"]: m["value"] for m in metadata["model-index"][0]["results"][0]["metrics"]}
    assert scores["accuracy"] == report["scores"]["student"]["accuracy"]
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert config["classes"] == list(map(str, range(10)))


def test_usage_names_the_kind_of_file(distill: Callable[..., dict[str, Any]], mtkd: Mtkd) -> None:
    distill("train={epochs: 1, lr: 0.01}", "student=mlp:4", recipe="diabetes", name="rows")
    assert mtkd("export", "rows", "--format", "hub", "--output", "mine").exit_code == 0
    assert 'mtkd.predict("mine", ["rows.csv"])' in Path("mine/README.md").read_text()


def test_changed_weights_are_refused(mtkd: Mtkd, run: Path, tmp_path: Path) -> None:
    mtkd("export", run, "--format", "hub", "--output", tmp_path / "mine")
    weights = tmp_path / "mine" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert mtkd("evaluate", tmp_path / "mine").exit_code == 3


@pytest.mark.parametrize("options", [["--quantize", "int8"], []])
def test_refuses_int8_and_existing_folder(mtkd: Mtkd, run: Path, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "mine").mkdir()
    done = mtkd("export", run, "--format", "hub", "--output", tmp_path / "mine", *options)
    assert done.exit_code == 2
    assert list((tmp_path / "mine").iterdir()) == []


def test_timm_student_loads_in_timm(
    distill: Callable[..., dict[str, Any]], mtkd: Mtkd, tmp_path: Path
) -> None:
    distill("student={model: 'timm:test_efficientnet', input: {size: 32}}", "train.epochs=1", name="small")
    assert mtkd("export", "small", "--format", "hub", "--output", tmp_path / "mine").exit_code == 0
    model = timm.create_model(f"local-dir:{tmp_path / 'mine'}", pretrained=True).eval()
    student = load_student("small")
    module = student.model.module.eval()
    views = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(model(views), module(views))
    config = timm.data.resolve_model_data_config(model)
    assert tuple(config["input_size"]) == (3, 32, 32)
    assert config["mean"] == pytest.approx(student.model.input.mean)
    assert config["std"] == pytest.approx(student.model.input.std)
    assert model.pretrained_cfg["label_names"] == list(student.classes)
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "library_name: timm" in card and 'timm.create_model("local-dir:mine"' in card
