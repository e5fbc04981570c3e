"""A run folder is deleted by the process that made it only, and only if there is nothing to resume."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from mtkd_cli.errors import DataError, EngineError, MtkdError
from mtkd_cli.files import run_lock
from mtkd_cli.runs.folder import Run, training_point

FOLDER = Path("runs/run")


def fail(error: BaseException, *, began: bool) -> None:
    """Let a new run fail, before or after its manifest is written."""
    with pytest.raises(type(error)), Run("run", resume=True) as run:
        if began:
            (FOLDER / "recipe.yaml").write_text("recipe")
            run._write_manifest({"format": 1})
        raise error


@pytest.mark.parametrize("began", [False, True])
def test_new_run_that_fails_leaves_nothing(began: bool) -> None:
    fail(DataError("bad"), began=began)
    assert not FOLDER.exists()


def test_run_whose_other_processes_are_gone_can_be_resumed() -> None:
    fail(EngineError("gone"), began=True)
    assert (FOLDER / "recipe.yaml").exists()
    assert "gone" in (FOLDER / "log.txt").read_text()


@pytest.mark.parametrize("error", [EngineError("gone"), DataError("bad"), KeyboardInterrupt()])
def test_recipe_of_a_killed_process_is_kept(error: MtkdError) -> None:
    FOLDER.mkdir(parents=True)
    (FOLDER / "recipe.yaml").write_text("recipe")
    fail(error, began=False)
    assert (FOLDER / "recipe.yaml").read_text() == "recipe"


def test_lock_is_held_until_all_else_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    unlink, locked = Path.unlink, []

    def watched(path: Path, missing_ok: bool = False) -> None:
        with (FOLDER / run_lock.NAME).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                locked.append(path.name)
        unlink(path, missing_ok)

    with pytest.raises(DataError), Run("run"):
        (FOLDER / "recipe.yaml").write_text("recipe")
        monkeypatch.setattr(Path, "unlink", watched)
        raise DataError("bad")
    assert locked == ["recipe.yaml", run_lock.NAME]
    assert not FOLDER.exists()


def test_training_point_is_that_of_the_last_candidate() -> None:
    checkpoints = Path("checkpoints")
    assert training_point(checkpoints) == "step 0"
    for name in ("candidate-1/step-000000020", "candidate-1/damaged-step-000000030"):
        (checkpoints / name).mkdir(parents=True)
    assert training_point(checkpoints) == "step 20"
    for name in ("candidate-10/step-000000007", "candidate-10/step-000000009", "candidate-2/step-000000020"):
        (checkpoints / name).mkdir(parents=True)
    assert training_point(checkpoints) == "step 9 of candidate 10"
