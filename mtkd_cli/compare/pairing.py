"""Scores of two students, paired by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from mtkd_cli.compare.looks import as_seed
from mtkd_cli.report.comparison_result import Row
from mtkd_cli.report.run_result import PrimaryMetric
from mtkd_cli.stats.multiple import not_surely_worse
from mtkd_cli.stats.paired_test import Paired, paired_t_test
from mtkd_cli.stats.sequential import Look

Seed = TypeVar("Seed", bound=Hashable)


def paired_by_seed(
    scores: Mapping[Seed, float], others: Mapping[Seed, float], metric: PrimaryMetric, test: int
) -> Paired | None:
    """Return the paired test of two students over the seeds that both have; None if there is none.

    Args:
        scores: score of each seed.
        others: score of each seed of the student to compare with.
        metric: the metric of the scores.
        test: number of test samples.
    """
    shared = [s for s in scores if s in others and math.isfinite(scores[s] - others[s])]
    if not shared:
        return None
    sign = 1 if metric.higher_is_better else -1
    # one test sample changes a share by 1 / test
    resolution = statistics.fmean(abs(others[seed]) for seed in shared) / max(1, test)
    return paired_t_test([sign * (scores[seed] - others[seed]) for seed in shared], resolution)


def best_set_of(rows: Sequence[Row], metric: PrimaryMetric, test: int, look: Look) -> tuple[int, ...]:
    """Return the indices of the rows that are not surely worse than another, the best mean first.

    Multiple comparison with the best (Hsu 1981): the chance that the truly best row is left out is at most
    half of the look's level, one-sided. References are no candidates.

    Args:
        rows: methods and baselines.
        metric: the metric of the scores.
        test: number of test samples.
        look: the seeds of the comparison, and those that were compared before.
    """
    candidates = [index for index, row in enumerate(rows) if not row.reference]
    scores = [_by_seed(rows[index]) for index in candidates]

    def p_better(first: int, second: int) -> float:
        found = paired_by_seed(scores[first], scores[second], metric, test)
        return found.p_positive if found else 1.0

    kept = [candidates[k] for k in not_surely_worse(len(candidates), p_better, look.level / 2)]
    sign = -1 if metric.higher_is_better else 1
    return tuple(sorted(kept, key=lambda k: math.inf if math.isnan(rows[k].mean) else sign * rows[k].mean))


def _by_seed(row: Row) -> dict[tuple[tuple[str, str], ...], float]:
    return dict(zip(map(as_seed, row.seeds), row.scores, strict=True))
