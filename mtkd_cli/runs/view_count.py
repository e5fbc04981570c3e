"""How many augmented views are recorded for a recipe."""

from __future__ import annotations

from mtkd_cli.recipe.schema import Recipe

MAX_VIEWS = 8
EPOCHS_PER_VIEW = 4


def count_views(recipe: Recipe) -> int | None:
    """Return how many views of each sample are recorded, None for live teachers.

    ``auto`` is a rule of cost: without augmentation one view is all there is; with it, one view
    for every four epochs, at most eight, so teachers cost at most a quarter of what live ones do.
    """
    if recipe.views.count == "live":
        return None
    if recipe.views.count != "auto":
        return recipe.views.count
    if not has_augmentation(recipe):
        return 1
    return max_affordable_views(recipe.train.epochs)


def max_affordable_views(epochs: int) -> int:
    """Return the recorded views that cost at most a quarter of what live teachers cost."""
    return max(1, min(MAX_VIEWS, epochs // EPOCHS_PER_VIEW))


def has_augmentation(recipe: Recipe) -> bool:
    """Whether a view can differ from the plain sample."""
    return recipe.augment != type(recipe.augment)()
