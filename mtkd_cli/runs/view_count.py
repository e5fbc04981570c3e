"""Choose the number of recorded views."""

from __future__ import annotations

from mtkd_cli.recipe.schema import Recipe

MAX_VIEWS = 8
EPOCHS_PER_VIEW = 4


def count_views(recipe: Recipe) -> int | None:
    """Return the number of recorded views of each sample; None if the teachers answer live.

    ``auto`` limits the cost: one view without augmentation; with augmentation one view for every four epochs,
    at most eight, so that teachers cost at most a quarter of what live ones cost.
    """
    if recipe.views.count == "live":
        return None
    if recipe.views.count != "auto":
        return recipe.views.count
    if not has_augmentation(recipe):
        return 1
    return max_affordable_views(recipe.train.epochs)


def max_affordable_views(epochs: int) -> int:
    """Return the largest number of recorded views that costs at most a quarter of live teachers."""
    return max(1, min(MAX_VIEWS, epochs // EPOCHS_PER_VIEW))


def has_augmentation(recipe: Recipe) -> bool:
    """Whether views can differ from the plain sample."""
    return recipe.augment != type(recipe.augment)()
