"""Tests that are looked at, then looked at again with more seeds.

A user who is told "about 12 seeds would settle it" and then adds seeds tests twice. An alpha-spending
function (Lan and DeMets 1983) says how much of the level has been spent by each number of seeds, so that all
looks together stay within it, whenever they are taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from mtkd_cli.stats.paired_test import LEVEL, Paired
from mtkd_cli.stats.paired_test import seeds_to_settle as _seeds_to_settle

HALF_AT = 3
"""Seeds by which half of the level is spent."""


def spent(seeds: int) -> float:
    """Return the share of true nulls that looks with up to so many seeds may reject: half of it by 3."""
    return LEVEL * max(0.0, 1 - HALF_AT / 2 / seeds) if seeds else 0.0


def level_at(seeds: int, earlier: Sequence[int] = ()) -> float:
    """Return the level of a look: what is newly spent, so that levels of all looks sum to 5 % at most.

    Args:
        seeds: of this look.
        earlier: numbers of seeds of the looks before it.
    """
    return max(0.0, spent(seeds) - max(map(spent, earlier), default=0.0))


def seeds_to_settle(test: Paired, family: int) -> int | None:
    """Return how many seeds would settle, at the next look, with 80 % chance, what this look left open.

    Args:
        test: this look, if gain and deviation are as measured.
        family: number of tests that are read together.
    """
    return _seeds_to_settle(test, family, lambda seeds: level_at(seeds, [test.seeds]))
