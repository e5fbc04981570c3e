"""Measure how often mtkd makes a false claim about models that are equally good.

python docs/benchmarks/error_rates.py [--simulations 2000] [--only accuracy,rmse]

Simulates predictions of equally good models, calls mtkd's functions, and counts their claims. Compares
them with the claims of a percentile bootstrap (mtkd 0.2) on the same predictions. Writes error_rates.md.
All random numbers come from counters, so a row can be reproduced bit for bit.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import error_rates_models as models
import numpy as np
import torch
from numpy.typing import NDArray
from tables import markdown, versions

from mtkd_cli import counter_rng
from mtkd_cli.audit.advice import FEWEST
from mtkd_cli.audit.recommend import recommended
from mtkd_cli.audit.sure_findings import harms_of, overconfident
from mtkd_cli.report.audit_result import Change
from mtkd_cli.report.costs import Costs
from mtkd_cli.runs.report_facts import Scored, Scores, compare
from mtkd_cli.stats import jackknife
from mtkd_cli.stats.estimate import independent
from mtkd_cli.stats.paired_test import BEATS, DOES_NOT_BEAT, judge, paired
from mtkd_cli.stats.paired_test import seeds_to_settle as naive_seeds
from mtkd_cli.stats.score import score_of
from mtkd_cli.stats.sequential import level_at, seeds_to_settle

HERE = Path(__file__).parent
DRAWS = 500
Numbers = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = arguments.only.split(",") if arguments.only else list(PARTS)
    parts = {}
    for name in wanted:
        parts[name] = []
        for row in PARTS[name](arguments.simulations):
            parts[name].append(row)
            print(name, *row, sep=" | ", flush=True)
    if not arguments.only:
        (HERE / "error_rates.md").write_text(page(parts, arguments.simulations))


# Two models on the same samples.


@functools.lru_cache(maxsize=4)
def drawn(samples: int) -> Numbers:
    """Return the count of each sample in each bootstrap draw, ``[draws, N]``, with the draws of mtkd 0.2."""
    rows = [counter_rng.generator("bootstrap", d).integers(0, samples, samples) for d in range(DRAWS)]
    return np.stack([np.bincount(row, minlength=samples) for row in rows]).astype(float)


def percentile(value: float, draws: Numbers) -> tuple[float, float]:
    """Return the interval of mtkd 0.2: quantiles of the draws, centered at the value."""
    low, high = np.quantile(draws, [0.025, 0.975]) + value - draws.mean()
    return float(low), float(high)


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
            count = simulations // dear
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
            count, before, after = simulations // dear, 0, 0
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
            said = compare(models.CONTEXT, Scores(scored[0], {}, scored[0], teachers)).sentence
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
            after += independent(seen, unseen).low > 0
        yield ["accuracy .8", str(samples), "-", share(after, simulations)]


# Audits.


def audits(simulations: int) -> Iterator[list[str]]:
    """Four calibrated teachers; then three of them and one with random predictions."""
    for samples in (20, 50, 100, 200):
        count = simulations // 4
        before = after = found = found_before = 0
        for number in range(count):
            rng = counter_rng.generator("audit", samples, number)
            accused, accused_before = accusations(rng, samples, bad=False)
            after, before = after + bool(accused), before + bool(accused_before)
            accused, accused_before = accusations(rng, samples, bad=True)
            found, found_before = found + ("t3" in accused), found_before + ("t3" in accused_before)
        rates = [share(n, count) for n in (before, after, found_before, found)]
        yield [str(samples), *rates]


def accusations(rng: np.random.Generator, samples: int, bad: bool) -> tuple[set[str], set[str]]:
    """Return the teachers that mtkd reports, and those that plain percentile intervals report."""
    outputs, target = models.teachers(rng, samples, bad)
    together = models.outcome(models.mixed(outputs), target)
    changes, before = {}, set()
    for k in range(len(outputs)):
        rest = models.outcome(models.mixed([o for j, o in enumerate(outputs) if j != k]), target)
        gain, lower = rest.gain_over(together, True), rest.loss_gain_over(together)
        changes[f"t{k}"] = Change("mean", f"t{k}", gain, lower)
        counts = drawn(samples)
        score = (rest.measured.statistics[:, 0] - together.measured.statistics[:, 0]).double().numpy()
        loss = (together.measured.losses - rest.measured.losses).double().numpy()
        ends = [percentile(float(x.mean()), counts @ x / samples) for x in (score, loss)]
        if ends[0][1] >= 0 and (ends[0][0] > 0 or ends[1][0] > 0):
            before.add(f"t{k}")
    facts = models.facts(outputs, target)
    for teacher in facts:
        right = sum(share * n for _, share, n in teacher.reliability) / samples
        if sum(mean * n for mean, _, n in teacher.reliability) / samples - right > 0.1:
            before.add(teacher.name)
    return set(harms_of(changes)) | set(overconfident(facts)), before


def recommendations(simulations: int) -> Iterator[list[str]]:
    """Ten equally good strategies: recommendations of another one."""
    for samples in (20, 50, 200):
        count, before, after = simulations // 8, 0, 0
        for number in range(count):
            rng = counter_rng.generator("recommend", samples, number)
            outputs, target = models.teachers(rng, samples, False, 10)
            measured = {f"s{k}": models.outcome(output, target) for k, output in enumerate(outputs)}
            after += recommended(measured, "s0", True) != "s0"
            columns = [m.measured.statistics[:, 0].double().numpy() for m in measured.values()]
            best = columns[max(range(10), key=lambda k: (columns[k].mean(), -measured[f"s{k}"].loss.value))]
            gap = best - columns[0]
            before += percentile(float(gap.mean()), drawn(samples) @ gap / samples)[0] > 0
        yield ["10 equal strategies", str(samples), share(before, count), share(after, count)]


# Comparisons over seeds.


def comparisons(simulations: int) -> Iterator[list[str]]:
    """Equally good methods: BEATS, DOES NOT BEAT."""
    for tails, noise in models.NOISE.items():
        for methods in (1, 4, 10):
            for seeds in (2, 3, 5):
                count = simulations // 2
                words = {BEATS: 0, DOES_NOT_BEAT: 0}
                plain = 0
                for number in range(count):
                    rng = counter_rng.generator("compare", tails, methods, seeds, number)
                    gains = noise(rng, (methods, seeds)) - noise(rng, (1, seeds))
                    tests = [paired(list(row)) for row in gains]
                    found = [verdict.word for verdict in judge(tests)]
                    plain += any(test.p < 0.05 for test in tests)
                    for word in words:
                        words[word] += word in found
                rates = [share(n, count) for n in (plain, *words.values())]
                yield [tails, str(methods), str(seeds), *rates]


def looking_again(simulations: int) -> Iterator[list[str]]:
    """Three seeds, then as many as advised."""
    for rule, level, advise in (
        ("5 % at each look", lambda seeds, earlier=(): 0.05, naive_seeds),
        ("alpha spending (`stats/sequential.py`)", level_at, seeds_to_settle),
    ):
        wrong = again = 0
        for number in range(simulations):
            gains = counter_rng.generator("again", number).normal(size=1000)
            first = paired(list(gains[:3]))
            if first.p < level(3):
                wrong += 1
                continue
            advised = advise(first, 1)
            if advised is not None:
                again += 1
                wrong += paired(list(gains[:advised])).p < level(advised, [3])
        yield [rule, share(again, simulations), share(wrong, simulations)]


def share(count: int, of: int) -> str:
    """Return a percentage with the standard error of the simulation."""
    p = count / of
    return f"{100 * p:.1f} ± {100 * max(p * (1 - p), 1 / of) ** 0.5 / of**0.5:.1f}"


PARTS: dict[str, Callable[[int], Iterator[list[str]]]] = {
    "verdicts": verdicts,
    "coverage": coverage,
    "best": best_teacher,
    "memorized": memorized,
    "audits": audits,
    "recommendations": recommendations,
    "comparisons": comparisons,
    "again": looking_again,
}


def page(parts: dict[str, list[list[str]]], simulations: int) -> str:
    two = ["case", "samples", "percentile bootstrap (0.2)", "now"]
    harm = [
        "labels",
        "wrongly reported, 0.2",
        "wrongly reported, now",
        "bad one found, 0.2",
        "bad one found, now",
    ]
    seeds = ["noise between seeds", "methods", "seeds", "plain", "BEATS", "DOES NOT BEAT"]
    tables = {
        "verdicts": markdown(two, parts["verdicts"]),
        "coverage": markdown(two, parts["coverage"]),
        "best": markdown(two, parts["best"]),
        "memorized": markdown(two, parts["memorized"]),
        "audits": markdown(harm, parts["audits"]),
        "recommendations": markdown(two, parts["recommendations"]),
        "comparisons": markdown(seeds, parts["comparisons"]),
        "again": markdown(["rule", "advised to add seeds", "false verdict"], parts["again"]),
    }
    return PAGE.format(
        simulations=simulations, versions=versions(), fewest=jackknife.FEWEST, labels=FEWEST, **tables
    )


PAGE = """# How often a statement is wrong

