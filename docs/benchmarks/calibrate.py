"""Three teachers, of which the weakest is much too sure: what one temperature for each changes.

python docs/benchmarks/calibrate.py --seeds 10

Digits, 200 labels, 40 of them for validation. Each teacher is a logistic regression of the pixels: one saw
all training labels, one 120 of them, the weakest 60, and its logits are multiplied by 10. Writes
calibrate.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from in_process import distil, loaded
from sklearn.linear_model import LogisticRegression
from tables import interval, write

HERE = Path(__file__).parent
SAW = {"many": None, "some": 120, "few": 60}
SURER = 10
RECIPE = """
task: classification
data: {name: digits, labels: 200, val: 0.2}
views: 1
teachers:
  - {name: many, model: "predictions:many.npz", outputs: logits}
  - {name: some, model: "predictions:some.npz", outputs: logits}
  - {name: few, model: "predictions:few.npz", outputs: logits}
strategy: mean
student: mlp:16
train: {epochs: 15, lr: 1e-2}
"""
STRATEGIES = ("mean", "entropy", "confidence")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    found: dict[tuple[str, str], list[dict[str, dict[str, float]]]] = {}
    temperatures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("recipe.yaml").write_text(RECIPE)
        for seed in range(seeds):
            changes = [f"data.seed={seed}", f"train.seed={seed}"]
            write_teachers(changes)
            for strategy in STRATEGIES:
                for calibrate in ("false", "true"):
                    asked = [*changes, f"strategy={strategy}", f"calibrate={calibrate}"]
                    report = distil("recipe.yaml", asked, baseline=False)
                    found.setdefault((strategy, calibrate), []).append(report["scores"])
                    print(seed, strategy, calibrate, report["scores"]["student"]["accuracy"], flush=True)
            for teacher in report["teachers"]:
                temperatures.setdefault(teacher["name"], []).append(teacher["calibration"]["temperature"])
    rows = []
    for (strategy, calibrate), scores in found.items():
        plain = found[strategy, "false"]
        gains = [
            a["student"]["accuracy"] - b["student"]["accuracy"] for a, b in zip(scores, plain, strict=True)
        ]
        low, high = interval(gains)
        rows.append(
            [
                strategy,
                calibrate,
                of([each["ensemble"]["accuracy"] for each in scores], 4),
                of([each["ensemble"]["nll"] for each in scores], 3),
                of([each["student"]["accuracy"] for each in scores], 4),
                f"{statistics.mean(gains):+.4f} ({low:+.4f} to {high:+.4f})" if calibrate == "true" else "",
            ]
        )
    shown = "; ".join(f"{name} {of(values, 2)}" for name, values in temperatures.items())
    alone = "; ".join(
        f"{name} {of([each['teachers'][name]['accuracy'] for each in found['mean', 'false']], 4)}"
        for name in SAW
    )
    write(
        HERE / "calibrate.md",
        "Teachers that are surer than they are right",
        f"python docs/benchmarks/calibrate.py --seeds {seeds}",
        [
            "strategy",
            "`calibrate`",
            "ensemble's test accuracy",
            "its NLL",
            "student's test accuracy",
            "gained by it (95 % interval)",
        ],
        rows,
        "Digits, 200 labels, 40 of them for validation; mean ± standard deviation over seeds, which change "
        "the splits too; the interval is Student's t over paired differences. The teachers' own accuracy: "
        f"{alone}. Their temperatures: {shown}; the logits of the last are {SURER} times what was fitted.",
    )


def write_teachers(changes: list[str]) -> None:
    """Write what each teacher says of every sample of a split."""
    data = loaded("recipe.yaml", changes).data
    samples = data.all_labels.samples
    x, y = pixels(samples.read(slice(None))), samples.targets
    splits = [split.samples for split in data.splits]
    ids = np.array([sample for split in splits for sample in split.ids])
    asked = np.concatenate([pixels(split.read(slice(None))) for split in splits])
    for name, count in SAW.items():
        rows = np.flatnonzero(y >= 0)[:count]
        model = LogisticRegression(max_iter=2000).fit(x[rows], y[rows])
        said = model.decision_function(asked) * (SURER if name == "few" else 1)
        np.savez(f"{name}.npz", ids=ids, predictions=said.astype(np.float32))


def pixels(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / 255.0


def of(values: list[float], digits: int) -> str:
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


if __name__ == "__main__":
    main()
