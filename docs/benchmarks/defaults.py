"""Choose defaults: temperature and kd_ratio over recipes and label budgets, on validation.

python docs/benchmarks/defaults.py --recipe digits --budgets 80 160 600 --seeds 3
python docs/benchmarks/defaults.py --recipe digit-scenes-det --budgets 60 --set data.scenes=900 train.lr=3e-2

300 more labels are used for validation only. The test split is not used, and the seeds (100 and up) differ
from those of the published results. Scores are the validation metric of the checkpoint that is best on
validation, so all of them are slightly too good.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from pathlib import Path

from in_process import distil
from tables import write

HERE = Path(__file__).parent
VALIDATION = 300


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", default="digits")
    parser.add_argument("--budgets", type=int, nargs="+", default=[80, 160, 600])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=["train.lr=1e-2"])
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1, 2, 4])
    parser.add_argument("--kd-ratios", type=float, nargs="+", default=[0.5, 0.9, 1.0])
    parser.add_argument("--views", nargs="+", default=["auto"])
    arguments = parser.parse_args()
    settings = list(itertools.product(arguments.temperatures, arguments.kd_ratios, arguments.views))
    rows, metric = [], ""
    for budget in arguments.budgets:
        labels = budget + VALIDATION
        common = [f"data.labels={labels}", f"data.val={VALIDATION / labels}", *arguments.set]
        baselines = []
        for temperature, ratio, views in settings:
            scores = []
            for seed in range(100, 100 + arguments.seeds):
                first = (temperature, ratio, views) == settings[0]
                report = distil(
                    arguments.recipe,
                    [
                        *common,
                        f"train.seed={seed}",
                        f"loss.temperature={temperature}",
                        f"loss.kd_ratio={ratio}",
                        f"views={views}",
                    ],
                    baseline=first,
                )
                metric = report["metric"]["name"]
                best = max if report["metric"]["higher_is_better"] else min
                scores.append(best(trial[metric] for trial in report["student"]["trials"]))
                if first:
                    baselines.append(best(trial[metric] for trial in report["baselines"]["alone"]["trials"]))
            gain = statistics.mean(scores) - statistics.mean(baselines)
            rows.append(
                [
                    budget,
                    f"{temperature:g}",
                    f"{ratio:g}",
                    views,
                    f"{statistics.mean(scores):.4f}",
                    f"{statistics.stdev(scores):.4f}" if len(scores) > 1 else "-",
                    f"{statistics.mean(baselines):.4f}",
                    f"{gain:+.4f}",
                ]
            )
            print(rows[-1], flush=True)
    write(
        HERE / f"defaults-{arguments.recipe}.md",
        f"Temperature and kd_ratio on {arguments.recipe}, by validation {metric}",
        f"python docs/benchmarks/defaults.py --recipe {arguments.recipe} "
        f"--budgets {' '.join(map(str, arguments.budgets))} "
        f"--seeds {arguments.seeds} --set {' '.join(arguments.set)} "
        f"--temperatures {' '.join(map(str, arguments.temperatures))} "
        f"--kd-ratios {' '.join(map(str, arguments.kd_ratios))} --views {' '.join(arguments.views)}",
        ["labels", "T", "kd_ratio", "views", "distilled", "standard deviation", "baseline", "gain"],
        rows,
        f"Mean validation score over the seeds. {VALIDATION} more labels are used for validation only.",
    )


if __name__ == "__main__":
    main()
