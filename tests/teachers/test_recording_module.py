"""Teachers are recorded in ONNX Runtime if the recipe says so, with the same outputs up to rounding."""

import sys

import pytest
import torch

from mtkd_cli.errors import UsageError
from mtkd_cli.files.hashing import file_sha256
from mtkd_cli.store import row_format
from mtkd_cli.teachers import prepare, recording
from mtkd_cli.training.progress import Progress
from tests.fixtures.small_runs import Contexts

ONE = ("store.precision=fp32", "teachers.1.model=convnet:4")


def test_records_the_outputs_of_torch_into_an_array_of_its_own(context: Contexts) -> None:
    arrays = {}
    for runtime in ("torch", "onnx"):
        run = context(*ONE, f"store.runtime={runtime}")
        teacher = prepare.resolve_teachers(run)[1]
        arrays[runtime] = prepare.prepare_teachers(run, 1, [teacher])[0].arrays["train", 0]
    assert arrays["onnx"].folder != arrays["torch"].folder
    torch.testing.assert_close(arrays["onnx"][:], arrays["torch"][:], rtol=1e-5, atol=1e-5)


def test_any_number_of_threads_records_the_same_bytes(
    context: Contexts, monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    monkeypatch.setattr(row_format, "MAX_SHARD_SAMPLES", 128)
    digests = []
    for threads in (1, 3):
        monkeypatch.setenv("MTKD_STORE", f"{tmp_path}/{threads}")
        torch.set_num_threads(1)  # also while teachers are fitted
        run = context(*ONE, "store.runtime=onnx")
        teacher = prepare.resolve_teachers(run)[1]
        prepare.fit_teacher(
            prepare.load_teacher(teacher.part, teacher.entry, run.data, run.task), teacher, run
        )
        monkeypatch.setattr(recording.os, "cpu_count", lambda: 3)
        torch.set_num_threads(threads)
        array = prepare.prepare_teachers(run, 1, [teacher])[0].arrays["train", 0]
        digests.append(file_sha256(array.folder / "outputs.npy"))
    assert digests[0] == digests[1]


def test_a_teacher_that_cannot_be_converted_is_recorded_with_torch(
    context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(Progress, "say", lambda _, text: shown.append(text))
    run = context(
        "data.scenes=40",
        "data.test_scenes=10",
        "data.labels=30",
        "fit.epochs=1",
        "store.runtime=onnx",
        recipe="digit-scenes-det",
    )
    teacher = prepare.resolve_teachers(run)[0]
    assert prepare.prepare_teachers(run, 1, [teacher])[0].arrays
    assert any("recorded without conversion to ONNX" in text for text in shown)


def test_says_what_is_missing_before_a_teacher_is_loaded(
    context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = context("store.runtime=onnx")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(prepare, "load_teacher", lambda *_: pytest.fail("loaded"))
    with pytest.raises(UsageError, match="ONNX needs onnx"):
        prepare.prepare_teachers(run, 1)


@pytest.mark.parametrize(("size", "batch"), [(1, 64), (28, 64), (224, 4), ((224, 448), 2), (1024, 1)])
def test_batches_of_large_images_are_small(size: int | tuple[int, int], batch: int) -> None:
    assert recording.batch_size(size, torch.device("cpu")) == batch
