"""Measure how often mtkd makes a false claim about models that are equally good.

python docs/benchmarks/error_rates.py [--simulations 2000] [--only accuracy,rmse]

Simulates predictions of equally good models, calls mtkd's functions, and counts their claims. Compares
them with the claims of a percentile bootstrap (mtkd 0.2) on the same predictions. Writes error_rates.md.
All random numbers come from counters, so a row can be reproduced bit for bit.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from error_rates_audits import audits, recommendations
from error_rates_samples import best_teacher, coverage, memorized, verdicts
from error_rates_seeds import advice, comparisons, looks
from tables import markdown, versions

from mtkd_cli.audit.advice import FEWEST
from mtkd_cli.stats import jackknife
from mtkd_cli.stats.sequential import MOST_SEEDS

HERE = Path(__file__).parent


PARTS: dict[str, Callable[[int], Iterator[list[str]]]] = {
    "verdicts": verdicts,
    "coverage": coverage,
    "best": best_teacher,
    "memorized": memorized,
    "audits": audits,
    "recommendations": recommendations,
    "comparisons": comparisons,
    "looks": looks,
    "advice": advice,
}


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


def page(parts: dict[str, list[list[str]]], simulations: int) -> str:
    two = ["case", "samples", "percentile bootstrap (0.2)", "now"]
    harm = [
        "labels",
        "wrongly reported, 0.2",
        "wrongly reported, now",
        "bad one found, 0.2",
        "bad one found, now",
    ]
    seeds = ["noise between seeds", "methods", "seeds", "plain", "BEATS", "DOES NOT BEAT", "best left out"]
    again = ["rule", "methods", "adds seeds", "false verdict", "best left out"]
    advised = ["true gain", "advised, 0.2", "advised, now", "median N", "settled with N seeds"]
    tables = {
        "verdicts": markdown(two, parts["verdicts"]),
        "coverage": markdown(two, parts["coverage"]),
        "best": markdown(two, parts["best"]),
        "memorized": markdown(two, parts["memorized"]),
        "audits": markdown(harm, parts["audits"]),
        "recommendations": markdown(two, parts["recommendations"]),
        "comparisons": markdown(seeds, parts["comparisons"]),
        "looks": markdown(again, parts["looks"]),
        "advice": markdown(advised, parts["advice"]),
    }
    return PAGE.format(
        simulations=simulations,
        versions=versions(),
        fewest=jackknife.FEWEST,
        labels=FEWEST,
        most=MOST_SEEDS,
        **tables,
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

## `mtkd compare`: one comparison

All methods and the student alone are equally good. Percentage of comparisons with at least one false BEATS
or DOES NOT BEAT, and of comparisons in which a given method is left out of the best set. `plain` is a t-test
at 5 % without Holm's correction. With three seeds, half of the 5 % is spent, so the nominal rates are 1.25 %
for BEATS, for DOES NOT BEAT and for the best set; with five seeds 1.75 %, with ten 2.1 %.

{comparisons}

## `mtkd compare`: adding seeds

Equally good methods. Start with three seeds, then add seeds by a rule and compare again, up to ten looks.
Percentage of simulations that add seeds, that have any false verdict at any look, and in which a given method
is left out of the best set at any look. mtkd uses the levels of the looks (`mtkd_cli/stats/sequential.py`):
all looks together have 5 %, half of it for each direction.
With looks that do not depend on the scores ("five more"), the rate is 5 % at most by construction, since the
levels add up to less; the simulation is within its error of that.

{looks}

## `mtkd compare`: "about N seeds are likely to settle it"

One method with three seeds; the true gain is in standard deviations of the gain between seeds. Percentage of
comparisons that advise a number of seeds (mtkd 0.2, now), and percentage of these that are settled with
that number of seeds at the level of the second look. mtkd advises at most {most} seeds.

{advice}

With no true gain, there is nothing to settle, and each advice is wrong. A user does not know the true gain:
averaged over what it can be after three seeds, the chance is 80 %.
"""


if __name__ == "__main__":
    main()
