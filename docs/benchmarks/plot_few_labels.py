"""Draw the table of few_labels.py.

python docs/benchmarks/plot_few_labels.py digits

Reads RECIPE.json and writes docs/images/RECIPE.svg.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "mtkd"
from matplotlib import pyplot as plt  # noqa: E402

HERE = Path(__file__).parent
WHO = {
    "student": ("distilled student", "#0072b2"),
    "pseudo-labels": ("baseline: pseudo-labels", "#009e73"),
    "alone": ("baseline: alone", "#d55e00"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe")
    recipe = parser.parse_args().recipe
    raw = json.loads((HERE / f"{recipe}.json").read_text())
    budgets = list(raw)
    figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
    for offset, (who, (label, color)) in zip((-0.08, 0, 0.08), WHO.items(), strict=True):
        scores = [accuracies(raw[budget], who) for budget in budgets]
        scores = [seeds for seeds in scores if seeds]  # no pseudo-labels where every sample has a label
        positions = [index + offset for index in range(len(scores))]
        for position, seeds in zip(positions, scores, strict=True):
            axes.plot([position] * len(seeds), seeds, ".", color=color, alpha=0.45)
        axes.plot(positions, [statistics.mean(seeds) for seeds in scores], "o-", color=color, label=label)
    ensemble = statistics.mean(report["scores"]["ensemble"]["accuracy"] for report in raw[budgets[0]])
    axes.axhline(ensemble, color="#666666", linestyle=":", label="ensemble of the three teachers")
    axes.set_xticks(range(len(budgets)), budgets)
    axes.set_xlabel("labels that the student sees")
    axes.set_ylabel("test accuracy")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False, loc="lower right")
    folder = HERE.parent / "images"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{recipe}.svg", metadata={"Date": None})


def accuracies(reports: list[dict[str, Any]], who: str) -> list[float]:
    """Return the accuracy of the student or a baseline in each report that has it."""
    everyone = [{"student": r["scores"]["student"], **r["scores"]["baselines"]} for r in reports]
    return [scores[who]["accuracy"] for scores in everyone if who in scores]


if __name__ == "__main__":
    main()
