"""Plain successive halving: how many students each rung trains, for how many steps.

The last rung ends at half of the steps of a run, each one before at a third of the next; a third of the
students survives a rung. Twelve students, for example: 12 to 1/18 of the steps, 4 to 1/6, 2 to 1/2. With the
whole run of the pick that is 23 % of the steps of all runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FACTOR = 3
"""Survivors and steps of a rung change by this factor."""
LAST = 2
"""The last rung divides the steps of a run by this number, and compares as many students."""


@dataclass(frozen=True)
class Rung:
    """One rung.

    Attributes:
        students: number of students.
        until: steps of a student at the end of the rung, those of the rungs before included.
        steps: steps of a student in this rung.
    """

    students: int
    until: int
    steps: int


def plan_rungs(students: int, steps: int, fewest: int = 1) -> list[Rung]:
    """Return the rungs of a search; none for a single student.

    Args:
        students: number of students.
        steps: steps of a run.
        fewest: smallest number of steps in a rung, as those of an epoch.
    """
    if students < 2:
        return []
    counts = [students]
    while counts[-1] > LAST:
        counts.append(max(LAST, math.ceil(counts[-1] / FACTOR)))
    ends = [max(1, round(steps / LAST / FACTOR ** (len(counts) - 1 - index))) for index in range(len(counts))]
    rungs: list[Rung] = []
    for count, end in zip(counts, ends, strict=True):
        before = rungs[-1].until if rungs else 0
        until = max(end, before + fewest)
        rungs.append(Rung(count, until, until - before))
    return rungs


def planned_steps(rungs: list[Rung], settings: int) -> int:
    """Return the number of steps of all rungs.

    Args:
        rungs: the rungs.
        settings: number of settings (learning rates, weight decays) that the first rung tries.
    """
    first, *others = rungs
    return first.students * settings * first.steps + sum(rung.students * rung.steps for rung in others)
