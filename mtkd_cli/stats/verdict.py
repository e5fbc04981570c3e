"""BEATS, DOES NOT BEAT or INCONCLUSIVE: verdicts of several paired tests that are read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mtkd_cli.stats.multiple import holm
from mtkd_cli.stats.paired_test import Paired
from mtkd_cli.stats.sequential import Look, seeds_to_settle

BEATS, DOES_NOT_BEAT, INCONCLUSIVE = "BEATS", "DOES NOT BEAT", "INCONCLUSIVE"


@dataclass(frozen=True)
class Verdict:
    """The verdict of one test.

    Attributes:
        word: `BEATS`, `DOES_NOT_BEAT` or `INCONCLUSIVE`.
        paired: the test.
        p_holm: its p value after Holm's correction over the tests that are read together.
        seeds_to_settle: see `sequential.seeds_to_settle`; None if the test is settled.
    """

    word: str
    paired: Paired
    p_holm: float
    seeds_to_settle: int | None


def judge(family: Sequence[Paired], look: Look) -> list[Verdict]:
    """Return the verdicts of tests that are read together.

    Holm (1979): the chance of any false BEATS or DOES NOT BEAT in the family is at most the level of the
    look, whatever the dependence of the tests.

    Args:
        family: the tests.
        look: the seeds of the comparison, and those that were compared before.
    """
    adjusted = holm([test.p for test in family])
    return [_verdict(test, p, len(family), look) for test, p in zip(family, adjusted, strict=True)]


def _verdict(test: Paired, p_holm: float, family: int, look: Look) -> Verdict:
    if p_holm >= look.level:
        return Verdict(INCONCLUSIVE, test, p_holm, seeds_to_settle(test, family, look))
    return Verdict(BEATS if test.gain > 0 else DOES_NOT_BEAT, test, p_holm, None)
