"""The first process that fails reports its error; the launcher may be gone."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from mtkd_cli.cli import console
from mtkd_cli.distributed import first_failure
from mtkd_cli.errors import DataError


def test_records_only_first_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_failure.record(5)  # alone, every failure is told
    failure = tmp_path / "failure"
    monkeypatch.setenv(first_failure.FILE, str(failure))
    assert [first_failure.record(code) for code in (5, 75, 130)] == [False] * 3
    assert first_failure.read_exit_code(failure) == 0
    assert [first_failure.record(code) for code in (3, 4)] == [True, False]
    assert first_failure.read_exit_code(failure) == 3


def test_records_first_failure_with_debug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(first_failure.FILE, str(tmp_path / "failure"))
    monkeypatch.setattr(console, "debug", True)
    with pytest.raises(DataError, match="first"), console.report_errors(as_json=False):
        raise DataError("first")
    assert first_failure.read_exit_code(tmp_path / "failure") == 3
    with pytest.raises(typer.Exit), console.report_errors(as_json=False):
        raise DataError("because of the first")


def test_closed_pipe_is_recorded_as_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(first_failure.FILE, str(tmp_path / "failure"))
    with pytest.raises(BrokenPipeError), console.report_errors(as_json=True):
        raise BrokenPipeError
    assert first_failure.read_exit_code(tmp_path / "failure") == 1


def test_process_goes_on_after_its_launcher_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(first_failure.FILE, str(tmp_path / "gone/failure"))
    first_failure.mark_started()
    first_failure.mark_finished()
    assert first_failure.record(3)
