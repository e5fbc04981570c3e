"""The main result of a comparison: the best row, the best set, how many methods beat each opponent."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report.comparison_result import Opponent, Row
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_result import PrimaryMetric
from mtkd_cli.stats.paired_test import FEWEST_SEEDS

LISTED = 6
"""Largest number of names in a sentence."""


def best_of(rows: Sequence[Row], metric: PrimaryMetric) -> int:
    """Return the index of the best mean, the first of equal ones. References are no candidates."""
    sign = 1 if metric.higher_is_better else -1

    def rank(index: int) -> float:
        mean = sign * rows[index].mean
        return -math.inf if math.isnan(mean) else mean

    return max((index for index, row in enumerate(rows) if not row.reference), key=rank)


def opponents_of(rows: Sequence[Row]) -> tuple[Opponent, ...]:
    """Return the opponents, with the number of tests by verdict."""
    words: dict[str, Counter[str]] = {}
    for row in rows:
        for name, test in row.against.items():
            words.setdefault(name, Counter())[test.word] += 1
    return tuple(Opponent(name, found.total(), dict(found)) for name, found in words.items())


def lead_of(rows: Sequence[Row], metric: PrimaryMetric, best_set: Sequence[int] = ()) -> str:
    """Return the main result in words: the best set, then the verdict of the method with the best mean.

    Args:
        rows: methods and baselines.
        metric: the metric of their scores.
        best_set: indices of the rows that are not surely worse than another; empty if unknown.
    """
    best, name = rows[best_of(rows, metric)], spelt(metric.name)
    methods = [row for row in rows if row.runs]
    first = best if best.runs or not methods else methods[best_of(methods, metric)]
    verdict = next((f"{test.sentence}." for test in first.against.values()), "")
    sentences = [best_set_sentence(rows, best_set)]
    if best_set and _most_seeds(rows) < FEWEST_SEEDS:
        return f"{_too_few(rows)} Best mean {name}: {best.name}, {format_number(best.mean)}."
    if not best.runs:
        sentences.append(
            f"Nothing has a better mean {name} than the {best.name}, {format_number(best.mean)}."
        )
    elif not verdict:
        sentences.append(f"{best.name} has the best mean {name}; no baseline was trained.")
    return " ".join(filter(None, [*sentences, verdict]))


def best_set_sentence(rows: Sequence[Row], best_set: Sequence[int]) -> str:
    """Return in words which rows are not surely worse than another; empty if that is unknown.

    Args:
        rows: methods and baselines.
        best_set: indices of the rows that are not surely worse than another, the best mean first.
    """
    candidates = [index for index, row in enumerate(rows) if not row.reference]
    if not best_set or len(candidates) < 2:
        return ""
    worse = [index for index in candidates if index not in best_set]
    if _most_seeds(rows) < FEWEST_SEEDS:
        return _too_few(rows)
    if not worse:
        return "No student is surely worse than another."
    if len(best_set) == 1:
        start = f"Best: {rows[best_set[0]].name}."
    else:
        start = f"Best: {names([rows[index] for index in best_set])} are not distinguishable."
    return f"{start} Surely worse: {names([rows[index] for index in worse])}."


def _most_seeds(rows: Sequence[Row]) -> int:
    return max(len(row.scores) for row in rows)


def _too_few(rows: Sequence[Row]) -> str:
    return f"{no_interval(_most_seeds(rows)).capitalize()}."


def no_interval(seeds: int) -> str:
    """Return why fewer than three seeds make no claim, and what to do."""
    return (
        "two seeds give no interval; run a third" if seeds == 2 else "one seed gives no interval; run three"
    )


def names(rows: Sequence[Row]) -> str:
    """Return the names of rows as a list in a sentence, shortened if there are many."""
    found = [row.name for row in rows]
    comma = "; " if any("," in name for name in found) else ", "
    if len(found) > LISTED:
        return f"{comma.join(found[: LISTED - 1])} and {len(found) - LISTED + 1} more"
    return " and ".join(filter(None, [comma.join(found[:-1]), found[-1]]))
