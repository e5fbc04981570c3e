"""Locks between processes: one holder at a time, none left by a killed process."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.files import atomic
from mtkd_cli.files.lock import lock, open_locked
from mtkd_cli.files.run_lock import take
from mtkd_cli.store import content_store, mapped_arrays

HOLD = (
    "import sys, time; from pathlib import Path; from mtkd_cli.files.lock import open_locked\n"
    "file = open_locked(Path(sys.argv[1])); print('held', flush=True); time.sleep(600)"
)


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_lock_excludes_until_holder_is_killed() -> None:
    path = Path("made/for/it/.lock")
    with holder(path) as process:
        with pytest.raises(BlockingIOError):
            open_locked(path)
        with pytest.raises(BlockingIOError):
            open_locked(path, seconds=0.1)
        process.kill()
        process.wait()
        open_locked(path).close()


def test_waits_for_lock() -> None:
    first = open_locked(Path(".lock"))
    threading.Timer(0.2, first.close).start()
    open_locked(Path(".lock"), seconds=60).close()
    assert first.closed


def test_removed_lock_file_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    path, real, removed = Path("run/.lock"), fcntl.flock, []

    def flock(file: Any, how: int) -> None:
        real(file, how)
        if not removed:
            removed.append(path.unlink())

    monkeypatch.setattr(fcntl, "flock", flock)
    with open_locked(path), pytest.raises(BlockingIOError):
        open_locked(path)
    assert removed


def test_failed_lock_keeps_holder_name() -> None:
    with open_locked(Path(".lock")) as file:
        file.write(b"me")
        file.flush()
        with pytest.raises(BlockingIOError):
            open_locked(Path(".lock"))
        assert Path(".lock").read_bytes() == b"me"


def test_shared_locks_exclude_exclusive_lock() -> None:
    Path("x").write_bytes(b"")
    with Path("x").open("rb") as one, Path("x").open("rb") as two, Path("x").open("rb") as three:
        assert lock(one, shared=True)
        assert lock(two, shared=True)
        with pytest.raises(BlockingIOError):
            lock(three)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_file_system_without_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(file: Any, how: int) -> None:
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    Path("run").mkdir()
    take(Path("run")).close()
    with content_store.lock_folder(Path("store/outputs/x")):
        pass
    other = Path(".file.abc.work")
    other.mkdir()
    with atomic.workplace(Path("file")):
        assert other.is_dir(), "another process may be writing in it"
    Path("store/x.npy").write_bytes(b"")
    with mapped_arrays.reserve(Path("store")) as free:
        assert not free, "another process may be reading it"


def test_rejects_locked_store_folder() -> None:
    folder = content_store.root() / "outputs" / "x"
    again = content_store.lock_folder(folder, wait=False)
    with content_store.lock_folder(folder), pytest.raises(BlockingIOError), again:
        pass
