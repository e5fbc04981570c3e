"""Resolve the recipe's ``auto`` values that depend on the data: augmentation, views, batch sizes, and more.

`resolve_auto` makes every choice. A run records the values, so that it resumes with them even if a later
version would choose others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mtkd_cli.data.dataset import Dataset
from mtkd_cli.interfaces import HasScores, Task
from mtkd_cli.recipe.augment import RandAugment
from mtkd_cli.recipe.resolve import Resolved
from mtkd_cli.recipe.schema import Augment, Fit, Recipe, Teacher, is_auto
from mtkd_cli.runs.view_count import max_affordable_views
from mtkd_cli.teachers.fit_split import create_fit_split
from mtkd_cli.training.batch_size import automatic_batch_size, too_few_steps
from mtkd_cli.training.context import Context

MAX_VIEWS = 4
"""Maximum number of views if both are ``auto``: on digits, 8 cost twice as much as 4 and gained nothing."""
NONE = Augment()
GRAYSCALE = Augment(shift=0.1, rotate=10, zoom=0.1)
"""Without flip: a mirrored digit or letter has another label, or no valid one."""
PHOTO = Augment(flip=True, crop=0.8, brightness=0.2, contrast=0.2)
MAP = Augment(shift=0.05, zoom=0.1)
"""For boxes and masks, which are transformed with the image; without rotation, which makes boxes loose."""


def resolve_auto(parts: Resolved, data: Dataset, task: Task) -> Recipe:
    """Return the recipe with a value for every ``auto`` that depends on the data."""
    recipe = parts.recipe
    changes: dict[str, Any] = {}
    if is_auto(recipe.augment):
        changes["augment"] = choose_augmentation(parts, data, task)[0]
        if recipe.views.count == "auto" and changes["augment"] != NONE:
            count = min(MAX_VIEWS, max_affordable_views(recipe.train.epochs))
            changes["views"] = recipe.views.model_copy(update={"count": count})
    if is_auto(recipe.train.batch_size):
        size = automatic_batch_size(len(data.train))
        changes["train"] = recipe.train.model_copy(update={"batch_size": size})
    if is_auto(recipe.calibrate):
        changes["calibrate"] = isinstance(task, HasScores) and len(data.val.labeled) > 0
    changes["fit"] = _resolve_fit(recipe.fit, data, recipe)
    changes["teachers"] = tuple(_resolve_teacher(teacher, data, recipe) for teacher in recipe.teachers)
    return recipe.model_copy(update=changes)


def choose_augmentation(parts: Resolved, data: Dataset, task: Task) -> tuple[Augment, str]:
    """Return an augmentation that keeps labels valid, and the reason for the choice."""
    if data.train.samples.inputs.ndim == 2:
        return NONE, "a table"
    if task.spatial:
        if any(part.spec.by_id for part in parts.teachers):
            return NONE, "predictions by sample id exist only for the plain view"
        augment = MAP.model_copy(update={"flip": True}) if _is_photo(data) else MAP
        return augment, "labels are boxes or masks"
    if not task.logits:
        return NONE, "targets may depend on size, position or brightness"
    return (PHOTO, "color images") if _is_photo(data) else (GRAYSCALE, "grayscale images")


def apply_begun_values(recipe: Recipe, begun: Mapping[str, Any] | None) -> Recipe:
    """Return the recipe with the values of a run for every ``auto``.

    Args:
        recipe: the recipe as it is written.
        begun: the recipe in the manifest of the run; None if the run is new.
    """
    return recipe if begun is None else Recipe.model_validate(_fill_auto(recipe.as_dict(), begun))


def _fill_auto(wanted: Any, begun: Any, key: str = "") -> Any:
    """Return values with each ``auto`` of the keys of `resolve_auto` replaced by the value of a run."""
    if wanted == "auto" and key in ("augment", "batch_size", "calibrate", "count"):
        return wanted if begun is None else begun
    if isinstance(wanted, dict):
        known = begun if isinstance(begun, dict) else {}
        return {name: _fill_auto(value, known.get(name), name) for name, value in wanted.items()}
    if isinstance(wanted, list) and isinstance(begun, list) and len(wanted) == len(begun):
        return [_fill_auto(mine, theirs) for mine, theirs in zip(wanted, begun, strict=True)]
    return wanted


def describe_choices(context: Context) -> list[str]:
    """Return a line for each ``auto`` of the recipe with the chosen value."""
    written, settled = context.parts.recipe, context.recipe
    found = []
    if is_auto(written.augment):
        _, reason = choose_augmentation(context.parts, context.data, context.task)
        found.append(f"augment: {describe_augment(settled.augment)} ({reason})")
    if written.views.count != settled.views.count:
        found.append(f"views: {settled.views.count}")
    if is_auto(written.train.batch_size):
        found.append(f"train.batch_size: {settled.train.batch_size} ({len(context.data.train)} samples)")
    if is_auto(written.calibrate) and settled.calibrate:
        found.append("calibrate: true (scores become probabilities)")
    pairs = zip(written.teachers, settled.teachers, strict=True)
    fits = {
        teacher.name: teacher.fit.batch_size
        for raw, teacher in pairs
        if raw.fit and teacher.fit and is_auto(raw.fit.batch_size)
    }
    if len(set(fits.values())) == 1:
        found.append(f"fit.batch_size: {next(iter(fits.values()))}")
    elif fits:
        found.append(f"fit.batch_size: {', '.join(f'{size} of {name}' for name, size in fits.items())}")
    return found


def describe_augment(augment: Augment) -> str:
    """Return an augmentation in words: ``shift 0.06, zoom 0.1``."""
    changed = {key: value for key, value in augment if value != getattr(NONE, key)}
    return ", ".join(_describe_change(key, value) for key, value in changed.items()) or "none"


def _describe_change(key: str, value: Any) -> str:
    if isinstance(value, RandAugment):
        return f"{key} {value.operations} x {value.magnitude:g}"
    return key if value is True else f"{key} {value:g}"


def batch_size_warnings(context: Context) -> list[str]:
    """Return a warning for each batch size of the recipe that leaves very few steps in an epoch."""
    return list(_yield_warnings(context))


def _yield_warnings(context: Context) -> Iterator[str]:
    recipe, data = context.recipe, context.data
    if found := too_few_steps("train.batch_size", recipe.train.batch_size, len(data.train)):
        yield found
    for teacher in recipe.teachers:
        if fit := teacher.fit:
            samples = len(create_fit_split(fit, data, recipe.data).rows)
            if found := too_few_steps(f"fit.batch_size of {teacher.name}", fit.batch_size, samples):
                yield found


def show_choices(context: Context) -> None:
    """Show the chosen value of each ``auto``, and warnings about batch sizes."""
    chosen = describe_choices(context)
    lines = [f"chosen automatically: {'; '.join(chosen)}"] if chosen else []
    lines += [f"warning: {warning}" for warning in batch_size_warnings(context)]
    context.progress.remark(lines)


def _is_photo(data: Dataset) -> bool:
    """Whether images have colors. Grayscale images may be stored with three equal channels."""
    channels = set(zip(data.input.mean, data.input.std, strict=True))
    return data.input.channels == 3 and len(channels) > 1


def _resolve_fit(fit: Fit, data: Dataset, recipe: Recipe) -> Fit:
    if not is_auto(fit.batch_size):
        return fit
    samples = len(create_fit_split(fit, data, recipe.data).rows)
    return fit.model_copy(update={"batch_size": automatic_batch_size(samples)})


def _resolve_teacher(teacher: Teacher, data: Dataset, recipe: Recipe) -> Teacher:
    if teacher.fit is None:
        return teacher
    return teacher.model_copy(update={"fit": _resolve_fit(teacher.fit, data, recipe)})
