"""Recording survives kills, concurrent recorders, full disks and damaged files."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtkd_cli.distributed import signals
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
from tests.program import several  # noqa: F401  makes torch ready for forks
from tests.program.kill_harness import start, wait

VIEWS = 12
FLIPS = 20
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


def recorder(place: Path, shards: int = -1, sent: int = 0) -> int:
    """Fork ``mtkd record`` on the store of a folder; it may send itself a signal after some shards."""
    left = iter(range(shards - 1, -1, -1))
    write_shard = recorded_outputs.write_shard

    def counted(*arguments: Any) -> None:
        write_shard(*arguments)
        if next(left, -1) == 0:
            os.kill(os.getpid(), sent)

    def prepare_process() -> None:
        signals._finished = False  # an earlier command of this process has set it
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  pytest's is a file of its own
        recorded_outputs.write_shard = counted

    place.mkdir(exist_ok=True)
    return start(place, ("record", "digits", *MANY, "--threads", "1"), prepare_process)


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
    place, folder = tmp_path / "place", tmp_path / "place/store"
    before: dict[str, list[str]] = {}
    for shards, how in ((5, signal.SIGKILL), (7, signal.SIGINT)):
        code = wait(recorder(place, shards, how))
        shown = (place / "output.txt").read_text()
        assert code == (75 if how == signal.SIGINT else -how), shown
        assert how != signal.SIGINT or "interrupted" in shown
        after = ledgers(folder)
        for name, lines in before.items():
            assert after[name][: len(lines)] == lines
        before = after
    assert VIEWS <= sum(map(len, before.values())) < 2 * VIEWS
    assert wait(recorder(place)) == 0, (place / "output.txt").read_text()
    assert arrays(folder) == uninterrupted
    assert_each_shard_was_recorded_once(folder)
    assert not list(folder.rglob("*.partial"))


@pytest.mark.slow
def test_concurrent_recorders_share_work(tmp_path: Path, uninterrupted: dict[str, bytes]) -> None:
    place = tmp_path / "place"
    for process in [recorder(place), recorder(place)]:
        assert wait(process) == 0, (place / "output.txt").read_text()
    assert arrays(place / "store") == uninterrupted
    assert_each_shard_was_recorded_once(place / "store")


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
    for _ in flips(ready.arrays["train", 0].folder / name, FLIPS, f"{name}{top_k}"):
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
    for _ in flips(only(f"teachers/*/{name}"), FLIPS, name):
        assert known() == right


@pytest.mark.parametrize("name", ["teacher.safetensors", "curve.json", "key.json", "manifest.json"])
def test_detects_flipped_bits_of_fitted_teacher(context: Contexts, name: str) -> None:
    run = context(*ONE)
    teacher = resolve_teachers(run)[0]

    def weights() -> dict[str, torch.Tensor]:
        model = load.load_teacher(teacher.part, teacher.entry, run.data, run.task)
        return fine_tuning.fit_teacher(model, teacher, run).module.state_dict()

    right = weights()
    for _ in flips(only(f"fitted/*/{name}"), FLIPS, name):
        assert all(torch.equal(tensor, right[n]) for n, tensor in weights().items())


@pytest.mark.parametrize("name", ["student.safetensors", "facts.json", "manifest.json"])
def test_detects_flipped_bits_of_baseline(context: Contexts, name: str) -> None:
    run = context(*ONE)
    right = train_baseline(Baseline("alone"), run)
    for _ in flips(only(f"alone/*/{name}"), FLIPS, name):
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
