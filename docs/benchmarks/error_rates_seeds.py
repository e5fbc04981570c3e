"""Simulate the claims of `mtkd compare` over seeds, with the functions that it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import error_rates_models as models
import numpy as np
from error_rates_share import Numbers, share
from scipy.stats import nct, t

from mtkd_cli import counter_rng
from mtkd_cli.compare.pairing import best_set_of
from mtkd_cli.report.comparison_result import Row
from mtkd_cli.report.run_result import PrimaryMetric
from mtkd_cli.stats.paired_test import Paired, paired_t_test
from mtkd_cli.stats.sequential import MOST_SEEDS, Look
from mtkd_cli.stats.verdict import BEATS, DOES_NOT_BEAT, INCONCLUSIVE, Verdict, judge

METRIC = PrimaryMetric("accuracy", higher_is_better=True)
TEST_SAMPLES = 10**9
"""So many that one sample makes no difference."""
Advice = Callable[[list[Verdict]], int | None]


def comparisons(simulations: int) -> Iterator[list[str]]:
    """Equally good methods, one look: BEATS, DOES NOT BEAT, and the best method left out."""
    for tails, noise in models.NOISE.items():
        for methods in (1, 4, 10):
            for seeds in (3, 5, 10):
                count = max(1, simulations // 2)
                words = {BEATS: 0, DOES_NOT_BEAT: 0}
                plain = left_out = 0
                for number in range(count):
                    rng = counter_rng.generator("compare", tails, methods, seeds, number)
                    scores = np.concatenate([noise(rng, (methods, seeds)), noise(rng, (1, seeds))])
                    tests = tests_of(scores)
                    found = [verdict.word for verdict in judge(tests, Look(seeds))]
                    plain += any(test.p < 0.05 for test in tests)
                    for word in words:
                        words[word] += word in found
                    left_out += not has_first(scores, Look(seeds))
                rates = [share(n, count) for n in (plain, *words.values(), left_out)]
                yield [tails, str(methods), str(seeds), *rates]


def tests_of(scores: Numbers) -> list[Paired]:
    """Return the tests of the methods against the last row, the student alone.

    Args:
        scores: scores of the methods and of the student alone, ``[methods + 1, seeds]``.
    """
    return [paired_t_test(list(gains)) for gains in scores[:-1] - scores[-1:]]


def has_first(scores: Numbers, look: Look) -> bool:
    """Return whether the first row is in the best set."""
    rows = [
        Row(
            str(k),
            tuple(map(float, row)),
            tuple({"seed": str(n)} for n in range(len(row))),
            float(row.mean()),
        )
        for k, row in enumerate(scores)
    ]
    return 0 in best_set_of(rows, METRIC, TEST_SAMPLES, look)


def looks(simulations: int) -> Iterator[list[str]]:
    """Equally good methods: three seeds, then more seeds by some rule, up to ten looks."""
    for methods in (1, 4):
        for name, rule, keeps in RULES:
            count = max(1, simulations // 2)
            again = wrong = left_out = 0
            for number in range(count):
                rng = counter_rng.generator("looks", methods, number)
                scores = rng.normal(size=(methods + 1, 1000))
                seeds, seen, found = 3, 0, (False, False)
                for _ in range(10):
                    look = Look(seeds, seen) if keeps else FullLevel(seeds)
                    tests = tests_of(scores[:, :seeds])
                    verdicts = judge(tests, look)
                    missing = methods > 1 and not has_first(scores[:, :seeds], look)
                    found = (
                        found[0] or any(v.word != INCONCLUSIVE for v in verdicts),
                        found[1] or missing,
                    )
                    more = rule(verdicts)
                    if more is None:
                        break
                    again += seeds == 3
                    seeds, seen = more, seeds
                wrong, left_out = wrong + found[0], left_out + found[1]
            last = share(left_out, count) if methods > 1 else "-"
            yield [name, str(methods), share(again, count), share(wrong, count), last]


class FullLevel(Look):
    """A look at the full level, whatever was seen before."""

    @property
    def level(self) -> float:
        return 0.05


def advised(verdicts: list[Verdict]) -> int | None:
    """Return the largest number of seeds that `mtkd compare` advises."""
    return max((v.seeds_to_settle for v in verdicts if v.seeds_to_settle), default=None)


def five_more(verdicts: list[Verdict]) -> int | None:
    """Return five more seeds while a test is open, advised or not."""
    is_open = any(v.word == INCONCLUSIVE for v in verdicts)
    return verdicts[0].paired.seeds + 5 if is_open else None


def naive(verdicts: list[Verdict]) -> int | None:
    """Return the largest number of seeds that mtkd 0.2 advised: as if gain and deviation were known."""
    tests = [v.paired for v in verdicts if v.word == INCONCLUSIVE]
    return max((n for n in (known(test, len(verdicts)) for test in tests) if n), default=None)


def known(test: Paired, family: int) -> int | None:
    """Return the seeds for a power of 80 % if gain and deviation are as measured, at most 1,000."""
    counts = np.arange(test.seeds + 1, 1001)
    effect = abs(test.gain) / test.deviation
    limits = t.isf(0.05 / family / 2, counts - 1)
    rough = counts[effect * np.sqrt(counts) > limits + 0.84][:1]  # normal approximation, then exact
    for count in range(max(test.seeds + 1, int(rough[0]) - 3), 1001) if len(rough) else ():
        if nct.sf(t.isf(0.05 / family / 2, count - 1), count - 1, effect * count**0.5) >= 0.8:
            return count
    return None


RULES: tuple[tuple[str, Advice, bool], ...] = (
    ("as mtkd 0.2 advised, 5 % at each look", naive, False),
    ("as advised now, 5 % at each look", advised, False),
    ("as advised now, with the levels of the looks", advised, True),
    ("five more each time, 5 % at each look", five_more, False),
    ("five more each time, with the levels of the looks", five_more, True),
)


def advice(simulations: int) -> Iterator[list[str]]:
    """One method with a true gain, three seeds: how often seeds are advised, and settle it."""
    for gain in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0):
        advised_before, advised_now, settled, numbers = 0, 0, 0, []
        for number in range(simulations):
            gains = counter_rng.generator("advice", int(10 * gain), number).normal(gain, size=MOST_SEEDS)
            first = judge([paired_t_test(list(gains[:3]))], Look(3))[0]
            if first.word != INCONCLUSIVE:
                continue
            advised_before += known(first.paired, 1) is not None
            if first.seeds_to_settle is not None:
                numbers.append(first.seeds_to_settle)
                test = paired_t_test(list(gains[: first.seeds_to_settle]))
                settled += judge([test], Look(test.seeds, 3))[0].word != INCONCLUSIVE
        advised_now = len(numbers)
        typical = f"{np.median(numbers):.0f}" if numbers else "-"
        before, now = share(advised_before, simulations), share(advised_now, simulations)
        yield [f"{gain:g}", before, now, typical, share(settled, max(1, advised_now))]
