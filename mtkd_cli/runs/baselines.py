"""Baselines: the student trained without teachers, which the distilled student is compared with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from mtkd_cli.files import hashing
from mtkd_cli.runs.students import TrainedStudent, best_candidate, build, plan_steps
from mtkd_cli.safe_loading import weights
from mtkd_cli.store import content_store
from mtkd_cli.store.shared import filling_together
from mtkd_cli.teachers.identity import student_identity
from mtkd_cli.training.context import Context
from mtkd_cli.training.objectives import FromLabels
from mtkd_cli.training.selection import SELECTION


@dataclass(frozen=True)
class Baseline:
    """One way to train the student without teachers.

    Attributes:
        kind: ``alone``: on the labels that the distilled student has. Also its key in a report, and the
            kind of its folder in the store.
    """

    kind: Literal["alone"]

    @property
    def phase(self) -> str:
        """Name of its phase, in ``metrics.jsonl`` too."""
        return f"student {self.kind}"


def baselines_of(wanted: bool) -> tuple[Baseline, ...]:
    """Return the baselines of a run; none if they are not wanted."""
    return (Baseline("alone"),) if wanted else ()


def trained_baseline(baseline: Baseline, context: Context) -> TrainedStudent:
    """Return the student of a baseline; trained once, then reused by every run that shares it.

    It has the same labels, live views, the same number of optimizer steps, the checkpoint chosen
    on validation and a search over the same candidates.
    """
    key = baseline_key(context)
    with filling_together(baseline.kind, key) as empty:
        if empty is not None:
            split = context.data.train
            data = context.training_data(split, split.labelled, view_count=None)
            checkpoints = content_store.unfinished(baseline.kind, key)
            student = best_candidate(context, data, FromLabels(data), baseline.phase, checkpoints)
            weights.write(empty / "student.safetensors", student.model.module.state_dict())
            facts = {"settings": student.settings, "trials": student.trials, "curve": student.curve}
            (empty / "facts.json").write_text(json.dumps(facts))
    folder = content_store.folder_of(baseline.kind, key)
    facts = json.loads((folder / "facts.json").read_text())
    model = build(context)
    tensors, _ = weights.read(folder / "student.safetensors")
    weights.load_into(model.module, tensors, baseline.phase)
    return TrainedStudent(model, facts["settings"], tuple(facts["trials"]), tuple(facts["curve"]))


def is_kept(baseline: Baseline, context: Context) -> bool:
    """Whether the student of a baseline is in the store."""
    return content_store.find(baseline.kind, baseline_key(context)) is not None


def baseline_key(context: Context) -> dict[str, Any]:
    """Return everything that decides the student of a baseline, besides the kind."""
    recipe, data = context.recipe, context.data
    return {
        "student": student_identity(context.parts.student, recipe.student),
        "splits": [data.train.digest, data.val.digest],
        "targets": [hashing.array_sha256(split.samples.targets) for split in (data.train, data.val)],
        "classes": data.classes,
        "task": recipe.task.model_dump(mode="json"),
        "loss": {"label_smoothing": recipe.loss.label_smoothing, "class_weights": recipe.loss.class_weights},
        "train": recipe.train.model_dump(mode="json"),
        "steps": plan_steps(context),
        "views": recipe.views.seed,
        "augment": recipe.augment.model_dump(mode="json"),
        "selection": SELECTION,
        "engine": context.engine,
    }
