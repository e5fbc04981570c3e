"""Merge three teachers that each know some of the classes into one student that knows all.

python docs/benchmarks/merge.py --seeds 3

The recipes digit-scenes-merge and digits-merge. The merged student is compared with the same student
trained on all labels, and with naive merging of the same teachers: for detection, all boxes above a threshold
as hard labels (`hard_boxes`); for classification, probability 0 for unknown classes. For classification also
with the student trained on its labels only.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hard_boxes import best_threshold, hard_boxes
from in_process import distil, loaded
from tables import interval, spread, write

from mtkd_cli.runs import baselines, pipeline, preflight, strategy_batches
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.teachers.prepare import prepare_teachers

HERE = Path(__file__).parent
RECIPES = ("digit-scenes-merge", "digits-merge")
NAIVE = {
    "digit-scenes-merge": "union of boxes, as hard labels",
    "digits-merge": "zeros for unknown classes",
}
BASELINES = {"digit-scenes-merge": ("all-labels",), "digits-merge": ("alone", "all-labels")}
HEADER = ["student", "test score", "each seed", "share of all labels", "merged minus this, 95 % interval"]


@contextmanager
def chosen_baselines(*kinds: str) -> Iterator[None]:
    """Train these baselines; the reference on all labels has the only learning rate of the recipe."""
    own = pipeline.list_baselines, baselines._with_chosen_rate
    pipeline.list_baselines = lambda *_: tuple(baselines.Baseline(kind) for kind in kinds)  # type: ignore[arg-type]
    baselines._with_chosen_rate = lambda context: context
    try:
        yield
    finally:
        pipeline.list_baselines, baselines._with_chosen_rate = own


@contextmanager
def padded() -> Iterator[None]:
    """Merge as if every teacher knew every class; unknown classes have probability 0."""
    known = preflight.known_class_mask
    preflight.known_class_mask = strategy_batches.known_class_mask = lambda _: None
    try:
        yield
    finally:
        preflight.known_class_mask = strategy_batches.known_class_mask = known


def naive(recipe: str, overrides: list[str]) -> tuple[dict[str, Any], float | None]:
    """Return the report of naive merging, and the threshold of boxes."""
    if recipe == "digits-merge":
        with padded():
            return distil(recipe, overrides, "none"), None
    context = loaded(recipe, overrides)
    threshold = best_threshold(context, prepare_teachers(context, count_views(context.recipe)))
    with hard_boxes(threshold):
        return distil(recipe, overrides, "none"), threshold


def measure(recipe: str, seeds: Iterable[int]) -> dict[str, Any]:
    """Return the scores of each seed by student, the scores per class, and the thresholds."""
    scores: dict[str, list[float]] = {}
    thresholds: list[float] = []
    report: dict[str, Any] = {}
    for seed in seeds:
        given = [f"train.seed={seed}"]
        with chosen_baselines(*BASELINES[recipe]):
            report = distil(recipe, given, "all")
        metric = report["metric"]["name"]
        found = {"merged": report["scores"]["student"][metric]}
        found |= {kind: row[metric] for kind, row in report["scores"]["baselines"].items()}
        other, threshold = naive(recipe, given)
        found[NAIVE[recipe]] = other["scores"]["student"][metric]
        thresholds += [] if threshold is None else [threshold]
        for name, score in found.items():
            scores.setdefault(name, []).append(score)
        print(recipe, seed, found, thresholds, flush=True)
    return {"scores": scores, "thresholds": thresholds, "report": report}


def rows_of(scores: dict[str, list[float]]) -> list[list[str]]:
    merged, reference = scores["merged"], scores["all-labels"]
    rows = []
    for name, own in scores.items():
        shares = [mine / theirs if theirs else math.nan for mine, theirs in zip(own, reference, strict=True)]
        gains = [mine - theirs for mine, theirs in zip(merged, own, strict=True)]
        low, high = interval(gains)
        gain = "" if name == "merged" else f"{statistics.mean(gains):+.4f}"
        if name != "merged" and len(gains) > 1:
            gain += f" ({low:+.4f} to {high:+.4f})"
        each = " ".join(f"{score:.4f}" for score in own)
        rows.append([name, spread(own), each, f"{statistics.mean(shares):.3f}", gain])
    return rows


def write_page(recipe: str, seeds: int, found: dict[str, Any]) -> None:
    """Write the page about a recipe, and the scores as JSON."""
    report = found["report"]
    name = report["metric"]["name"]
    teachers = ", ".join(f"{who} {row[name]:.4f}" for who, row in report["scores"]["teachers"].items())
    chosen = ", ".join(f"{threshold:g}" for threshold in found["thresholds"])
    write(
        HERE / f"{recipe}.md",
        f"{recipe}: merging teachers that know different classes",
        f"python docs/benchmarks/merge.py --seeds {seeds} --recipes {recipe}",
        HEADER,
        rows_of(found["scores"]),
        f"Test {name}, mean ± standard deviation over training seeds. {report['data']['train_labelled']} of "
        f"{report['data']['train']:,} training samples are labeled; *all-labels* sees the labels of all. "
        f"Teachers on all classes: {teachers}; their ensemble: {report['scores']['ensemble'][name]:.4f}."
        + (f" Thresholds of the union, chosen on validation: {chosen}." if chosen else ""),
    )
    raw = {"scores": found["scores"], "thresholds": found["thresholds"]}
    (HERE / f"{recipe}.json").write_text(json.dumps(raw, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", default=RECIPES, choices=RECIPES)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for recipe in arguments.recipes:
        write_page(recipe, arguments.seeds, measure(recipe, range(arguments.seeds)))


if __name__ == "__main__":
    main()
