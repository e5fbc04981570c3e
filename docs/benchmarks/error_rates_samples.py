"""Simulate claims about models on the same test samples."""

from __future__ import annotations

from collections.abc import Iterator

import error_rates_models as models
import numpy as np
from error_rates_share import drawn, percentile, share

from mtkd_cli import counter_rng
from mtkd_cli.report.costs import Costs
from mtkd_cli.runs.report_facts import Scored, Scores, make_verdict
from mtkd_cli.stats.estimate import independent_difference
from mtkd_cli.stats.score import score_of


def false_alarms(case: models.Case, samples: int, simulations: int, name: str) -> tuple[int, int]:
    """Return how often the percentile bootstrap and mtkd report a difference of two equally good models."""
    before = after = 0
    for number in range(simulations):
        rng = counter_rng.generator("error rates", name, samples, number)
        first, second = case.pair(rng, samples)
        if case.metric is not None:
            of = case.metric
            value = of(first.sum(axis=0)) - of(second.sum(axis=0))
            counts = drawn(samples)
            low, high = percentile(float(value), of(counts @ first) - of(counts @ second))
            before += low > 0 or high < 0
        task, one, other = case.statistics(first), case.statistics(second), case.task
        after += score_of(other, task).minus(score_of(other, one)).sure
    return before, after


def verdicts(simulations: int) -> Iterator[list[str]]:
    """Two models that are equally good: "Distillation helped" or "hurt"."""
    for name, (case, sizes, dear) in models.CASES.items():
        for samples in sizes:
            count = max(1, simulations // dear)
            before, after = false_alarms(case, samples, count, name)
            yield [
                name,
                str(samples),
                share(before, count) if case.metric is not None else "-",
                share(after, count),
            ]


def coverage(simulations: int) -> Iterator[list[str]]:
    """Intervals of one model's score."""
    for name, (case, true, sizes, dear) in models.SINGLE.items():
        for samples in sizes:
            count, before, after = max(1, simulations // dear), 0, 0
            for number in range(count):
                rng = counter_rng.generator("coverage", name, samples, number)
                first, _ = case.pair(rng, samples)
                assert case.metric is not None
                low, high = percentile(
                    float(case.metric(first.sum(axis=0))), case.metric(drawn(samples) @ first)
                )
                before += not low <= true <= high
                found = score_of(case.task, case.statistics(first)).estimate()
                after += not found.low <= true <= found.high
            yield [name, str(samples), share(before, count), share(after, count)]


def best_teacher(simulations: int) -> Iterator[list[str]]:
    """Four teachers that are as good as the ensemble: "does not beat its best teacher"."""
    for samples in (100, 539):
        before = after = 0
        for number in range(simulations):
            rng = counter_rng.generator("best teacher", samples, number)
            right = models.right_answers(rng, samples, 5, 0.9)
            statistics = [models.of_right(models.with_ones(each)) for each in right]
            scored = [Scored(s, models.CLASSES.metrics(s), Costs()) for s in statistics]
            teachers = {f"t{k}": one for k, one in enumerate(scored[1:])}
            said = make_verdict(models.CONTEXT, Scores(scored[0], {}, scored[0], teachers)).sentence
            after += "does not beat" in said
            best = right[1:][np.argmax([one.mean() for one in right[1:]])]
            gap = best - right[0]
            low, _ = percentile(float(gap.mean()), drawn(samples) @ gap / samples)
            before += low > 0
        yield ["accuracy .9, 4 teachers", str(samples), share(before, simulations), share(after, simulations)]


def memorized(simulations: int) -> Iterator[list[str]]:
    """A teacher that saw no label: "may have been trained on these samples" (level 1 %)."""
    for samples in (20, 100, 1000):
        after = 0
        for number in range(simulations):
            rng = counter_rng.generator("memorized", samples, number)
            right = (models.with_ones((rng.random(samples) < 0.8).astype(float)) for _ in range(2))
            sides = map(models.of_right, right)
            seen, unseen = (score_of(models.CLASSES, side).estimate(0.99) for side in sides)
            after += independent_difference(seen, unseen).low > 0
        yield ["accuracy .8", str(samples), "-", share(after, simulations)]
