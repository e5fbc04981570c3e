"""Sequential tests: the same comparison tested again after adding seeds.

A user who adds the recommended number of seeds tests a second time. An alpha-spending function (Lan and
DeMets 1983) assigns a cumulative level to each number of seeds, so that all tests together keep the level,
whenever they are made.
"""

from __future__ import annotations

from collections.abc import Sequence

from mtkd_cli.stats.paired_test import LEVEL, Paired
from mtkd_cli.stats.paired_test import seeds_to_settle as _seeds_to_settle

HALF_AT = 3
"""Number of seeds at which half of the level is spent."""


def spent(seeds: int) -> float:
    """Return the cumulative level of all tests with up to the given number of seeds."""
    return LEVEL * max(0.0, 1 - HALF_AT / 2 / seeds) if seeds else 0.0


def level_at(seeds: int, earlier: Sequence[int] = ()) -> float:
    """Return the level of one test. The levels of all tests sum to at most 5 %.

    Args:
        seeds: number of seeds of this test.
        earlier: numbers of seeds of the earlier tests.
    """
    return max(0.0, spent(seeds) - max(map(spent, earlier), default=0.0))


def seeds_to_settle(test: Paired, family: int) -> int | None:
    """Return the number of seeds for a conclusive next test with probability 80 %.

    Args:
        test: the current test; its gain and deviation are assumed to stay the same.
        family: number of tests in the family.
    """
    return _seeds_to_settle(test, family, lambda seeds: level_at(seeds, [test.seeds]))
