"""Recording survives kills, concurrent recorders, full disks and damaged files."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtkd_cli.errors import DataError
from mtkd_cli.files import atomic
from mtkd_cli.runs import students
from mtkd_cli.runs.baselines import Baseline, train_baseline
from mtkd_cli.runs.folder import Run
from mtkd_cli.store import inventory, recorded_outputs
from mtkd_cli.store.row_format import Layout
from mtkd_cli.teachers import fine_tuning, load, prepare
from mtkd_cli.teachers.resolved_teacher import resolve_teachers
from tests.fixtures.command_line import mtkd
from tests.fixtures.run_results import run_result
from tests.fixtures.small_runs import Contexts

VIEWS = 30
SMALL = (
    "data.labels=60",
    "fit={epochs: 1, labels: student}",
    "train.epochs=1",
    "train.lr=0.01",
    "student=mlp:4",
)
ONE = (*SMALL, "teachers=[{model: 'mlp:4', fit: all}]")
MANY = (*SMALL, "teachers=[{model: 'convnet:16-32', fit: all}]", f"views={VIEWS}", "augment.shift=0.1")


FILE_TOO_LARGE = os.strerror(errno.EFBIG)
STOPPING = """
import os, sys
from mtkd_cli.store import recorded_outputs
from mtkd_cli.__main__ import main
from tests.fixtures.run_results import run_result

left, signal_number = int(sys.argv.pop(1)), int(sys.argv.pop(1))
write_shard = recorded_outputs.write_shard

def counted(*arguments):
    global left
    write_shard(*arguments)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal_number)

