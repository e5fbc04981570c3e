"""Digits with few labels: the distilled student against the same student alone.

python docs/benchmarks/digits.py --seeds 5

Writes digits.md and docs/images/digits.svg. The seeds change initial weights, order and dropout of the
students; splits, teachers and recordings are the recipe's.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from in_process import distil
from tables import interval, versions, write

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 100, 200, 1258])
    arguments = parser.parse_args()
    rows, raw = [], {}
    for labels in arguments.labels:
        reports = [
            distil("digits", [f"data.labels={labels}", f"train.seed={seed}"])
            for seed in range(arguments.seeds)
        ]
        student, alone, ensemble = (
            [report["scores"][who]["accuracy"] for report in reports]
            for who in ("student", "alone", "ensemble")
        )
        gains = [a - b for a, b in zip(student, alone, strict=True)]
        low, high = interval(gains)
        raw[labels] = {"student": student, "alone": alone, "ensemble": ensemble}
        rows.append(
            [
                labels,
                *(f"{statistics.mean(s):.4f} ± {statistics.stdev(s):.4f}" for s in (alone, student)),
                f"{statistics.mean(ensemble):.4f}",
                f"{statistics.mean(gains):+.4f}",
                f"{low:+.4f} to {high:+.4f}",
            ]
        )
    (HERE / "digits.json").write_text(json.dumps(raw, indent=1) + "\n")
    write(
        HERE / "digits.md",
        "Digits with few labels",
        f"python docs/benchmarks/digits.py --seeds {arguments.seeds}",
        ["labels", "student alone", "distilled student", "ensemble", "gain", "95 % interval of the gain"],
        rows,
        "Accuracy on the test samples, mean ± standard deviation over the seeds; the interval is Student's t "
        "over the paired differences. Both students have 1,442 parameters, the same labels, the same number "
        "of steps and the same three learning rates to choose from on validation. The teachers were fitted "
        "on all training labels.",
    )
    print(versions())


if __name__ == "__main__":
    main()
