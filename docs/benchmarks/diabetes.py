"""Diabetes with few labels: the distilled student, the baseline, and ridge regression.

python docs/benchmarks/diabetes.py --labels 30 60 --seeds 3

Writes diabetes.md. A seed changes the splits, the selected labels and the students, so the teachers are
fitted again for each seed.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
from in_process import distil, loaded, scores_of
from sklearn.linear_model import RidgeCV
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tables import interval, spread, write

HERE = Path(__file__).parent
ALPHAS = np.logspace(-2, 3, 16)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--labels", type=int, nargs="+", default=[30, 60])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for labels in arguments.labels:
        scores: dict[str, list[float]] = {}
        for seed in range(arguments.seeds):
            changes = [f"data.labels={labels}", f"data.seed={seed}", f"train.seed={seed}"]
            report = distil("diabetes", changes)
            found = {who: scores_of(report)[who]["rmse"] for who in ("alone", "student", "ensemble")}
            found["ridge"], found["ridge, all labels"] = ridge(changes)
            for who, value in found.items():
                scores.setdefault(who, []).append(value)
            print(labels, seed, found, flush=True)
        rows.append(row(labels, scores))
    write(
        HERE / "diabetes.md",
        "diabetes with few labels",
        f"python docs/benchmarks/diabetes.py --labels {' '.join(map(str, arguments.labels))} "
        f"--seeds {arguments.seeds}",
        [
            "labels",
            "baseline",
            "distilled student",
            "gain",
            "95 % interval",
            "ridge, same labels",
            "ensemble",
            "ridge, all labels",
        ],
        rows,
        "RMSE on 133 test patients (lower is better), mean ± standard deviation over the seeds, which also "
        "change the splits. The interval is Student's t over the paired gains. The students have 193 "
        "parameters; 30 % of the labels are for validation. Ridge regression uses the same labels, including "
        "those for validation, and selects its penalty by leave-one-out. The teachers were fitted on all 309 "
        "training labels except those for validation.",
    )


def ridge(changes: list[str]) -> tuple[float, float]:
    """Return the RMSE of ridge regression on the student's labels, and on all training labels."""
    data = loaded("diabetes", changes).data
    test = data.test.samples
    scores = []
    for train in (data.train, data.all_labels):
        x, y = (np.concatenate(parts) for parts in zip(*map(labeled, (train, data.val)), strict=True))
        model = make_pipeline(StandardScaler(), RidgeCV(ALPHAS)).fit(x, y)
        scores.append(root_mean_squared_error(test.targets[:, 0], model.predict(test.read(slice(None)))))
    return scores[0], scores[1]


def labeled(split: object) -> tuple[np.ndarray, np.ndarray]:
    rows = split.labeled
    return split.samples.read(rows), split.samples.targets[rows, 0]


def row(labels: int, scores: dict[str, list[float]]) -> list[object]:
    def shown(who: str) -> str:
        return spread(scores[who], ".2f")

    gains = [a - b for a, b in zip(scores["alone"], scores["student"], strict=True)]
    low, high = interval(gains)
    return [
        labels,
        shown("alone"),
        shown("student"),
        f"{statistics.mean(gains):+.2f}",
        f"{low:+.2f} to {high:+.2f}",
        shown("ridge"),
        shown("ensemble"),
        shown("ridge, all labels"),
    ]


if __name__ == "__main__":
    main()