```
python docs/benchmarks/error_rates.py --simulations {simulations}
```

{versions}

This benchmark simulates predictions of models that are equally good, and counts what mtkd claims about
them. Every number is the percentage of simulations with a false claim, ± the standard error of the
simulation. The nominal rate is 5 %. The column `percentile bootstrap` shows the method of mtkd 0.2 on the
same predictions. The seeds are the first {simulations} counters (fewer for expensive simulations).

## "Distillation helped", "Distillation hurt"

Two models on the same test samples. "3 differ" means that exactly one of the two is right on three of the
samples.

{verdicts}

- **Accuracy** uses McNemar's exact test: a sample on which exactly one model is right favors each model
  with probability one half. With fewer than six such samples there is never a claim, and the error rate
  stays below 5 % for any number of samples. The mid-p variant would make a claim if five of five favor
  one model, with an error rate of 6.25 %.
- **Other metrics** use a jackknife interval. Leaving out each sample in turn gives the variance of the
  metric. The degrees of freedom of the t quantile depend on the kurtosis of the samples' influence: if
  only a few samples differ or dominate, there are few degrees of freedom.
- **Why this interval**: it had the best error rates in such simulations with 20 to 50 samples, without
  "other tails". Percentile bootstrap 6 to 10 %, BCa 10 to 13 %, studentized 6 to 12 %, expanded
  percentile (Hesterberg 2015) 4 to 8 %, jackknife with N - 1 degrees of freedom 3 to 6 %, this one
  3 to 5 %. Rows above 5 % are within two standard errors of it.
