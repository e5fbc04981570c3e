"""Regression with a good, a mediocre and a biased teacher: what each strategy makes of them.

python docs/benchmarks/bad_teacher.py --seeds 3

Friedman's first function of ten columns (scikit-learn), noise of deviation 1, 700 rows, 60 labels. Good: a
forest on all training labels. Mediocre: ridge regression on them, which sees no curves. Biased: a forest
on all training labels with 5 added to each, a deviation of the target. Writes bad_teacher.md beside it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import skops.io
import torch
from in_process import distil, loaded
from sklearn.datasets import make_friedman1
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import interval, write

HERE = Path(__file__).parent
ROWS, BIAS = 700, 5.0
RECIPE = """
task: regression
data: {name: table, path: friedman.csv, target: y, labels: 60, val: 0.3, test: 0.4}
teachers: []
strategy: mean
student: mlp:16
loss: {kd_ratio: 0.9}
train: {epochs: 40, batch_size: 32, lr: 1e-2, weight_decay: 0.1}
"""
GOOD = (
    "teachers=[{name: good, model: 'sklearn:good.skops'}, {name: mediocre, model: 'sklearn:mediocre.skops'}]"
)
ALL = GOOD.replace("]", ", {name: biased, model: 'sklearn:biased.skops'}]")
CASES = {
    "mean of good and mediocre alone": (GOOD, "strategy=mean"),
    "mean": (ALL, "strategy=mean"),
    "weighted": (ALL, "strategy={name: weighted, by: validation}"),
    "median": (ALL, "strategy=median"),
    "best": (ALL, "strategy=best"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    students: dict[str, list[float]] = {}
    ensembles: dict[str, list[float]] = {}
    teachers: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for seed in range(arguments.seeds):
            seeds = [f"data.seed={seed}", f"train.seed={seed}"]
            Path("recipe.yaml").write_text(RECIPE)
            write_data(seed)
            fit_teachers(seeds)
            for name, changes in CASES.items():
                report = distil("recipe.yaml", [*seeds, *changes], baseline=name == "mean")
                scores = report["scores"]
                students.setdefault(name, []).append(scores["student"]["rmse"])
                ensembles.setdefault(name, []).append(scores["ensemble"]["rmse"])
                if name == "mean":
                    students.setdefault("student alone", []).append(scores["alone"]["rmse"])
                    for teacher, found in scores["teachers"].items():
                        teachers.setdefault(teacher, []).append(found["rmse"])
                print(seed, name, scores["student"]["rmse"], flush=True)
    rows = []
    for name, found in students.items():
        gains = [a - b for a, b in zip(students["mean"], found, strict=True)]
        low, high = interval(gains)
        shown = name in ("mean", "student alone")
        rows.append(
            [
                name,
                mean_of(found),
                mean_of(ensembles[name]) if name in ensembles else "",
                "" if shown else f"{statistics.mean(gains):+.2f} ({low:+.2f} to {high:+.2f})",
            ]
        )
    alone = "; ".join(f"{name} {mean_of(found)}" for name, found in teachers.items())
    write(
        HERE / "bad_teacher.md",
        "A good, a mediocre and a biased teacher",
        f"python docs/benchmarks/bad_teacher.py --seeds {arguments.seeds}",
        ["strategy", "student's test RMSE", "the ensemble itself", "better than mean by (95 % interval)"],
        rows,
        "Friedman's first function, 60 labels, 18 of them for validation, 280 test rows; mean ± standard "
        "deviation over seeds, which change data and splits too; the interval is Student's t over paired "
        "differences. The teachers' own RMSE: "
        f"{alone}.",
    )


def write_data(seed: int) -> None:
    """Write the table of a seed into this folder."""
    x, y = make_friedman1(ROWS, n_features=10, noise=1.0, random_state=seed)
    lines = [",".join(f"{value:.6f}" for value in (*row, label)) for row, label in zip(x, y, strict=True)]
    heading = ",".join([*(f"x{number}" for number in range(10)), "y"])
    Path("friedman.csv").write_text("\n".join([heading, *lines]) + "\n")


def fit_teachers(changes: list[str]) -> None:
    """Write the three estimators of a split into this folder."""
    samples = loaded("recipe.yaml", [*changes, "teachers=[mlp:4]"]).data.all_labels.samples
    x, y = samples.read(slice(None)), samples.targets[:, 0]
    forest = RandomForestRegressor(200, random_state=0)
    skops.io.dump(forest.fit(x, y), "good.skops")
    skops.io.dump(make_pipeline(StandardScaler(), Ridge()).fit(x, y), "mediocre.skops")
    skops.io.dump(forest.set_params(random_state=1).fit(x, y + BIAS), "biased.skops")


def mean_of(values: list[float]) -> str:
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"


if __name__ == "__main__":
    main()
