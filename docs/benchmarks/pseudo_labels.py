"""Compare what several detectors can teach: merged boxes, the best teacher's boxes, or its pseudo-labels.

python docs/benchmarks/pseudo_labels.py --seeds 3

The recipe digit-scenes-det with other scenes than those that its defaults were chosen on. Pseudo-labels are
the boxes of the best teacher on validation, above a threshold that is chosen on validation, as hard labels.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from hard_boxes import best_threshold, hard_boxes
from in_process import distil, loaded
from tables import interval, spread, write

from mtkd_cli.audit import audit_of
from mtkd_cli.data.views import PLAIN
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.recipe.resolve import strategies_for
from mtkd_cli.runs.strategy_batches import fit_strategy, make_batches
from mtkd_cli.runs.view_count import count_views
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.training.strategy import Strategy, mixture

HERE = Path(__file__).parent
RECIPE = "digit-scenes-det"
PSEUDO_LABELS = "pseudo-labels of the best teacher"
CASES = {
    "weighted, wbf": ("strategy=weighted", "task.fusion=wbf"),
    "mean, wbf": ("strategy=mean", "task.fusion=wbf"),
    "weighted, nms": ("strategy=weighted", "task.fusion=nms"),
    "weighted, soft-nms": ("strategy=weighted", "task.fusion=soft-nms"),
    "weighted, wbf, not calibrated": ("strategy=weighted", "task.fusion=wbf", "calibrate=false"),
    "best, not calibrated": ("strategy=best", "calibrate=false"),
    "best": ("strategy=best",),
    PSEUDO_LABELS: ("strategy=best",),
}
HEADER = [
    "what teaches",
    "its test mAP",
    "student's test mAP",
    "each seed",
    "minus pseudo-labels, 95 % interval",
]


def map_of_boxes(overrides: list[str]) -> float:
    """Return the test mAP of the boxes that teach."""
    context = loaded(RECIPE, overrides)
    teachers = prepare_teachers(context, count_views(context.recipe))
    strategy = Strategy(context.parts.strategy)
    fit_strategy(strategy, context, teachers)
    test = context.data.test
    rows = np.arange(len(test))
    outputs = tuple(teacher.recorded_outputs("test", PLAIN, rows) for teacher in teachers)
    merged = strategy.merge(make_batches(context, test, teachers)(outputs, rows, None))
    boxes = mixture(context.task, merged)
    target = torch.from_numpy(test.samples.targets)
    return context.task.metrics(context.task.statistics(boxes, target))["map"]


def threshold_of(teacher: str, overrides: list[str]) -> float:
    """Return the threshold of a teacher's boxes with the best F1 on validation."""
    context = loaded(RECIPE, overrides)
    teachers = prepare_teachers(context, count_views(context.recipe))
    return best_threshold(context, [own for own in teachers if own.name == teacher])


def student_map(case: str, overrides: list[str], threshold: float) -> float:
    """Return the test mAP of the student of a case."""
    given = [*overrides, *CASES[case]]
    if case == PSEUDO_LABELS:
        with hard_boxes(threshold):
            report = distil(RECIPE, given, "none")
    else:
        report = distil(RECIPE, given, "none")
    return float(report["scores"]["student"]["map"])


def rows_of(scores: Mapping[str, list[float]], taught: Mapping[str, float]) -> list[list[str]]:
    """Return the rows of the page, the best student first; cases without students last."""
    rows = []
    for name in sorted(scores, key=lambda case: -statistics.mean(scores[case])):
        own = scores[name]
        gain = ""
        if name != PSEUDO_LABELS and PSEUDO_LABELS in scores:
            gains = [mine - theirs for mine, theirs in zip(own, scores[PSEUDO_LABELS], strict=True)]
            gain = f"{statistics.mean(gains):+.4f}"
            if len(gains) > 1:
                low, high = interval(gains)
                gain += f" ({low:+.4f} to {high:+.4f})"
        rows.append(
            [name, f"{taught[name]:.4f}", spread(own), " ".join(f"{score:.4f}" for score in own), gain]
        )
    return rows + [[name, f"{taught[name]:.4f}", "-", "-", ""] for name in taught if name not in scores]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scene-seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, help="default: those of the recipe")
    parser.add_argument("--students", nargs="+", default=list(CASES), choices=CASES, metavar="CASE")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scenes = [f"data.scene_seed={arguments.scene_seed}"]
    audited = audit_of(loaded(RECIPE, scenes), strategies_for("detection", load_registry(), RECIPE))
    threshold = threshold_of(audited.best_teacher, scenes)
    taught = {case: map_of_boxes([*scenes, *changes]) for case, changes in CASES.items()}
    print(audited.recommended, audited.best_teacher, threshold, taught, flush=True)
    scores: dict[str, list[float]] = {case: [] for case in arguments.students}
    epochs = [] if arguments.epochs is None else [f"train.epochs={arguments.epochs}"]
    note = (
        f"{RECIPE} with `scene_seed: {arguments.scene_seed}`"
        + (f" and {arguments.epochs} epochs" if epochs else "")
        + ". Test mAP, mean ± standard deviation over training seeds; differences of each seed, with "
        "Student's 95 % interval of their mean. A dash: no student was trained. "
        f"The audit recommends `{audited.recommended}` ({audited.reason}); the best teacher on validation is "
        f"{audited.best_teacher}. Threshold of the pseudo-labels, chosen on validation: {threshold:g}."
    )
    for seed in range(arguments.seeds):
        for case, own in scores.items():
            own.append(student_map(case, [*scenes, *epochs, f"train.seed={seed}"], threshold))
            print(case, seed, own[-1], flush=True)
        command = f"python docs/benchmarks/pseudo_labels.py {shlex.join(sys.argv[1:])}"
        title = "Merged boxes, the best teacher's boxes, or its pseudo-labels"
        write(HERE / "pseudo_labels.md", title, command, HEADER, rows_of(scores, taught), note)
        found = {"scores": scores, "taught": taught, "threshold": threshold, "audit": audited.recommended}
        (HERE / "pseudo_labels.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
