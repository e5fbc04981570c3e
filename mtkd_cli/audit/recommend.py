"""Which strategy to use: the evidence decides, and where it is silent nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping

from mtkd_cli.audit.panel import Outcome

DEFAULT = "mean"


def recommended(measured: Mapping[str, Outcome], own: str, higher_is_better: bool) -> str:
    """Return the name of the strategy to use.

    Of the strategies, those stay whose score the best one does not surely beat; of these, those
    whose loss the lowest does not surely beat: a student learns the whole answer, not only which
    class is first. If the recipe's own strategy is among them it stays, else ``mean`` if it is,
    else the one of the lowest loss. "Surely": the 95 % interval of the paired difference over
    validation samples leaves out zero.
    """
    names = sorted(measured)
    best = max(names, key=lambda n: measured[n].score[0] if higher_is_better else -measured[n].score[0])
    level = [n for n in names if not measured[best].gain_over(measured[n], higher_is_better).low > 0]
    lowest = min(level, key=lambda n: measured[n].loss[0])
    left = [n for n in level if not measured[lowest].loss_gain_over(measured[n]).low > 0]
    return next((name for name in (own, DEFAULT) if name in left), lowest)
