"""Check that a tracker can follow a run."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mtkd_cli.errors import MtkdError, type_and_first_line
from mtkd_cli.specs import TrackerSpec
from mtkd_cli.testing.broken import NotCheckedError, require

ROWS: tuple[dict[str, Any], ...] = tuple(
    {"phase": phase, "step": step, "epoch": 1, "lr": 1e-2, "task_loss": 1.0, "kd_loss": 0.5, "accuracy": 0.5}
    for phase in ("fit first", "distill")
    for step in (10, 20)
)
RECIPE = {"task": {"name": "mine"}, "teachers": [{"name": "first"}]}
REPORT = {"scores": {"student": {"accuracy": 0.5}}, "verdict": {"sentence": "It paid."}}


def check_tracker(factory: Callable[[], Any], spec: TrackerSpec) -> None:
    """Check a tracker with the events of a short run.

    Args:
        factory: returns the tracker with its options.
        spec: spec of the tracker.

    Raises:
        BrokenRuleError: a rule is broken; names the first one.
        NotCheckedError: the tracker raises an `MtkdError`, for example for a missing package.
    """
    who = f"the tracker {spec.name!r}"
    with tempfile.TemporaryDirectory() as folder:
        calls: list[tuple[str, tuple[Any, ...]]] = [
            ("run_started", (RECIPE, Path(folder))),
            *(("epoch_finished", (row,)) for row in ROWS),
            ("run_finished", (REPORT,)),
        ]
        tracker = factory()
        for method, _ in calls:
            require(hasattr(tracker, method), who, "it has every method", f"{method} is missing")
        for method, arguments in calls:
            given = copy.deepcopy(arguments)
            try:
                getattr(tracker, method)(*given)
            except MtkdError as error:
                raise NotCheckedError(f"{error.what}; {error.hint}") from error
            except Exception as error:
                require(False, who, "it follows a run", f"{method}: {type_and_first_line(error)}")
            require(given == arguments, who, "arguments are not changed", f"{method} changes one")
