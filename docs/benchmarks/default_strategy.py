"""Choose the default strategy: mean against weighted, with good teachers and with one weak one.

python docs/benchmarks/default_strategy.py --seeds 3

Each seed draws its own labels (`data.seed`), teachers (`fit.seed`) and student (`train.seed`); both
strategies use the same teachers. The weak teacher is a small network trained for a short time. One learning
rate, so that the benchmark takes minutes.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from in_process import distil
from tables import spread, write

HERE = Path(__file__).parent
STRATEGIES = ("mean", "weighted")
LR = "train.lr=1e-2"
WEAK_IMAGES = ("teachers.2.model=mlp:4", "teachers.2.fit={train: all, epochs: 2, lr: 3e-3}")
WEAK_ROWS = ("teachers.2.model=mlp:2", "teachers.2.fit={train: all, epochs: 3, lr: 1e-3}")
CASES = {
    "digits, 50 labels (10 to validate)": ("digits", ("data.labels=50",)),
    "digits, 100 labels (20 to validate)": ("digits", ()),
    "digits, 100 labels, one weak teacher": ("digits", WEAK_IMAGES),
    "digits, 1,258 labels": ("digits", ("data.labels=null",)),
    "diabetes, 60 labels (18 to validate)": ("diabetes", ()),
    "diabetes, 60 labels, one weak teacher": ("diabetes", WEAK_ROWS),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    for case, (recipe, overrides) in CASES.items():
        found: dict[str, list[float]] = {strategy: [] for strategy in STRATEGIES}
        teachers: list[list[float]] = []
        metric = ""
        for seed in range(arguments.seeds):
            for strategy in STRATEGIES:
                seeds = (f"data.seed={seed}", f"train.seed={seed}", f"fit.seed={seed}")
                report = distil(recipe, [*overrides, *seeds, LR, f"strategy={strategy}"], baseline=False)
                metric = report["metric"]["name"]
                found[strategy].append(report["scores"]["student"][metric])
            teachers.append([scores[metric] for scores in report["scores"]["teachers"].values()])
        means = [statistics.mean(values) for values in zip(*teachers, strict=True)]
        pairs = zip(found["weighted"], found["mean"], strict=True)
        differences = [weighted - mean for weighted, mean in pairs]
        digits = ".1f" if metric == "rmse" else ".4f"
        rows.append(
            [
                case,
                metric,
                " ".join(f"{value:{digits}}" for value in means),
                *(spread(found[strategy], digits) for strategy in STRATEGIES),
                spread(differences, f"+{digits}"),
                " ".join(f"{value:+{digits}}" for value in differences),
            ]
        )
        print(rows[-1], flush=True)
    write(
        HERE / "default_strategy.md",
        "The default strategy",
        f"python docs/benchmarks/default_strategy.py --seeds {arguments.seeds}",
        ["case", "test metric", "teachers", *STRATEGIES, "weighted minus mean", "each seed"],
        rows,
        f"Teachers: the mean test metric of each. Students: mean ± standard deviation over {arguments.seeds} "
        "seeds; each seed draws labels, teachers and student. Accuracy: higher is better; RMSE: lower is "
        "better. With so few seeds, differences below their spread are noise.",
    )


if __name__ == "__main__":
    main()
