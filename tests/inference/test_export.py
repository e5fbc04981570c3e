"""`mtkd export`: a file that answers as the student does, without mtkd, or no file at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from mtkd_cli.files import atomic
from mtkd_cli.inference import export
from mtkd_cli.inference.student import load_student
from tests.fixtures.command_line import Mtkd


def digits() -> np.ndarray:
    return np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[:, None]


def test_onnx_alone_gives_the_same_answers(mtkd: Mtkd, run: Path) -> None:
    """Bytes of pixels go in, at any batch size; how many, and the classes, is in the metadata."""
    import onnxruntime

    told = json.loads(mtkd("export", run, "--json").stdout)
    assert told["scores"] == pytest.approx(told["student"], abs=1e-3)
    session = onnxruntime.InferenceSession(told["file"], providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["mtkd"])
    assert about["classes"] == list(map(str, range(10)))
    assert about["input"]["shape"] == ["batch", 1, 8, 8]
    images = digits()
    expected = load_student(run).answer(images).numpy()
    for size in (1, 7, len(images)):
        (found,) = session.run(None, {about["input"]["name"]: images[:size]})
        np.testing.assert_allclose(found, expected[:size], atol=1e-5)
        first, second = np.sort(expected[:size])[:, :-3:-1].T
        sure = first - second > 1e-4
        np.testing.assert_array_equal(found.argmax(axis=1)[sure], expected[:size].argmax(axis=1)[sure])


def test_no_source_path_is_in_the_file(mtkd: Mtkd, run: Path) -> None:
    mtkd("export", run)
    assert b".py" not in (run / "exported.onnx").read_bytes()


def test_pt2_runs_with_torch_alone(mtkd: Mtkd, run: Path) -> None:
    assert mtkd("export", run, "--format", "pt2").exit_code == 0
    extra = {"mtkd.json": ""}
    program = torch.export.load(run / "exported.pt2", extra_files=extra)
    assert json.loads(extra["mtkd.json"])["task"] == "classification"
    images = digits()[:5]
    found = program.module()(torch.from_numpy(images))
    torch.testing.assert_close(found, load_student(run).answer(images), atol=1e-5, rtol=0)


def test_safetensors_are_the_weights_with_what_they_are(mtkd: Mtkd, run: Path) -> None:
    from safetensors import safe_open

    assert mtkd("export", run, "--format", "safetensors", "--output", "s.safetensors").exit_code == 0
    with safe_open("s.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["mtkd"])["about"]["classes"]
        own = load_student(run).model.module.state_dict()
        assert all(torch.equal(file.get_tensor(name), own[name]) for name in own)


def test_eight_bits_come_with_their_score(mtkd: Mtkd, run: Path) -> None:
    told = json.loads(mtkd("export", run, "--quantize", "int8", "--json").stdout)
    assert told["file"].endswith("exported-int8.onnx")
    assert 0 < told["difference"] < 1
    assert told["scores"]["accuracy"] == pytest.approx(told["student"]["accuracy"], abs=0.1)
    assert mtkd("export", run, "--quantize", "int8", "--format", "pt2").exit_code == 2


def test_a_file_that_differs_is_not_written(mtkd: Mtkd, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = export._load_onnx
    monkeypatch.setattr(export, "_load_onnx", lambda *what: lambda inputs: real(*what)(inputs) + 0.01)
    before = sorted(run.iterdir())
    result = mtkd("export", run)
    assert result.exit_code == 3
    assert "differs by 0.01" in result.stderr
    assert sorted(run.iterdir()) == before


def test_nothing_is_overwritten(mtkd: Mtkd, run: Path) -> None:
    (run / "exported.pt2").write_text("mine")
    result = mtkd("export", run, "--format", "pt2")
    assert (result.exit_code, (run / "exported.pt2").read_text()) == (2, "mine")


def test_a_wrong_format_is_answered_with_the_nearest(mtkd: Mtkd, run: Path) -> None:
    assert "'onnx'" in mtkd("export", run, "--format", "onx").stderr


def test_boxes_are_the_same_in_the_form_that_exporters_need() -> None:
    """What has fixed shapes answers as torchvision's suppression on what is likely does."""
    from torchvision.ops import batched_nms

    from mtkd_teachers.fixed_boxes import suppress

    random = torch.Generator().manual_seed(0)
    for _ in range(20):
        corner, side = (torch.rand(60, 2, generator=random) for _ in range(2))
        boxes = torch.cat([corner * 0.6, corner * 0.6 + 0.05 + side * 0.3], dim=1)
        scores = torch.rand(60, generator=random).sort(descending=True).values
        labels = torch.randint(0, 3, (60,), generator=random)
        likely = scores > 0.4
        kept = batched_nms(boxes[likely], scores[likely], labels[likely], 0.5)
        found = suppress(boxes, scores, labels, 0.4, 0.5, 100)
        wanted = torch.cat([boxes, scores[:, None], labels[:, None]], dim=1)[likely][kept]
        torch.testing.assert_close(found[: len(kept)], wanted)
        assert (found[len(kept) :, 5] == -1).all()


