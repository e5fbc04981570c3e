"""Temporary folders of killed processes are removed by the next process; those in use are kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mtkd_cli.files import atomic
from mtkd_cli.files.temporary import temporary_folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_folder_is_removed_at_the_end(temporary: Path) -> None:
    with temporary_folder() as one, temporary_folder() as other:
        (one / "file").write_text("x")
        assert one != other
        assert sorted(temporary.iterdir()) == sorted((one, other))
    assert not list(temporary.iterdir())


def test_next_process_removes_the_folder_of_a_killed_one(temporary: Path) -> None:
    program = """
import os
from mtkd_cli.files.temporary import temporary_folder
with temporary_folder() as folder:
    (folder / "file").write_text("x")
    os.kill(os.getpid(), 9)
"""
    told = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run([sys.executable, "-c", program], env=told, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = temporary.iterdir()
    with temporary_folder():
        assert not left.exists()


def test_other_files_of_that_name_neither_block_nor_fail(temporary: Path) -> None:
    os.mkfifo(temporary / f".mtkd-{os.getuid()}.pipe{atomic.WORK}")
    (temporary / f".mtkd-{os.getuid()}.link{atomic.WORK}").symlink_to("nowhere")
    with temporary_folder() as folder:
        assert folder.is_dir()


def test_another_folder_is_made_if_the_new_one_is_taken_for_a_left_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[Path] = []
    lock = atomic.lock

    def lock_late(handle: int, wait: bool = False) -> bool:
        if not taken:
            taken.append(Path(f"/proc/self/fd/{handle}").readlink())
            taken[0].rmdir()
        return lock(handle, wait=wait)

    monkeypatch.setattr(atomic, "lock", lock_late)
    with temporary_folder() as folder:
        assert folder.is_dir()
        assert folder != taken[0]
