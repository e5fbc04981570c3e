"""`mtkd export --int8 qat`: last epochs on the recorded answers, with the roundings of the file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mtkd_cli.data.subset import sample_rows
from mtkd_cli.errors import UsageError
from mtkd_cli.inference.export_check import inputs_of
from mtkd_cli.inference.int8 import CALIBRATION_SAMPLES
from mtkd_cli.inference.int8_quantizer import activation_scales, quantize_static
from mtkd_cli.inference.openvino_file import import_openvino
from mtkd_cli.inference.student import LoadedStudent, load_student
from mtkd_cli.models.fake_quantization import RoundedActivation, freeze
from mtkd_cli.models.onnx_program import Shippable, content_of, open_session
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.load import load
from mtkd_cli.runs import pipeline, quantization_aware
from mtkd_cli.runs.folder import Run
from mtkd_cli.runs.quantization_aware import rounded_student, train_quantized
from mtkd_cli.runs.run_context import context_of_run
from mtkd_cli.teachers import prepare
from mtkd_cli.training.context import Context
from mtkd_cli.training.progress import Progress
from tests.fixtures.command_line import Mtkd


@pytest.fixture
def recorded(run: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished run, and the store that has its recorded outputs."""
    monkeypatch.setenv("MTKD_STORE", str(finished.parents[1] / "store"))
    return run


