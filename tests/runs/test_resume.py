"""What a run that was stopped promises: it goes on to the same bits, or says why it cannot."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtkd_cli.distributed import threads
from mtkd_cli.runs import metrics_log, pipeline
from mtkd_cli.runs.folder import Run
from mtkd_cli.store import recorded_outputs
from mtkd_cli.training import checkpoint, checkpointing
from mtkd_cli.training.progress import Progress
from tests.fixtures.command_line import mtkd
from tests.program.small_run import FITS, RESUME, START, STUDENT, results


def here() -> dict[str, Any]:
    """Return what the run in this folder leaves behind."""
    return results(Path("runs/run"), Path(os.environ["MTKD_STORE"]))


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "MIN_INTERVAL_RATIO", 0.0)


@pytest.fixture(scope="module")
def whole_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run was made that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MTKD_STORE", str(folder / "store"))
        assert mtkd(*START).exit_code == 0
    return folder


@pytest.fixture
def whole(whole_place: Path) -> dict[str, Any]:
    """What such a run leaves behind."""
    return results(whole_place / "runs/run", whole_place / "store")


@pytest.fixture
def done(whole_place: Path) -> None:
    """Have a run here that is done, and its store."""
    shutil.copytree(whole_place / "runs", "runs")
    shutil.copytree(whole_place / "store", os.environ["MTKD_STORE"])


def at(call: int, function: Callable[..., Any], happens: Callable[[], object]) -> Callable[..., Any]:
    """Return the function with something that happens before one of its calls."""
    calls = iter(range(1, 10**6))

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if next(calls) == call:
            happens()
        return function(*arguments, **named)

    return wrapped


PLACES = {
    "fitting a teacher": (Progress, "on_step", 2),
    "recording": (recorded_outputs, "write_shard", 2),
    "recording another teacher": (recorded_outputs, "write_shard", 6),
    "fitting the strategy": (pipeline, "fit_strategy", 1),
    "the first candidate": (Progress, "on_step", FITS + 8),
    "the second candidate": (Progress, "on_step", FITS + STUDENT + 8),
    "the student alone": (Progress, "on_step", FITS + 2 * STUDENT + 20),
    "evaluating": (pipeline, "measure_scores", 1),
    "writing the student": (Run, "write_student", 1),
    "writing the report": (Run, "write_report", 1),
}


@pytest.mark.parametrize(
    ("place", "sent"),
    [
        *((place, signal.SIGINT) for place in PLACES),
        ("fitting a teacher", signal.SIGTERM),  # one handler serves both signals
        ("writing the student", signal.SIGTERM),
    ],
)
def test_a_signal_anywhere_ends_with_75_and_the_run_goes_on_to_the_same_bits(
    place: str, sent: signal.Signals, whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    where, name, call = PLACES[place]
    with monkeypatch.context() as patch:
        patch.setattr(where, name, at(call, getattr(where, name), lambda: os.kill(os.getpid(), sent)))
        stopped = mtkd(*START)
    assert stopped.exit_code == 75, stopped.stderr
    assert "resume with: mtkd distill --resume run" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    resumed = mtkd(*RESUME)
    assert resumed.exit_code == 0, resumed.stderr
    assert here() == whole


def test_a_signal_after_the_run_was_finished_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "log_verdict", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    done = mtkd(*START, "--no-baseline", "--json")
    assert done.exit_code == 0
    assert "verdict" in json.loads(done.stdout)


def test_a_second_signal_ends_at_once_and_loses_nothing_that_was_kept(
    whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "on_step", at(FITS + STUDENT + 3, Progress.on_step, twice))
        stopped = mtkd(*START, "--json")
    assert stopped.exit_code == 130
    assert json.loads(stopped.stdout)["error"]["code"] == "interrupted"
    assert mtkd(*RESUME).exit_code == 0
    assert here() == whole


@pytest.mark.usefixtures("done")
def test_a_run_that_is_done_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "distill", None)
    for again in (RESUME, ("distill", "--resume", "runs/run"), (*START, "--auto-resume")):
        shown = mtkd(*again)
        assert shown.exit_code == 0
        assert "Everything is in runs/run/" in shown.stdout


def test_auto_resume_starts_or_goes_on(whole: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
        patch.setattr(Progress, "on_step", at(FITS + 6, Progress.on_step, stop))
        assert mtkd(*START, "--auto-resume").exit_code == 75
    assert mtkd(*START).exit_code == 2
    assert mtkd(*START, "--auto-resume").exit_code == 0
    assert here() == whole


@pytest.mark.usefixtures("done")
def test_a_result_that_was_damaged_is_made_again(whole: dict[str, Any]) -> None:
    (Path("runs/run/student.safetensors")).write_bytes(b"damaged")
    assert mtkd(*RESUME).exit_code == 0
    assert here() == whole


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.batch_size=32", "recipe.train.batch_size: 256 became 32"),
        ("train.epochs=2", "recipe.train.epochs: 3 became 2"),
        ("data.labels=70", "data.samples.val: "),
        ("teachers.1.model=convnet:5", "teachers.convnet-4.hash"),
        ("--threads=2", "engine.threads: 1 became 2"),
    ],
)
@pytest.mark.usefixtures("done")
def test_a_run_does_not_go_on_with_something_else(change: str, said: str) -> None:
    Path("runs/run/report.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*") if path.name != "log.txt"}
    refused = mtkd(*RESUME, change)
    assert refused.exit_code == 2
    assert said in refused.stderr
    after = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*") if path.name != "log.txt"}
    del before[Path("runs/run/.lock")], after[Path("runs/run/.lock")]
    assert after == before


def test_a_checkpoint_of_a_teacher_that_changed_is_named() -> None:
    from mtkd_cli.interfaces import ModelRequest
    from mtkd_cli.safe_loading import weights
    from mtkd_teachers.mlp import MlpProvider

    module = MlpProvider().build(ModelRequest("4", 1, 8, 10, pretrained=False)).module
    weights.write(Path("t.safetensors"), module.state_dict())
    known = ("teachers=[{model: 'mlp:4', checkpoint: t.safetensors}]", "train={epochs: 1, lr: 0.01}")
    assert mtkd(*START, *known, "--no-baseline").exit_code == 0
    weights.write(Path("t.safetensors"), {name: tensor + 1 for name, tensor in module.state_dict().items()})
    refused = mtkd(*RESUME, "train.epochs=2")
    assert refused.exit_code == 2
    assert "teachers.mlp-4.checkpoint: " in refused.stderr


@pytest.mark.usefixtures("done")
def test_more_epochs_go_on_from_where_the_run_was() -> None:
    before = metrics_log.read(Path("runs/run/metrics.jsonl"))
    assert mtkd(*RESUME, "train.epochs=5").exit_code == 0
    rows = metrics_log.read(Path("runs/run/metrics.jsonl"))
    given = [
        row for row in rows if row.get("candidate", 0) <= 2 and row["phase"] in ("distill", "student alone")
    ]  # others lie beyond the range of rates
    assert sorted((row["candidate"], row["epoch"]) for row in given if row["phase"] == "distill") == [
        (candidate, epoch) for candidate in (1, 2) for epoch in (1, 2, 3, 4, 5)
    ]
    assert all(row in rows for row in before if not row["phase"].startswith("student "))
    assert [row["step"] for row in given if row["phase"] == "student alone"] == [5, 10, 15, 20, 25] * 2
    assert json.loads(Path("runs/run/report.json").read_text())["views"] == 2
    assert "recipe.train.epochs: 3 became 5" in Path("runs/run/log.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--resume", "other"), "no resumable run named 'other'"),
        (("--resume", "../run"), "no resumable run named '../run'"),
        (("digits", "--resume", "run"), "uses the recipe of the run"),
        (("--resume", "run", "--name", "x"), "cannot be combined with"),
        (("digits", "--auto-resume"), "--name"),
        ((), "the recipe is missing"),
    ],
)
def test_a_wrong_call_is_explained(arguments: tuple[str, ...], said: str) -> None:
    result = mtkd("distill", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_full_disk_at_a_checkpoint_loses_none(
    whole: dict[str, Any], whole_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole_place / "store", os.environ["MTKD_STORE"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with monkeypatch.context() as patch:
        fill = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))  # noqa: E731
        patch.setattr(checkpoint, "write", at(3, checkpoint.write, fill))
        full = mtkd(*START)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert full.exit_code == 3
    assert "bytes are needed" in full.stderr
    assert not list(Path("runs").rglob("*.partial"))
    assert mtkd(*START, "--auto-resume").exit_code == 0
    assert {**here(), "rows": 0} == {**whole, "rows": 0}  # the fits were found, so they have no rows


def test_if_every_checkpoint_is_damaged_the_run_says_so_and_removes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        stop = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
        patch.setattr(Progress, "on_step", at(FITS + 12, Progress.on_step, stop))
        mtkd(*START)
    files = sorted(Path("runs/run/checkpoints").rglob("*.safetensors"))
    assert len(files) == 2
    for file in files:
        file.write_bytes(file.read_bytes()[:-1])
    damaged = mtkd(*RESUME)
    assert damaged.exit_code == 3
    assert "every checkpoint is damaged" in damaged.stderr
    assert sorted(Path("runs/run/checkpoints").rglob("*.safetensors")) == files


def test_a_run_goes_on_with_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MACS_PER_THREAD", 1)  # so that every step uses two
    small = ("train.lr=0.01", "student=mlp:8", "teachers=[{model: 'mlp:4', fit: all}]")  # threads wait a lot
    automatic = (*START[: START.index("--threads")], *small, "--no-baseline")
    torch.set_num_threads(2)
    assert mtkd(*automatic).exit_code == 0
    whole = here()
    shutil.rmtree("runs")
    shutil.rmtree(os.environ["MTKD_STORE"])
    with monkeypatch.context() as patch:
        stop = lambda: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
        patch.setattr(Progress, "on_step", at(FITS + 6, Progress.on_step, stop))
        assert mtkd(*automatic).exit_code == 75
    torch.set_num_threads(1)  # as on a machine with other defaults
    used: set[int] = set()
    resumed = at(1, Progress.on_step, lambda: used.add(torch.get_num_threads()))
    monkeypatch.setattr(Progress, "on_step", resumed)
    assert mtkd(*RESUME).exit_code == 0
    assert used == {2}
    assert here() == whole
