"""Folders that are filled once are claimed by workers, where locks do not reach other machines."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from mtkd_cli.files import lock
from mtkd_cli.store import content_store, worker_claims
from mtkd_cli.store.worker_claims import ClaimLostError
from tests.fixtures.no_locks import NoLocks

KEY = {"teacher": "a"}


@pytest.fixture(autouse=True)
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "fcntl", NoLocks)


def write(folder: Path) -> None:
    (folder / "weights").write_text("right")


def fork(work: Callable[[], object]) -> int:
    """Run a function in another process; return its exit code."""
    number = os.fork()
    if not number:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def fill_as_other_worker() -> None:
    with worker_claims.claiming():
        content_store.keep("fitted", KEY, write)


def lose_claims() -> None:
    """Make all claims so old that their owner, this process, counts as lost."""
    files = list(content_store.root().glob("*/.*.claim.*"))
    assert files
    for file in files:
        changed = file.stat().st_mtime - 1000
        os.utime(file, (changed, changed))


@pytest.mark.parametrize("step", ["writes", "asks", "is done"])
def test_worker_that_was_overtaken_uses_the_result_of_the_other(step: str) -> None:
    """It was paused while it filled a folder, and another one has filled it meanwhile."""
    folder = content_store.folder_of("fitted", KEY)
    with worker_claims.claiming():
        with content_store.fill_once("fitted", KEY) as part:
            assert part is not None
            write(part)
            lose_claims()
            assert fork(fill_as_other_worker) == 0
            before = (folder / "manifest.json").stat().st_mtime_ns
            if step == "writes":
                (part / "more").write_text("the folder is gone")
            elif step == "asks":
                worker_claims.require_held(folder)
        assert content_store.is_intact(folder)
        assert (folder / "manifest.json").stat().st_mtime_ns == before
    assert [path.name for path in folder.parent.iterdir() if "claim" in path.name] == []
    assert not list(folder.parent.glob("*.partial"))


def test_error_of_the_owner_is_raised_and_releases_the_claim() -> None:
    with worker_claims.claiming():
        with pytest.raises(ValueError, match="mine"), content_store.fill_once("fitted", KEY):
            raise ValueError("mine")
        assert fork(fill_as_other_worker) == 0


def test_others_wait_only_if_they_are_asked_to() -> None:
    def try_to_fill() -> None:
        with (
            pytest.raises(BlockingIOError),
            worker_claims.claiming(),
            content_store.fill_once("fitted", KEY, wait=False),
        ):
            pass

    with worker_claims.claiming(), content_store.fill_once("fitted", KEY) as part:
        assert part is not None
        write(part)
        assert fork(try_to_fill) == 0
    assert fork(fill_as_other_worker) == 0


def test_loss_is_an_error_only_for_workers() -> None:
    folder = content_store.folder_of("fitted", KEY)
    worker_claims.require_held(folder)
    with worker_claims.claiming(), pytest.raises(ClaimLostError):
        worker_claims.require_held(folder)