@pytest.fixture
def no_teachers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a teacher is loaded."""

    def load(*_: Any) -> None:
        raise AssertionError("a teacher was loaded")

    monkeypatch.setattr(prepare, "load_teacher", load)


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_file_is_trained_run_and_compared(mtkd: Mtkd, recorded: Path, no_teachers: None) -> None:
    before = hashes(recorded)
    given = ("--int8", "qat", "--epochs", 2, "--output", "qat.onnx", "--json")
    told = json.loads(mtkd("export", recorded, *given).stdout)
    rows = {row["kind"]: row for row in told["variants"]}
    assert list(rows) == ["fp32", "dynamic", "static", "qat"]
    assert rows["qat"]["bytes"] == Path("qat.onnx").stat().st_size
    assert rows["qat"]["scores"]["test"]["score"] == pytest.approx(told["scores"]["accuracy"], abs=1e-3)
    assert rows["qat"]["latency_ms"] > 0
    low, high = rows["qat"]["scores"]["test"]["change_interval"]
    assert low <= rows["qat"]["scores"]["test"]["change"] <= high
    assert hashes(recorded) == before, "the run folder is only read"
    assert_is_int8(Path("qat.onnx"))
    again = ("--int8", "qat", "--epochs", 2, "--output", "qat.xml", "--format", "openvino")
    assert mtkd("export", recorded, *again).exit_code == 0
    assert_openvino_rounds_as_onnx_runtime(Path("qat.xml"), Path("qat.onnx"))


def assert_openvino_rounds_as_onnx_runtime(graph: Path, file: Path) -> None:
    from sklearn.datasets import load_digits

    images = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[:, None]
    model = import_openvino().Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    (expected,) = open_session(file).run(None, {"inputs": images})
    np.testing.assert_allclose(
        model({"inputs": images})["outputs"], expected, atol=0.02 * abs(expected).max()
    )


def assert_is_int8(file: Path) -> None:
    """Check that a file of ``convnet:4-8`` has its description, and integers without BatchNorm."""
    import onnx

    model = onnx.load(file)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(about["mtkd"])["classes"]
    weights = [each for each in model.graph.initializer if each.data_type == onnx.TensorProto.INT8]
    assert sorted(tuple(each.dims) for each in weights if each.dims) == [(4, 1, 3, 3), (8, 4, 3, 3), (10, 8)]
    floats = [each for each in model.graph.initializer if each.data_type == onnx.TensorProto.FLOAT]
    assert max(int(np.prod(each.dims)) for each in floats) <= 10, "scales alone"
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_the_ranges_are_those_of_onnx_runtimes_calibration(mtkd: Mtkd, recorded: Path) -> None:
    mtkd("export", recorded, "--int8", "static", "--output", "static.onnx")
    student = load_student(recorded)
    with context_of_run(student, []) as context:
        module = rounded_student(student, context)
    own = sorted(each.scale.item() for each in module.modules() if isinstance(each, RoundedActivation))
    assert own == pytest.approx(sorted(activation_scales(Path("static.onnx")).values()), rel=1e-4)


SCENES = ("data.scenes=60", "data.test_scenes=20", "data.labels=40", "views=1", "train.epochs=1")
CASES = {
    "segmentation": ("digit-scenes-seg", "unet:4-8", SCENES),
    "detection": ("digit-scenes-det", "tiny-fcos:8", SCENES),
    "regression": ("diabetes", "mlp:8", ("train.epochs=1",)),
}


@pytest.mark.parametrize("task", CASES)
def test_onnx_runtime_answers_as_the_trained_student(task: str, registry: Registry) -> None:
    recipe, model, changes = CASES[task]
    teachers = f"teachers=[{{model: '{model}', name: t, fit: {{epochs: 1}}}}]"
    given = (*changes, teachers, f"student={model}", "train.lr=0.01")
    context = pipeline.prepare(load(recipe, given, registry), "cpu", Progress())
    pipeline.distill(context, Run("small"), baseline=False)
    assert_equal_answers(load_student("small"), context, is_detector=task == "detection")


def test_onnx_runtime_answers_as_the_trained_classifier(recorded: Path) -> None:
    student = load_student(recorded)
    with context_of_run(student, []) as context:
        assert_equal_answers(student, context, is_detector=False)


def assert_equal_answers(student: LoadedStudent, context: Context, is_detector: bool) -> None:
    """Train a student, and compare it with its file on test samples; likewise the static file, untrained."""
    trained = train_quantized(student, context, epochs=1)
    inputs, size = inputs_of(context.data.test, np.arange(16)), 1 if is_detector else 16
    content = content_of(Shippable(freeze(trained)).eval(), inputs[:3], is_detector)
    assert_close(outputs_of(content, inputs, size), answers(trained, inputs), is_detector, 0.99)

    Path("float.onnx").write_bytes(content_of(Shippable(student.module).eval(), inputs[:3], is_detector))
    train = context.data.train
    rows = sample_rows(np.arange(len(train)), CALIBRATION_SAMPLES)
    batches = [inputs_of(train, part) for part in np.split(rows, range(size, len(rows), size))]
    quantize_static(Path("float.onnx"), Path("static.onnx"), batches, float_head=not student.task.logits)
    static = outputs_of(Path("static.onnx").read_bytes(), inputs, size)
    if is_detector:  # each level of the pyramid has ranges of its own in this file
        assert static.shape == answers(trained, inputs).shape
        assert np.isfinite(static).all()
    else:
        assert_close(static, answers(rounded_student(student, context), inputs), is_detector, 0.95)


def outputs_of(content: bytes, inputs: np.ndarray, size: int) -> np.ndarray:
    """Return the outputs of a file in ONNX Runtime, in batches."""
    session = open_session(content)
    parts = np.split(inputs, range(size, len(inputs), size))
    return np.concatenate([session.run(None, {"inputs": part})[0] for part in parts])


def assert_close(found: np.ndarray, expected: np.ndarray, is_detector: bool, share: float) -> None:
    """Check that nearly all outputs are equal: a value between two integers may go either way."""
    if not is_detector:
        assert (np.abs(found - expected) < 1e-3 * np.abs(expected).max()).mean() > share
        return
    # boxes of equal scores may change places
    distance = np.abs(found[:, :, None] - expected[:, None]).max(axis=3)  # [B, M, M]
    is_box, own_box = expected[..., 4] > 0, found[..., 4] > 0
    assert is_box.sum() >= 16, "boxes to compare"
    assert (distance.min(axis=1)[is_box] < 1e-3).mean() > 0.95
    assert (distance.min(axis=2)[own_box] < 1e-3).mean() > 0.95


def answers(module: nn.Module, inputs: np.ndarray) -> np.ndarray:
    views = torch.from_numpy(inputs)
    with torch.no_grad():
        output: torch.Tensor = module.eval()(views if views.dim() == 2 else views.float() / 255)
    return output.numpy()


def test_more_epochs_on_the_recorded_answers_lower_the_loss(recorded: Path) -> None:
    student = load_student(recorded)
    with context_of_run(student, []) as context:
        before = context.validate(rounded_student(student, context))
        trained = [train_quantized(student, context, epochs=4) for _ in range(2)]
        after = context.validate(trained[0])
    assert after.measurement.loss < before.measurement.loss, "two epochs were not enough for this student"
    first, again = (each.state_dict() for each in trained)
    assert all(torch.equal(first[name], again[name]) for name in first), "the training repeats to the bit"


def test_a_file_that_loses_too_much_is_not_written(
    mtkd: Mtkd, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization_aware, "train_quantized", clipped)
    result = mtkd("export", recorded, "--int8", "qat", "--output", "qat.onnx", "--max-loss", 0.01)
    assert result.exit_code == 3
    assert "the qat int8 file loses" in result.stderr
    assert "0.01 is allowed" in result.stderr
    assert not Path("qat.onnx").exists()


def clipped(student: Any, context: Any, epochs: int) -> nn.Module:
    """Return a student whose activations are clipped at a hundredth of their ranges."""
    module = rounded_student(student, context)
    for layer in module.modules():
        if isinstance(layer, RoundedActivation):
            layer.scale /= 100
    return module


def test_missing_recorded_outputs_are_refused(mtkd: Mtkd, run: Path, no_teachers: None) -> None:
    result = mtkd("export", run, "--int8", "qat")
    assert result.exit_code == 3
    assert "recorded outputs of t are not in the store" in result.stderr
    assert "mtkd record runs/small/recipe.yaml" in result.stderr


def test_recording_again_brings_them_back(mtkd: Mtkd, run: Path) -> None:
    assert mtkd("record", "runs/small/recipe.yaml").exit_code == 0
    student = load_student(run)
    with context_of_run(student, []) as context:
        train_quantized(student, context, epochs=1)


def test_live_teachers_are_refused(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantization_aware, "count_views", lambda _: None)
    student = load_student(recorded)
    with context_of_run(student, []) as context, pytest.raises(UsageError, match="answer live"):
        train_quantized(student, context)


def test_a_folder_without_a_run_is_refused(mtkd: Mtkd, run: Path) -> None:
    (run / "recipe.yaml").unlink()
    result = mtkd("export", run, "--int8", "qat")
    assert result.exit_code == 2
    assert "no recipe.yaml" in result.stderr


@pytest.mark.parametrize(
    "options", [("--epochs", 2), ("--int8", "static", "--epochs", 2), ("--int8", "qat", "--epochs", 0)]
)
def test_epochs_go_with_qat(mtkd: Mtkd, run: Path, options: tuple[Any, ...]) -> None:
    assert mtkd("export", run, *options).exit_code == 2


def test_code_of_a_foreign_recipe_needs_permission(mtkd: Mtkd, recorded: Path) -> None:
    Path("theirs.py").write_text(
        "import pathlib\npathlib.Path('ran').touch()\n\n\nclass Mine:\n    def weights(self, batch): ...\n"
    )
    recipe = recorded / "recipe.yaml"
    given = recipe.read_text()
    start = given.index("strategy:")
    end = given.index("\n", start)
    recipe.write_text(f"{given[:start]}strategy: {{name: 'python:theirs.py:Mine'}}{given[end:]}")
    result = mtkd("export", recorded, "--int8", "qat")
    assert result.exit_code == 3
    assert "--trust-code" in result.stderr
    assert not Path("ran").exists()
