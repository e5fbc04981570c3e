"""``mtkd record --worker``."""

from __future__ import annotations

import json

import pytest

from mtkd_cli.store import content_store
from tests.fixtures.command_line import mtkd
from tests.fixtures.small_runs import SMALL


def test_worker_records_what_one_process_records(monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("record", "digits", *SMALL, "fit.epochs=1", "views=2", "--threads", "1", "--json")
    alone = mtkd(*command)
    assert alone.exit_code == 0, alone.output
    arrays = {path.parent.name: path.read_bytes() for path in content_store.root().glob("outputs/*/*.npy")}
    monkeypatch.setenv("MTKD_STORE", "shared")
    for _ in range(2):
        worker = mtkd(*command, "--worker")
        assert json.loads(worker.stdout) == json.loads(alone.stdout)
        shared = content_store.root().glob("outputs/*/*.npy")
        assert {path.parent.name: path.read_bytes() for path in shared} == arrays
    assert not list(content_store.root().glob("**/*claim*"))
    assert not list(content_store.root().glob("**/*.unfinished"))


@pytest.mark.parametrize("option", [("--processes", "2"), ("--nodes", "2")])
def test_workers_do_not_connect(option: tuple[str, str]) -> None:
    done = mtkd("record", "digits", "--worker", *option)
    assert done.exit_code == 2
    assert "workers do not connect to each other" in done.stderr


def test_rejects_invalid_time() -> None:
    done = mtkd("record", "digits", "--worker", MTKD_LOST_AFTER="soon")
    assert done.exit_code == 2
    assert "MTKD_LOST_AFTER" in done.stderr
