"""The built-in tasks."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import TaskSpec


@hookimpl
def mtkd_register_tasks() -> list[TaskSpec]:
    """Return the built-in tasks."""
    return [
        TaskSpec(
            "classification",
            "One class out of several per sample; learns from class probabilities.",
            "mtkd_tasks.classification:Classification",
            primary="accuracy (higher is better)",
        ),
    ]