recorded_outputs.write_shard = counted
main()
"""
"""mtkd that sends itself a signal after writing a number of shards."""


def recorder(folder: Path, shards: int = -1, sent: int = 0) -> subprocess.Popen[str]:
    """Start ``mtkd record`` on a store, as a process that Ctrl-C reaches; it may get a signal on the way."""
    return subprocess.Popen(
        [sys.executable, "-c", STOPPING, str(shards), str(sent), "record", "digits", *MANY, "--threads", "1"],
        env={**os.environ, "MTKD_STORE": str(folder), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )


def ledgers(folder: Path) -> dict[str, list[str]]:
    """Return the complete shards by the name of their array."""
    return {
        file.parent.name: [line for line in file.read_text().splitlines() if line]
        for file in folder.glob("outputs/*/shards.jsonl")
    }


def arrays(folder: Path) -> dict[str, bytes]:
    return {file.parent.name: file.read_bytes() for file in folder.glob("outputs/*/outputs.npy")}


def assert_each_shard_was_recorded_once(folder: Path) -> None:
    for lines in ledgers(folder).values():
        shards = [json.loads(line)["shard"] for line in lines]
        assert sorted(shards) == list(range(len(shards)))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The arrays of an uninterrupted recording."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTKD_STORE", str(folder))
        assert mtkd("record", "digits", *MANY, "--threads", "1").exit_code == 0
    found = arrays(folder)
    assert len(found) == VIEWS + 2
    return found


@pytest.mark.slow
def test_killed_recording_resumes(tmp_path: Path, uninterrupted: dict[str, bytes]) -> None:
    folder = tmp_path / "store"
    before: dict[str, list[str]] = {}
    for shards, how in ((5, signal.SIGKILL), (25, signal.SIGINT)):
        with recorder(folder, shards, how) as process:
            _, errors = process.communicate(timeout=300)
        assert process.returncode == (75 if how == signal.SIGINT else -how), errors
        assert how != signal.SIGINT or "interrupted" in errors
        after = ledgers(folder)
        for name, lines in before.items():
            assert after[name][: len(lines)] == lines
        before = after
    assert 30 <= sum(map(len, before.values())) < 2 * VIEWS
    with recorder(folder) as process:
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert arrays(folder) == uninterrupted
    assert_each_shard_was_recorded_once(folder)
    assert not list(folder.rglob("*.partial"))


@pytest.mark.slow
def test_concurrent_recorders_share_work(tmp_path: Path, uninterrupted: dict[str, bytes]) -> None:
    processes = [recorder(tmp_path / "store") for _ in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    assert arrays(tmp_path / "store") == uninterrupted
    assert_each_shard_was_recorded_once(tmp_path / "store")


@contextlib.contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Make every write beyond ``size`` bytes of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_reports_full_disk_and_resumes_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_STORE", str(tmp_path / "roomy"))
    assert mtkd("record", "digits", *ONE).exit_code == 0
    right = arrays(tmp_path / "roomy")
    for size in (0, 100, 1000, 3000, 6000, 12_000):
        folder = tmp_path / str(size)
        monkeypatch.setenv("MTKD_STORE", str(folder))
        with no_file_beyond(size):
            result = mtkd("record", "digits", *ONE)
        assert result.exit_code == 3, result.stderr
        assert FILE_TOO_LARGE in result.stderr
        assert "bytes are free" in result.stderr
        assert f"where: {folder}" in result.stderr
        assert "do: free space" in result.stderr
        assert not [*folder.rglob("*.partial"), *folder.rglob("*.npy.*")]
        assert not inventory.damaged_items()
        assert mtkd("record", "digits", *ONE).exit_code == 0
        assert arrays(folder) == right


@pytest.mark.parametrize("taken", ["", "outputs", "fitted", "teachers"])
def test_reports_file_instead_of_store_folder(tmp_path: Path, taken: str) -> None:
    file = tmp_path / "store" / taken
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    result = mtkd("record", "digits", *ONE)
    assert result.exit_code == 3, result.stderr
    assert f"where: {file}" in result.stderr
    assert "MTKD_STORE" in result.stderr
    assert file.read_text() == "mine"


def test_reports_read_only_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_STORE", "/proc/self/store")
    result = mtkd("record", "digits", *ONE)
    assert result.exit_code == 3, result.stderr
    assert "where: /proc/self/store" in result.stderr


@pytest.mark.parametrize("refused", ["fallocate works", errno.EOPNOTSUPP, None])
def test_allocates_whole_array_at_once(monkeypatch: pytest.MonkeyPatch, refused: Any) -> None:
    def refuse(*_: object) -> None:
        raise OSError(refused, "no")

    if refused is None:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    elif refused == errno.EOPNOTSUPP:
        monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    layout = Layout((100,), "fp32")
    array = recorded_outputs.create({"a": 1}, layout, 5000)
    about = (array.folder / "outputs.npy").stat()
    assert about.st_size >= 5000 * 100 * 4
    assert about.st_blocks * 512 >= about.st_size
    assert np.load(array.folder / "outputs.npy").shape == (5000, 100)
    with pytest.raises(DataError, match=FILE_TOO_LARGE), no_file_beyond(10_000):
        recorded_outputs.create({"a": 2}, layout, 5000)
    assert not recorded_outputs.folder_of({"a": 2}).exists()


def test_truncated_ledger_line_does_not_affect_others() -> None:
    layout, samples = Layout((10,), "fp32"), 3000
    array = recorded_outputs.create({"a": 1}, layout, samples)
    ledger = array.folder / "shards.jsonl"
    rows = np.random.default_rng(0).normal(size=(samples, 10)).astype(np.float32)
    for shard in range(layout.shard_count(samples)):
        part = rows[layout.rows_of(shard, samples)]
        recorded_outputs.write_shard(array, shard, part, samples)
        size = ledger.stat().st_size
        with pytest.raises(OSError, match=FILE_TOO_LARGE), no_file_beyond(size + 20):
            atomic.append_line(ledger, json.dumps({"shard": shard, "sha256": "0" * 64}))
        assert ledger.stat().st_size == size + 20
    assert recorded_outputs.missing_shards(array, samples) == []
    assert np.array_equal(array.rows, rows)


def test_reports_full_disk_for_run_folder(context: Contexts) -> None:
    run, job = context(*ONE), Run("full")
    run_file = job.folder / "student.safetensors"
    model = students.build_untrained(run)
    job.write_student(model, {"classes": ["a"]})
    before = {path: path.read_bytes() for path in job.folder.iterdir()}
    for write in (
        lambda: job.write_recipe(run.recipe),
        lambda: job.write_student(model, {}),
        lambda: job.write_report(run_result(0.5)),
        lambda: job.listeners[1].epoch_finished({}),
        lambda: job.log_file.line_logged("line"),
    ):
        with no_file_beyond(0), pytest.raises(DataError, match=f"{FILE_TOO_LARGE}.*bytes are free") as caught:
            write()
        assert caught.value.where.startswith(str(job.folder))
    assert run_file.is_file()
    assert {path: content for path in job.folder.iterdir() if (content := path.read_bytes())} == before


def flips(file: Path, times: int, seed: str) -> Iterator[None]:
    """Flip one random bit of a file, ``times`` times."""
    chance = random.Random(seed)
    for _ in range(times):
        content = bytearray(file.read_bytes())
        # Half of the flips go to the first 128 bytes, where the header of an array is.
        position = chance.randrange(min(len(content), 128) if chance.random() < 0.5 else len(content))
        content[position] ^= 1 << chance.randrange(8)
        file.write_bytes(content)
        yield


def only(pattern: str) -> Path:
    (found,) = Path(os.environ["MTKD_STORE"]).glob(pattern)
    return found


@pytest.mark.parametrize("top_k", [None, 3])
@pytest.mark.parametrize("name", ["outputs.npy", "shards.jsonl", "key.json"])
def test_detects_flipped_bits_of_recorded_outputs(context: Contexts, name: str, top_k: int | None) -> None:
    run = context(*ONE, f"store.top_k={top_k or 'null'}", "loss.temperature=1")
    ready = prepare.prepare_teachers(run, 1)[0]
    right = {pair: array[:] for pair, array in ready.arrays.items()}
    for _ in flips(ready.arrays["train", 0].folder / name, 40, f"{name}{top_k}"):
        for pair, array in prepare.prepare_teachers(run, 1)[0].arrays.items():
            assert torch.equal(array[:], right[pair])


def test_rejects_changed_layout(context: Contexts) -> None:
    run = context(*ONE, "store.top_k=3", "loss.temperature=1")
    array = prepare.prepare_teachers(run, 1)[0].arrays["train", 0]
    right, key = array[:], array.folder / "key.json"
    key.write_text(key.read_text().replace('"outputs": 10', '"outputs": 18'))
    assert torch.equal(prepare.prepare_teachers(run, 1)[0].arrays["train", 0][:], right)


@pytest.mark.parametrize("name", ["facts.json", "key.json", "manifest.json"])
def test_detects_flipped_bits_of_teacher_facts(context: Contexts, name: str) -> None:
    run = context(*ONE)

    def known() -> dict[str, Any]:
        ready = prepare.prepare_teachers(run, 1)[0]
        costs = {key: cost for key, cost in ready.facts["costs"].items() if not key.startswith("latency")}
        return {"alignment": ready.alignment, **ready.facts, "costs": costs}

    right = known()
    for _ in flips(only(f"teachers/*/{name}"), 40, name):
        assert known() == right


@pytest.mark.parametrize("name", ["teacher.safetensors", "curve.json", "key.json", "manifest.json"])
def test_detects_flipped_bits_of_fitted_teacher(context: Contexts, name: str) -> None:
    run = context(*ONE)
    teacher = resolve_teachers(run)[0]

    def weights() -> dict[str, torch.Tensor]:
        model = load.load_teacher(teacher.part, teacher.entry, run.data, run.task)
        return fine_tuning.fit_teacher(model, teacher, run).module.state_dict()

    right = weights()
    for _ in flips(only(f"fitted/*/{name}"), 40, name):
        assert all(torch.equal(tensor, right[n]) for n, tensor in weights().items())


@pytest.mark.parametrize("name", ["student.safetensors", "facts.json", "manifest.json"])
def test_detects_flipped_bits_of_baseline(context: Contexts, name: str) -> None:
    run = context(*ONE)
    right = train_baseline(Baseline("alone"), run)
    for _ in flips(only(f"alone/*/{name}"), 40, name):
        found = train_baseline(Baseline("alone"), run)
        assert (found.settings, found.trials, found.curve) == (right.settings, right.trials, right.curve)
        tensors = found.model.module.state_dict()
        assert all(torch.equal(t, tensors[n]) for n, t in right.model.module.state_dict().items())


def test_concurrent_appends_to_empty_ledger_keep_both_lines(tmp_path: Path) -> None:
    """Both processes find it empty before either writes."""
    path, opened = tmp_path / "shards.jsonl", Path.open
    first = True

    def open_late(self: Path, *arguments: Any, **options: Any) -> Any:
        nonlocal first
        file = opened(self, *arguments, **options)
        if first:
            first = False
            atomic.append_line(path, "second")
        return file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", open_late)
        atomic.append_line(path, "first")
    assert sorted(path.read_text().split()) == ["first", "second"]
