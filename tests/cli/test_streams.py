"""stdout and stderr on a full disk or closed, a deleted folder: a message and an exit code, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtkd_cli.cli import streams

FULL = Path("/dev/full")


def shell(command: str, cwd: str = ".") -> subprocess.CompletedProcess[str]:
    """Run a command line with ``mtkd`` in a real process, whose streams it may redirect."""
    line = command.replace("mtkd", f"{sys.executable} -m mtkd_cli")
    return subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, cwd=cwd)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", ["list --json", "list", "--help", "version", "show recipe digits"])
def test_full_disk_behind_stdout(command: str) -> None:
    done = shell(f"mtkd {command} > /dev/full")
    assert done.returncode == 3
    assert done.stderr.startswith("error: the output cannot be written: No space left on device\n")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_error_goes_to_stderr_if_its_json_cannot_be_written() -> None:
    done = shell("mtkd distill nothing --json > /dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no 'nothing' in recipes")
    assert shell("mtkd distill nothing > /dev/full 2>&1").returncode == 2


@pytest.mark.parametrize(("redirect", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0)])
def test_closed_streams(redirect: str, code: int) -> None:
    done = shell(f"mtkd list --json {redirect}")
    assert (done.returncode, done.stderr) == (code, "")


def test_deleted_working_directory() -> None:
    Path("gone").mkdir()
    done = shell("rmdir ../gone; mtkd doctor --json", cwd="gone")
    assert done.returncode == 2
    assert "the working directory does not exist" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("width", ["0", "-1", "x", "", "\u00b2", "9" * 30])
@pytest.mark.parametrize("name", ["COLUMNS", "TERMINAL_WIDTH"])
def test_impossible_width_counts_as_unset(name: str, width: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in streams.WIDTHS:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, width)
    streams.prepare()
    assert name not in os.environ
    monkeypatch.setenv(name, "33")
    streams.prepare()
    assert os.environ[name] == "33"


@pytest.mark.parametrize("command", ["--help", "list strategies"])
def test_terminal_of_no_width(command: str) -> None:
    done = shell(f"COLUMNS=0 TERMINAL_WIDTH=x mtkd {command}")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 10
    assert max(map(len, done.stdout.splitlines())) > 40