@pytest.mark.parametrize(
    ("recipe", "student"),
    [("diabetes", "mlp:8"), ("digit-scenes-det", "tiny-fcos:16"), ("digit-scenes-seg", "unet:4-8")],
    ids=["table", "boxes", "maps"],
)
def test_every_task_is_answered_by_onnx_alone(mtkd: Mtkd, recipe: str, student: str) -> None:
    teacher = "teachers=[{model: '" + student + "', name: t, fit: {epochs: 1}}]"
    data = ["data.scenes=40", "data.test_scenes=20", "data.labels=20"] if recipe != "diabetes" else []
    # an untrained detector has many boxes whose suppression is a tie that rounding decides
    length = (
        ["train.epochs=6", "train.lr=0.01"]
        if student.startswith("tiny")
        else ["train.epochs=1", "train.lr=0.003"]
    )
    options = [*length, f"student={student}", teacher, *data]
    assert mtkd("distill", recipe, *options, "--no-baseline", "--name", "r").exit_code == 0
    told = json.loads(mtkd("export", "r", "--json").stdout)
    assert told["scores"] == pytest.approx(told["student"], abs=1e-4)
    assert_onnx_answers_as_the_student(told["file"], "r")


def assert_onnx_answers_as_the_student(file: str, run: str) -> None:
    """Ask onnxruntime, with nothing of mtkd, and the student itself about the same real samples."""
    import onnxruntime
    from sklearn.datasets import load_diabetes

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["mtkd"])
    batch, *shape = about["input"]["shape"]
    if len(shape) == 1:
        samples = load_diabetes().data[:40].astype(about["input"]["type"])
    else:
        scans = digits()[:160].reshape(40, 4, 8, 8)
        wide = np.concatenate([scans[:, :2], scans[:, 2:]], axis=3).repeat(2, axis=2).repeat(2, axis=3)
        samples = np.concatenate([wide[:, :1], wide[:, 1:]], axis=2)
    assert list(samples.shape[1:]) == shape
    student = load_student(run)
    parts = np.split(samples, 40 if batch == 1 else 2)
    for part in parts:
        (found,) = session.run(None, {about["input"]["name"]: part})
        expected = student.answer(part).numpy()
        if about["task"] == "detection":  # equal scores may come in either order
            found, expected = (np.sort(boxes[0, :, 4])[None] for boxes in (found, expected))
        np.testing.assert_allclose(found, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("place", ["compare", "publish"])
def test_an_export_that_is_killed_leaves_no_part_and_the_next_one_cleans_up(
    mtkd: Mtkd, run: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SIGKILL: when the file is written and not yet checked, and when it is about to be put in place."""
    number = os.fork()
    if not number:
        owner = export if place == "compare" else atomic
        monkeypatch.setattr(owner, place, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        mtkd("export", run, "--format", "safetensors")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == -signal.SIGKILL
    assert not (run / "exported.safetensors").exists()
    assert list(run.glob(".exported*"))
    assert mtkd("export", run, "--format", "safetensors").exit_code == 0
    assert (run / "exported.safetensors").exists()
    assert not list(run.glob(".exported*"))


@pytest.mark.parametrize("form", ["onnx", "pt2", "safetensors"])
def test_full_disk_is_an_error_and_leaves_nothing(run: Path, form: str) -> None:
    """No file may grow beyond 2 kB, as on a full disk; in a process of its own, which an exporter may end."""
    before = sorted(run.iterdir())
    limited = f"ulimit -f 4; exec {sys.executable} -m mtkd_cli export {run} --format {form}"
    done = subprocess.run(["/bin/sh", "-c", limited], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: the disk failed")
    assert sorted(run.iterdir()) == before
