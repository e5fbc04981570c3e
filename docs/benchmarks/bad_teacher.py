"""Compare strategies in regression with a good, a mediocre and a biased teacher.

python docs/benchmarks/bad_teacher.py --seeds 10

Diabetes, 60 labels. Good: ridge regression on all training labels. Mediocre: a tree of depth 2 on 40 of
them. Biased: a forest on all training labels with 80 added to each. Writes bad_teacher.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import skops.io
import torch
from in_process import distil, loaded, scores_of
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from tables import interval, spread, write

HERE = Path(__file__).parent
BIAS = 80
GOOD = (
    "teachers=[{name: good, model: 'sklearn:good.skops'}, {name: mediocre, model: 'sklearn:mediocre.skops'}]"
)
ALL = GOOD.replace("]", ", {name: biased, model: 'sklearn:biased.skops'}]")
CASES = {
    "mean of only good and mediocre": (GOOD, "strategy=mean"),
    "mean": (ALL, "strategy=mean"),
    "weighted": (ALL, "strategy={name: weighted, by: validation}"),
    "median": (ALL, "strategy=median"),
    "trimmed-mean, trim 0.34": (ALL, "strategy={name: trimmed-mean, trim: 0.34}"),
    "consensus": (ALL, "strategy=consensus"),
    "confidence": (ALL, "strategy=confidence"),
    "stacking": (ALL, "strategy=stacking"),
    "best": (ALL, "strategy=best"),
    "mean, gate 0.75": (ALL, "strategy=mean", "task.gate=0.75"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    students: dict[str, list[float]] = {}
    ensembles: dict[str, list[float]] = {}
    teachers: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for seed in range(arguments.seeds):
            seeds = [f"data.seed={seed}", f"train.seed={seed}", "train.lr=3e-3"]
            fit_teachers(seeds)
            for name, changes in CASES.items():
                report = distil("diabetes", [*seeds, *changes], baseline=name == "mean")
                scores = scores_of(report)
                students.setdefault(name, []).append(scores["student"]["rmse"])
                ensembles.setdefault(name, []).append(scores["ensemble"]["rmse"])
                if name == "mean":
                    students.setdefault("baseline", []).append(scores["alone"]["rmse"])
                    for teacher, found in scores["teachers"].items():
                        teachers.setdefault(teacher, []).append(found["rmse"])
                print(seed, name, scores["student"]["rmse"], flush=True)
    rows = []
    for name, found in students.items():
        gains = [a - b for a, b in zip(students["mean"], found, strict=True)]
        low, high = interval(gains)
        shown = name in ("mean", "baseline")
        rows.append(
            [
                name,
                spread(found, ".2f"),
                spread(ensembles[name], ".2f") if name in ensembles else "",
                "" if shown else f"{statistics.mean(gains):+.2f} ({low:+.2f} to {high:+.2f})",
            ]
        )
    alone = "; ".join(f"{name} {spread(found, '.2f')}" for name, found in teachers.items())
    write(
        HERE / "bad_teacher.md",
        "A good, a mediocre and a biased teacher",
        f"python docs/benchmarks/bad_teacher.py --seeds {arguments.seeds}",
        ["strategy", "student's test RMSE", "ensemble's test RMSE", "gain over mean (95 % interval)"],
        rows,
        "Diabetes, 60 labels, 18 of them for validation; mean ± standard deviation over the seeds, which "
        "also change the splits. The interval is Student's t over paired differences. The teachers' "
        f"test RMSE: {alone}.",
    )


def fit_teachers(changes: list[str]) -> None:
    """Write the three estimators of a split into this folder."""
    samples = loaded("diabetes", changes).data.all_labels.samples
    x, y = samples.read(slice(None)), samples.targets[:, 0]
    tree = DecisionTreeRegressor(max_depth=2, random_state=0).fit(x[:40], y[:40])
    forest = RandomForestRegressor(100, min_samples_leaf=5, random_state=0).fit(x, y + BIAS)
    skops.io.dump(make_pipeline(StandardScaler(), Ridge(10)).fit(x, y), "good.skops")
    skops.io.dump(tree, "mediocre.skops")
    skops.io.dump(forest, "biased.skops")


if __name__ == "__main__":
    main()
