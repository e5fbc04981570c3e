"""The changes of the number of processes of a run, in words and in its manifest."""

from __future__ import annotations

from typing import Any

import pytest

from mtkd_cli.training.process_changes import changes_of_run, last_process_count


def resume(begun: dict[str, Any], processes: int, point: str) -> dict[str, Any]:
    changes = changes_of_run(begun, "run", processes, point)
    assert changes is not None
    return {**begun, "process_changes": changes.as_list()}


def test_run_with_its_own_number_has_no_changes() -> None:
    assert changes_of_run(None, "run", 2, "") is None
    assert changes_of_run({"engine": {}}, "run", 1, "") is None
    assert changes_of_run({"engine": {"processes": 2}}, "run", 2, "") is None


def test_every_change_is_kept_and_said() -> None:
    begun: dict[str, Any] = {"engine": {"processes": 2}, "started": "today"}
    once = resume(begun, 1, "step 3")
    assert last_process_count(begun) == 2
    assert last_process_count(once) == 1
    assert resume(once, 1, "step 5") == once
    changes = changes_of_run(resume(once, 3, "step 7"), "run", 2, "step 9 of candidate 2")
    assert changes is not None
    assert changes.sentence == (
        "continued with 1 process instead of 2 from step 3; "
        "continued with 3 processes instead of 1 from step 7; "
        "continued with 2 processes instead of 3 from step 9 of candidate 2; "
        "results are equal up to rounding, except for BatchNorm and dropout"
    )
    assert (changes.began, changes.run) == (2, "run today")


@pytest.mark.parametrize("name", ["a", "b"])
def test_results_belong_to_one_run(name: str) -> None:
    changes = changes_of_run({"engine": {}, "started": "today"}, name, 2, "step 0")
    assert changes is not None
    assert changes.run == f"{name} today"