- Fewer than {fewest} samples give no interval and no claim for these metrics.
- **Limit**: in "other tails", two models have the same RMSE, and one has rare but large errors. If the test
  samples contain no such error, no interval can account for it. The error rate decreases with more samples.

## Intervals of one score

Percentage of 95 % intervals that do not contain the true value.

{coverage}

Accuracy uses Wilson's interval (for 20 of 20 right it is 0.84 to 1). Its coverage is 95 % on average over
true accuracies, and not for each of them. Other metrics use the jackknife, with Hall's correction for
skewness where it makes the interval wider. With t3 tails, squared errors have infinite variance, so no
method gives a reliable interval for their RMSE.

## "The ensemble does not beat its best teacher"

The best of four teachers is selected on the test samples, so mtkd multiplies its p-value by four.

{best}

## "It may have been trained on these samples"

The nominal rate is 1 %. mtkd does not report differences below 0.05; this table counts them too.

{memorized}

## `mtkd audit`: teachers that do harm

First, four equally good, calibrated teachers: the percentage of audits that wrongly report any of them
(does harm, raises the loss, overconfident). Then one of the four predicts half of the samples at random,
with unchanged confidence: the percentage of audits that find it. Holm's correction covers all teachers.
Below {labels} labels the audit gives no advice.

{audits}

Percentage of audits that recommend another strategy than yours, although all are equally good:

{recommendations}

## `mtkd compare`: BEATS and DOES NOT BEAT

All methods are equally good. The table shows the percentage of comparisons with at least one false verdict.
`plain` is a t-test without Holm's correction.

{comparisons}

Adding seeds: start with three seeds; without a verdict, add as many seeds as `mtkd compare` advises.

{again}
"""


if __name__ == "__main__":
    main()
