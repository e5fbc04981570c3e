"""Check a recipe, its data and its teachers before training: raise, or show what the user should know."""

from __future__ import annotations

from mtkd_cli.data import dataset
from mtkd_cli.errors import DataError, UsageError, join_first
from mtkd_cli.interfaces import Task
from mtkd_cli.plugin.alternatives import use_another_loss
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.report import alignment
from mtkd_cli.teachers.class_coverage import class_coverage
from mtkd_cli.teachers.fit_classes import fit_split_of
from mtkd_cli.teachers.label_alignment import alignment_remarks
from mtkd_cli.teachers.outputs import ReadyTeacher, known_class_mask
from mtkd_cli.training.context import Context
from mtkd_cli.training.loop import require_minimum_batch
from mtkd_cli.training.strategy import Strategy


def refuse_top_k(recipe: Recipe, task: Task) -> None:
    """Raise if ``store.top_k`` is set and the task or its loss needs every logit."""
    if not isinstance(recipe.store.top_k, int):
        return
    if not task.over_classes:
        raise UsageError(
            f"store.top_k requires class logits; task {recipe.task.name!r} has none",
            "store.top_k",
            "remove store.top_k",
        )
    if recipe.loss.temperature != 1:
        raise UsageError(
            f"store.top_k requires loss.temperature 1; the recipe has {recipe.loss.temperature:g}",
            where="loss.temperature",
            hint="set loss.temperature=1, or remove store.top_k",
        )
    if not task.needs_probabilities_only:
        other = use_another_loss(recipe.task.name, every_logit=False)
        raise UsageError(
            "this distillation loss needs every logit, but store.top_k keeps only a few",
            where="task, store.top_k",
            hint=", or ".join(filter(None, (other, "remove store.top_k"))),
        )


def refuse_missing_labels(recipe: Recipe, data: dataset.Dataset, only_teachers: bool) -> None:
    """Raise if a split has no label that the recipe needs.

    A student is selected on validation and reported on test labels. It learns from the teachers alone if no
    training sample has a label.

    Args:
        recipe: the recipe.
        data: its data.
        only_teachers: whether no student is trained.

    Raises:
        DataError: names the split, and what needs its labels.
    """
    fitted = [teacher.name or teacher.model for teacher in recipe.teachers if teacher.fit]
    needs = {
        "train": [f"teacher {name}, which is fitted" for name in fitted],
        "val": ["calibrate"] if recipe.calibrate is True else [],
        "test": [],
    }
    if recipe.loss.class_weights == "balanced":
        needs["train"].append("loss.class_weights: balanced")
    if recipe.loss.kd_ratio == 0 and not only_teachers:
        needs["train"].append("loss.kd_ratio: 0, which ignores the teachers")
    if not only_teachers:
        needs["val"].append("the choice of the best epoch")
        needs["test"].append("the report")
    for split, reasons in needs.items():
        if reasons:
            data.require_labels(split, needed_by=reasons[0])


def remark_missing_labels(context: Context) -> None:
    """Show that no training sample has a label, if that is so."""
    if not len(context.data.train.labeled):
        context.progress.remark(
            ["no training sample has a label: the student learns from the teachers alone; no baselines"]
        )


def refuse_wrong_labels(data: dataset.Dataset, task: Task) -> None:
    """Raise if a label is invalid for the task; the error names the sample."""
    for split in (data.all_labels, data.val, data.test):
        if wrong := task.find_invalid_label(split.samples.targets):
            row, what = wrong
            raise DataError(what, f"{split.name}, sample {split.samples.ids[row]}", "correct the label")


def refuse_few_samples(context: Context, baselines: bool, processes: int | None = None) -> None:
    """Raise if a process would have no share of a batch.

    Args:
        context: the run.
        baselines: whether baselines are trained; they see the labeled samples only.
        processes: number of processes; None: those of this run.

    Raises:
        UsageError: a batch of the student, of a baseline or of a teacher's fit is too small.
    """
    train, recipe = context.data.train, context.recipe
    for samples in (len(train), *([len(train.labeled)] if baselines else [])):
        require_minimum_batch(samples, recipe.train.batch_size, processes)
    for fit in (teacher.fit for teacher in recipe.teachers if teacher.fit):
        require_minimum_batch(len(fit_split_of(fit, context).rows), fit.batch_size, processes)


def refuse_partial_label_spaces(context: Context, strategy: Strategy, teachers: list[ReadyTeacher]) -> None:
    """Raise if a teacher lacks classes and the strategy or the loss needs all of them."""
    known = known_class_mask(teachers)
    strategy.require_full_outputs(known, gaps=context.recipe.store.on_nan == "drop")
    if known is not None and not context.task.any_label_space:
        other = use_another_loss(context.recipe.task.name, any_label_space=True)
        raise UsageError(
            "this distillation loss needs teachers that know every class",
            where="task",
            hint=other or "remove teachers that know only some classes",
        )


def show_alignment(context: Context, teachers: list[ReadyTeacher]) -> None:
    """Show how the teachers' classes match the classes of the data."""
    alignments = {teacher.name: teacher.alignment for teacher in teachers}
    own = {teacher.name: teacher.facts["classes"] for teacher in teachers}
    lines = [
        f"teacher {teacher.name}: classes: are matched by number; class names are safer"
        for teacher in teachers
        if any(isinstance(given, int) for given in teacher.entry.classes or ())
    ]
    in_order = join_first(context.data.classes)
    lines += [
        f"teacher {teacher.name} names no classes: its outputs are taken in the data's order: {in_order}"
        for teacher in teachers
        if context.task.over_classes and own[teacher.name] is None and teacher.entry.fit is None
    ]
    lines += alignment_remarks(alignments, own, context.data.classes)
    answered = {teacher.name: teacher.own_classes for teacher in teachers}
    same = all(t.alignment.is_identity(len(t.facts["classes"] or context.data.classes)) for t in teachers)
    shown = None if same else alignment.table(context.data.classes, answered)
    context.progress.remark(lines, shown, about=answered)
    _warn_about_weak_classes(context, teachers)


def _warn_about_weak_classes(context: Context, teachers: list[ReadyTeacher]) -> None:
    """Show a warning for each class that only weak teachers know."""
    coverage = class_coverage(teachers, context.data.classes)
    taught = {each.name for each in coverage.classes if each.teachers} if coverage else ()
    for name, warning in (coverage.warnings() if coverage else {}).items():
        if name in taught:  # others are in the remarks about the alignment
            context.progress.say(f"warning: class {name}: {warning}")
