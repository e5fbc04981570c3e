"""How often is a statement of mtkd wrong, where there is nothing to find?

python docs/benchmarks/error_rates.py [--simulations 2000] [--only accuracy,rmse]

Simulates answers of models that are equally good, asks mtkd's own functions, and counts what they claim;
beside them what a percentile bootstrap (mtkd 0.2) claims on the same answers. Writes error_rates.md beside
this file. All random numbers come from counters: a row repeats to the bit.
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
    """Return how often each sample is in each draw, ``[draws, N]``, as mtkd 0.2 drew them."""
    rows = [counter_rng.generator("bootstrap", d).integers(0, samples, samples) for d in range(DRAWS)]
    return np.stack([np.bincount(row, minlength=samples) for row in rows]).astype(float)


def percentile(value: float, draws: Numbers) -> tuple[float, float]:
    """Return the interval of mtkd 0.2: quantiles of the draws, moved to the number."""
    low, high = np.quantile(draws, [0.025, 0.975]) + value - draws.mean()
    return float(low), float(high)


def false_alarms(case: models.Case, samples: int, simulations: int, name: str) -> tuple[int, int]:
    """Return how often the percentile bootstrap and mtkd tell two equally good models apart."""
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
    """Four teachers as good as the ensemble: "does not beat its best teacher"."""
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
    """Four calibrated teachers of one kind; then three of them and one that answers at random."""
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
    """Return the teachers that are accused, by mtkd and by plain percentile intervals."""
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
    """Ten strategies that are equally good: "use another one"."""
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
    """Methods that are the same: BEATS, DOES NOT BEAT."""
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
    """Three seeds, then as many as were advised."""
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
    """Return a share in percent with the standard error of the simulation."""
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
    harm = ["labels", "accused, 0.2", "accused, now", "bad one found, 0.2", "bad one found, now"]
    seeds = ["noise between seeds", "methods", "seeds", "plain", "BEATS", "DOES NOT BEAT"]
    tables = {
        "verdicts": markdown(two, parts["verdicts"]),
        "coverage": markdown(two, parts["coverage"]),
        "best": markdown(two, parts["best"]),
        "memorized": markdown(two, parts["memorized"]),
        "audits": markdown(harm, parts["audits"]),
        "recommendations": markdown(two, parts["recommendations"]),
        "comparisons": markdown(seeds, parts["comparisons"]),
        "again": markdown(["rule", "advised to go on", "false verdict"], parts["again"]),
    }
    return PAGE.format(
        simulations=simulations, versions=versions(), fewest=jackknife.FEWEST, labels=FEWEST, **tables
    )


PAGE = """# How often a statement is wrong

```
python docs/benchmarks/error_rates.py --simulations {simulations}
```

{versions}

Simulated answers of models that are equally good, and what mtkd says of them. Every number is the share of
simulations, in percent, in which something is claimed though there is nothing to find, ± the standard error
of the simulation; nominal is 5 %. `percentile bootstrap` is what mtkd 0.2 did, on the same answers. The first
{simulations} counters are the seeds (fewer where a simulation is dear).

## "Distillation helped", "Distillation hurt"

Two models, the same test samples. "3 differ": exactly one of the two is right on three samples only, whatever
their number.

{verdicts}

- **Accuracy** has McNemar's exact test: each sample on which exactly one is right favors either model with
  chance one half. Fewer than six such samples never say anything, and the rate stays below 5 % for any number
  of samples. The mid-p variant would claim something where five of five favor one model: 6.25 %.
- **Other metrics** have a jackknife interval: the metric without each sample gives its variance, and the
  degrees of freedom of the t quantile follow the kurtosis of the samples' influence. A few samples that
  differ, or a few that dominate, give few degrees of freedom. It was chosen in such simulations with 20 to
  50 samples, the "other tails" aside: percentile bootstrap 6 to 10 %, BCa 10 to 13 %, studentized 6 to 12 %,
  expanded percentile (Hesterberg 2015) 4 to 8 %, jackknife with N - 1 degrees of freedom 3 to 6 %, this one 3
  to 5 %. Rows above 5 % are within two standard errors of it.
- Fewer than {fewest} samples give no interval and no claim for these metrics.
- **What does not hold**: "other tails" are two models of equal RMSE of which one is wrong rarely but by far.
  A sample without such an error cannot show it, so no interval from that sample can account for it. The rate
  falls as samples are added.

## Intervals of one score

Share of 95 % intervals that miss the true value.

{coverage}

Accuracy has Wilson's interval (20 of 20 right is 0.84 to 1), which is right on average over true shares and
not for each. Other metrics have the jackknife with Hall's correction for skewness where it makes the interval
wider. Errors with t3 tails have squares of infinite variance: no method gives their RMSE a reliable interval.

## "The ensemble does not beat its best teacher"

The best of four teachers is picked on the test samples, so its p value counts four times.

{best}

## "It may have been trained on these samples"

At the level of 1 %. A difference below 0.05 is not reported either; this table counts it.

{memorized}

## `mtkd audit`: teachers that do harm

Four calibrated teachers of one kind: the share of audits that accuse any of them (does harm, raises the loss,
overconfident). Then one of the four answers half of the samples at random, as sure as ever: the share of
audits that find it. Holm's correction counts all teachers. Below {labels} labels the audit gives no advice.

{audits}

The recommended strategy is another than yours, though all are equally good:

{recommendations}

## `mtkd compare`: BEATS and DOES NOT BEAT

Methods that are the same as their opponent, over seeds: the share of grids with at least one false word.
`plain` is a t test without Holm's correction.

{comparisons}

Looking again: three seeds, no verdict, then as many seeds as were advised.

{again}
"""


if __name__ == "__main__":
    main()
