"""Train the baselines: the student trained without teachers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from mtkd_cli.data.dataset import Split
from mtkd_cli.files import hashing
from mtkd_cli.runs import pseudo_labels
from mtkd_cli.runs.baseline_choice import BaselineChoice
from mtkd_cli.runs.students import TrainedStudent, build_untrained, plan_steps, train_best_candidate
from mtkd_cli.safe_loading import weights
from mtkd_cli.store import content_store
from mtkd_cli.store.own_key import continue_unfinished
from mtkd_cli.store.shared import fill_once_together
from mtkd_cli.teachers.identity import student_identity
from mtkd_cli.training.context import Context
from mtkd_cli.training.objectives import FromLabels
from mtkd_cli.training.selection import SELECTION


@dataclass(frozen=True)
class Baseline:
    """One way to train the student without teachers.

    Attributes:
        kind: ``alone``: on the labels of the distilled student. ``pseudo-labels``: on these, and on
            pseudo-labels of all training samples. ``all-labels``: on all labels that teachers were fitted
            to, at the learning rate chosen for ``alone``; a reference that sees more labels, not a fair
            baseline. The kind is also its key in a report, and the kind of its folder in the store.
    """

    kind: Literal["alone", "pseudo-labels", "all-labels"]

    @property
    def phase(self) -> str:
        """Name of its phase, also in ``metrics.jsonl``."""
        return f"student {self.kind}"

    @property
    def has_one_candidate(self) -> bool:
        """Whether it is trained once, at the learning rate chosen for the student alone."""
        return self.kind == "all-labels"

    def labels(self, context: Context) -> Split:
        """Return the training split with the labels that the baseline sees."""
        return context.data.all_labels if self.kind == "all-labels" else context.data.train


ALONE = Baseline("alone")


def list_baselines(choice: BaselineChoice, context: Context) -> tuple[Baseline, ...]:
    """Return the baselines of the choice that make sense for the data and teachers of a run.

    Without a labeled training sample there are none: they learn from labels.
    """
    if not len(context.data.train.labeled):
        return ()
    return tuple(_yield_baselines(choice, context))


def _yield_baselines(choice: BaselineChoice, context: Context) -> Iterator[Baseline]:
    if choice is not BaselineChoice.NONE:
        yield ALONE
    if choice is not BaselineChoice.ALL:
        return
    if pseudo_labels.are_useful(context):
        yield Baseline("pseudo-labels")
    teachers_saw_all = any(t.fit is not None and t.fit.labels == "all" for t in context.recipe.teachers)
    if teachers_saw_all and len(context.data.all_labels.labeled) > len(context.data.train.labeled):
        yield Baseline("all-labels")


def train_baseline(baseline: Baseline, context: Context) -> TrainedStudent:
    """Return the student of a baseline; train it unless it is in the store.

    A baseline has live views, as many optimizer steps as the distilled student, a checkpoint chosen on
    validation, and the same candidates. The reference on all labels has one candidate, the one chosen for
    the student alone, to save time.
    """
    key = context.key_of_run(baseline.kind, baseline_key(baseline, context))
    with fill_once_together(baseline.kind, key) as empty:
        if empty is not None:
            continue_unfinished(baseline.kind, key)
            checkpoints = content_store.unfinished_folder(baseline.kind, key)
            if baseline.kind == "pseudo-labels":
                alone = train_baseline(ALONE, context).model
                pseudo_labeled, objective, source = pseudo_labels.make_pseudo_labels(context, alone)
                context.progress.say(f"pseudo-labels: {source}")
                student = train_best_candidate(
                    context, pseudo_labeled, objective, baseline.phase, checkpoints
                )
                student = replace(student, note=f"pseudo-labels from {source}")
            else:
                searched = _with_chosen_rate(context) if baseline.has_one_candidate else context
                split = baseline.labels(context)
                data = context.training_data(split, split.labeled, view_count=None)
                student = train_best_candidate(searched, data, FromLabels(data), baseline.phase, checkpoints)
            weights.write(empty / "student.safetensors", student.model.module.state_dict())
            facts = {"settings": student.settings, "trials": student.trials, "curve": student.curve}
            (empty / "facts.json").write_text(json.dumps({**facts, "note": student.note}))
    folder = content_store.folder_of(baseline.kind, key)
    facts = json.loads((folder / "facts.json").read_text())
    model = build_untrained(context)
    tensors, _ = weights.read(folder / "student.safetensors")
    weights.load_into(model.module, tensors, baseline.phase)
    trials, curve = tuple(facts["trials"]), tuple(facts["curve"])
    return TrainedStudent(model, facts["settings"], trials, curve, facts.get("note", ""))


def _with_chosen_rate(context: Context) -> Context:
    """Return the run with one candidate: the learning rate and weight decay chosen for the student alone."""
    chosen = train_baseline(ALONE, context).settings
    train = context.recipe.train.model_copy(update={name: (value,) for name, value in chosen.items()})
    return replace(context, recipe=context.recipe.model_copy(update={"train": train}))


def is_trained(baseline: Baseline, context: Context) -> bool:
    """Whether the student of a baseline is in the store."""
    key = context.key_of_run(baseline.kind, baseline_key(baseline, context))
    return content_store.find(baseline.kind, key) is not None


def baseline_key(baseline: Baseline, context: Context) -> dict[str, Any]:
    """Return everything that the student of a baseline depends on, besides its kind."""
    recipe, data = context.recipe, context.data
    labels = (baseline.labels(context), data.val)
    return {
        "student": student_identity(context.parts.student, recipe.student),
        "splits": [data.train.digest, data.val.digest],
        "targets": [hashing.array_sha256(split.samples.targets) for split in labels],
        "classes": data.classes,
        "task": recipe.task.model_dump(mode="json"),
        "loss": {"label_smoothing": recipe.loss.label_smoothing, "class_weights": recipe.loss.class_weights},
        "train": recipe.train.model_dump(mode="json"),
        "steps": plan_steps(context),
        "views": recipe.views.seed,
        "augment": recipe.augment.model_dump(mode="json"),
        "selection": SELECTION,
        "engine": context.engine,
        **(pseudo_labels.pseudo_label_key(context) if baseline.kind == "pseudo-labels" else {}),
        **({"candidates": "chosen for the student alone"} if baseline.has_one_candidate else {}),
    }
