"""`mtkd export --format openvino`: two files that OpenVINO alone runs, or no file at all."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits

from mtkd_cli.files import atomic
from mtkd_cli.inference import openvino_file
from mtkd_cli.inference.student import load_student
from mtkd_cli.models.onnx_program import open_session
from tests.fixtures.command_line import Mtkd

openvino = openvino_file.import_openvino()


def test_openvino_reports_no_use_to_its_makers() -> None:
    assert "openvino.tools.ovc.telemetry_stub" in sys.modules
    assert "openvino_telemetry" not in sys.modules


def digits() -> np.ndarray:
    return np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[:, None]


def outputs_of(file: str | Path, inputs: np.ndarray) -> np.ndarray:
    """Run a file with OpenVINO alone, in float32 on every CPU."""
    model = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(model({"inputs": inputs})["outputs"])


def test_openvino_alone_gives_the_same_answers(mtkd: Mtkd, run: Path) -> None:
    told = json.loads(mtkd("export", run, "--format", "openvino", "--json").stdout)
    assert told["file"] == str(run / "exported.xml")
    assert told["scores"] == pytest.approx(told["student"], abs=1e-3)
    files = [run / "exported.xml", run / "exported.bin"]
    assert told["bytes"] == sum(path.stat().st_size for path in files)
    images = digits()
    expected = load_student(run).answer(images).numpy()
    for size in (1, 7, len(images)):
        np.testing.assert_allclose(outputs_of(told["file"], images[:size]), expected[:size], atol=1e-5)
    about = json.loads(openvino.Core().read_model(files[0]).get_rt_info(["framework", "mtkd"]).astype(str))
    assert about["classes"] == list(map(str, range(10)))
    assert about["input"]["shape"] == ["batch", 1, 8, 8]


def test_tables_are_answered(mtkd: Mtkd) -> None:
    teacher = "teachers=[{model: 'mlp:8', name: t, fit: {epochs: 1}}]"
    given = ("diabetes", "student=mlp:8", teacher, "train.epochs=1", "train.lr=0.003")
    assert mtkd("distill", *given, "--no-baseline", "--name", "r").exit_code == 0
    told = json.loads(mtkd("export", "r", "--format", "openvino", "--json").stdout)
    rows = load_diabetes().data[:40]
    expected = load_student("r").answer(rows).numpy()
    np.testing.assert_allclose(outputs_of(told["file"], rows), expected, rtol=1e-4)


def test_dynamic_8_bits_are_those_of_onnx_runtime(mtkd: Mtkd, run: Path) -> None:
    mtkd("export", run, "--format", "openvino", "--int8", "dynamic")
    mtkd("export", run, "--int8", "dynamic")
    images = digits()
    (expected,) = open_session(run / "exported-int8.onnx").run(None, {"inputs": images})
    found = outputs_of(run / "exported-int8.xml", images)
    np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_outputs_that_differ_leave_nothing(mtkd: Mtkd, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = openvino_file.load
    monkeypatch.setattr(openvino_file, "load", lambda file: lambda inputs: real(file)(inputs) + 0.01)
    assert_refused(mtkd, run, "differs by 0.01")


def test_weights_are_removed_if_the_graph_cannot_be_written(
    mtkd: Mtkd, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "publish", failing_at(".xml", atomic.publish))
    assert_refused(mtkd, run, "the disk failed")


def failing_at(ending: str, publish: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    def on_a_full_disk(part: Path, path: Path) -> None:
        if path.suffix == ending:
            raise OSError(28, "No space left on device")
        publish(part, path)

    return on_a_full_disk


def test_a_student_that_openvino_cannot_convert_leaves_nothing(
    mtkd: Mtkd, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown_operator(*_: Any, **__: Any) -> None:
        raise RuntimeError("no conversion")

    monkeypatch.setattr(openvino, "save_model", unknown_operator)
    assert_refused(mtkd, run, "OpenVINO cannot convert this student: no conversion")


def assert_refused(mtkd: Mtkd, run: Path, message: str) -> None:
    before = sorted(run.iterdir())
    result = mtkd("export", run, "--format", "openvino")
    assert result.exit_code == 3
    assert message in result.stderr
    assert sorted(run.iterdir()) == before


@pytest.mark.parametrize("name", ["exported.xml", "exported.bin"])
def test_nothing_is_overwritten(mtkd: Mtkd, run: Path, name: str) -> None:
    (run / name).write_text("mine")
    result = mtkd("export", run, "--format", "openvino")
    assert (result.exit_code, (run / name).read_text()) == (2, "mine")
    assert f"{name} exists" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--int8", "static"), "--int8 qat"),
        (("--output", "model.onnx"), "model.xml"),
        (("--frames",), "frames are for masks and boxes"),
    ],
)
def test_what_openvino_files_are_not_is_refused(
    mtkd: Mtkd, run: Path, options: tuple[str, ...], message: str
) -> None:
    result = mtkd("export", run, "--format", "openvino", *options)
    assert (result.exit_code, message in result.stderr) == (2, True)


def test_the_missing_package_is_named(mtkd: Mtkd, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "openvino" else real(name, *more)
    )
    result = mtkd("export", run, "--format", "openvino")
    assert (result.exit_code, "pip install 'mtkd[openvino]'" in result.stderr) == (2, True)
