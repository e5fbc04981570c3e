"""`mtkd export --int8`: quantized files that are run, compared and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mtkd_cli.inference import int8
from mtkd_cli.inference.int8 import SplitScore, Variant, comparison_note, speed_note
from mtkd_cli.inference.int8_quantizer import activation_scales, quantize_static
from mtkd_cli.interfaces import Metric
from tests.fixtures.command_line import Mtkd


def digits() -> np.ndarray:
    return np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[:, None]


def test_the_static_file_is_compared_with_float_and_dynamic(mtkd: Mtkd, run: Path) -> None:
    told = json.loads(mtkd("export", run, "--int8", "static", "--json").stdout)
    assert told["file"].endswith("exported-int8.onnx")
    rows = {row["kind"]: row for row in told["variants"]}
    assert list(rows) == ["fp32", "dynamic", "static"]
    student = told["student"]["accuracy"]
    assert rows["fp32"]["scores"]["test"]["score"] == pytest.approx(student, abs=1e-3)
    assert rows["static"]["scores"]["test"]["score"] == pytest.approx(told["scores"]["accuracy"], abs=1e-3)
    for kind in ("dynamic", "static"):
        for found in rows[kind]["scores"].values():
            low, high = found["change_interval"]
            assert low <= found["change"] <= high
        assert rows[kind]["latency_ms"] > 0
    assert rows["static"]["bytes"] == Path(told["file"]).stat().st_size


def test_the_static_file_runs_alone_in_integers(mtkd: Mtkd, run: Path) -> None:
    import onnx
    import onnxruntime

    told = json.loads(mtkd("export", run, "--int8", "static", "--json").stdout)
    session = onnxruntime.InferenceSession(told["file"], providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["mtkd"])["classes"]
    for size in (1, 5):
        assert session.run(None, {"inputs": digits()[:size]})[0].shape == (size, 10)
    model = onnx.load(told["file"])
    weights = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert max(np.prod(tensor.dims) for tensor in weights) == 4 * 8 * 9, "the largest layer has 8 bits"
    per_channel = [tensor for tensor in model.graph.initializer if tensor.name.endswith("weight_scale")]
    assert any(list(tensor.dims) == [8] for tensor in per_channel)


def test_the_static_file_does_not_depend_on_the_kernels_for_integers(mtkd: Mtkd, run: Path) -> None:
    """Without 7-bit weights, kernels of CPUs without VNNI saturate; unoptimized graphs compute in float32."""
    import onnxruntime

    told = json.loads(mtkd("export", run, "--int8", "static", "--json").stdout)
    levels = onnxruntime.GraphOptimizationLevel
    plain, fused = (
        outputs_of(told["file"], level) for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL)
    )
    np.testing.assert_allclose(fused, plain, atol=0.02 * np.abs(plain).max())


def outputs_of(file: str, level: Any) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"inputs": digits()})[0])


def test_other_calibration_samples_give_other_scales(mtkd: Mtkd, run: Path) -> None:
    mtkd("export", run, "--output", "float.onnx")
    images = digits()[:64]
    found = []
    for name, samples in (("a", images), ("b", images // 4), ("again", images)):
        quantize_static(Path("float.onnx"), Path(f"{name}.onnx"), [samples[:32], samples[32:]])
        found.append(activation_scales(Path(f"{name}.onnx")))
    bright, dark, again = found
    assert bright == again
    assert bright.keys() == dark.keys()
    assert any(bright[key] > 1.5 * dark[key] for key in bright)


def test_calibration_on_other_samples_spoils_the_answers(mtkd: Mtkd, run: Path) -> None:
    """Ranges of dark images clip what bright images need."""
    import onnxruntime

    mtkd("export", run, "--output", "float.onnx")
    images = digits()
    for name, samples in (("right", images), ("dark", images // 16)):
        quantize_static(Path("float.onnx"), Path(f"{name}.onnx"), [samples[:32], samples[32:64]])
    level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    exact, right, dark = (outputs_of(f"{name}.onnx", level) for name in ("float", "right", "dark"))
    assert np.abs(dark - exact).mean() > 5 * np.abs(right - exact).mean()
    assert (right.argmax(1) == exact.argmax(1)).mean() > 0.9


def note(qat: float, static: float, higher_is_better: bool = True) -> str:
    scores = {"qat": qat, "static": static}
    variants = [
        Variant(kind, scores={"val": SplitScore(score, None, None, None, 9)})
        for kind, score in scores.items()
    ]
    return comparison_note(variants, Metric("m", higher_is_better=higher_is_better))


def test_training_that_did_not_help_is_named() -> None:
    assert not note(0.9, 0.8)
    assert "not better than static" in note(0.8, 0.8)
    assert "not better than static" in note(0.9, 0.8, higher_is_better=False)
    assert not comparison_note([Variant("static"), Variant("qat")], Metric("m", higher_is_better=True))


def test_calibration_samples_are_training_samples(
    mtkd: Mtkd, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = int8.quantize_static, []
    monkeypatch.setattr(
        int8, "quantize_static", lambda *given, **more: (seen.append(given[2]), real(*given, **more))
    )
    told = json.loads(mtkd("export", run, "--int8", "static", "--json").stdout)
    samples = {image.tobytes() for batch in seen[0] for image in batch}
    assert len(samples) >= 500
    number = next(row for row in told["variants"] if row["kind"] == "fp32")["scores"]["test"]["samples"]
    held_out = _inputs_of(run, "test") | _inputs_of(run, "val")
    assert len(held_out) >= 0.99 * number
    assert len(samples & held_out) <= 0.02 * len(held_out), "a few images of the data are equal"


def _inputs_of(run: Path, name: str) -> set[bytes]:
    from mtkd_cli.inference.evaluate import load_data, options_of
    from mtkd_cli.inference.student import load_student
    from mtkd_cli.plugin.registry import load_registry

    student = load_student(run)
    data = load_data(student, options_of(student, []), load_registry())
    split = {each.name: each for each in data.splits}[name]
    return {image.tobytes() for image in split.samples.read(np.arange(len(split)))}


def test_a_file_that_loses_too_much_is_not_written(
    mtkd: Mtkd, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(source: Path, target: Path, batches: list[np.ndarray], float_head: bool = False) -> None:
        quantize_static(source, target, [np.zeros_like(batches[0])], float_head)

    monkeypatch.setattr(int8, "quantize_static", spoilt)
    before = sorted(run.iterdir())
    result = mtkd("export", run, "--int8", "static", "--max-loss", 0.01)
    assert result.exit_code == 3
    assert "0.01 is allowed" in result.stderr
    assert sorted(run.iterdir()) == before
    assert mtkd("export", run, "--int8", "static", "--max-loss", 1).exit_code == 0


def test_the_former_option_is_dynamic(mtkd: Mtkd, run: Path) -> None:
    told = json.loads(mtkd("export", run, "--quantize", "int8", "--json").stdout)
    rows = {row["kind"]: row for row in told["variants"]}
    assert told["bytes"] == rows["dynamic"]["bytes"]


@pytest.mark.parametrize(
    "options",
    [
        ("--int8", "statik"),
        ("--int8", "static", "--format", "pt2"),
        ("--int8", "static", "--format", "hub"),
        ("--max-loss", "0.1"),
        ("--int8", "static", "--max-loss", "-1"),
    ],
)
def test_options_that_do_not_fit_are_refused(mtkd: Mtkd, run: Path, options: tuple[str, ...]) -> None:
    assert mtkd("export", run, *options).exit_code == 2


@pytest.mark.parametrize(
    ("text", "is_slow"),
    [
        ("flags : fpu sse avx2", True),
        ("flags : fpu avx2 avx512_vnni", False),
        ("Features : fp asimd asimddp", False),
        ("Features : fp asimd", True),
        ("something else", False),
    ],
)
def test_a_cpu_without_integer_instructions_is_named(tmp_path: Path, text: str, is_slow: bool) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert bool(speed_note(tmp_path / "cpuinfo")) is is_slow
    assert speed_note(tmp_path / "missing") == ""
