"""What a run trained in several numbers of processes is found by that run only."""

from __future__ import annotations

from pathlib import Path

from mtkd_cli.store import content_store
from mtkd_cli.store.own_key import continue_unfinished, key_of_run

KEY = {"a": 1}


def keep(key: dict[str, object], text: str = "") -> Path:
    return content_store.keep("fitted", key, lambda folder: (folder / "x").write_text(text) and None)


def test_run_uses_its_own_key_unless_the_usual_result_exists() -> None:
    assert key_of_run("fitted", KEY, "") == KEY
    own = key_of_run("fitted", KEY, "mine")
    assert own == {**KEY, "run": "mine"}
    assert key_of_run("fitted", KEY, "another") not in (KEY, own)
    keep(KEY)
    assert key_of_run("fitted", KEY, "mine") == KEY


def test_run_keeps_its_own_result_when_the_usual_one_is_made_later() -> None:
    own = key_of_run("fitted", KEY, "mine")
    keep(own)
    keep(KEY)
    assert key_of_run("fitted", KEY, "mine") == own


def test_damaged_usual_result_is_not_continued_under_its_key() -> None:
    (keep(KEY, "text") / "x").write_text("other")
    assert key_of_run("fitted", KEY, "mine") == {**KEY, "run": "mine"}


def test_unfinished_work_goes_on_under_the_own_key_and_stays_for_others() -> None:
    own = key_of_run("fitted", KEY, "mine")
    old = content_store.unfinished_folder("fitted", KEY)
    new = content_store.unfinished_folder("fitted", own)
    continue_unfinished("fitted", own)
    assert not new.exists()
    (old / "step-000000001").mkdir(parents=True)
    (old / "step-000000001/file").write_text("one")
    continue_unfinished("fitted", KEY)
    continue_unfinished("fitted", own)
    assert (new / "step-000000001/file").read_text() == "one"
    (old / "step-000000001/file").write_text("two")
    continue_unfinished("fitted", own)
    assert (new / "step-000000001/file").read_text() == "one"
    assert sorted(path.name for path in old.parent.iterdir() if path.suffix != ".lock") == sorted(
        (old.name, new.name)
    )


def test_work_of_a_running_process_is_not_copied() -> None:
    own = key_of_run("fitted", KEY, "mine")
    old = content_store.unfinished_folder("fitted", KEY)
    old.mkdir(parents=True)
    with content_store.lock_folder(old):
        continue_unfinished("fitted", own)
    assert not content_store.unfinished_folder("fitted", own).exists()
