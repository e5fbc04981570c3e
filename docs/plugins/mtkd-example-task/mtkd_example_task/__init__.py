"""A plugin of mtkd. Hooks only: this module is imported whenever mtkd lists tasks, so no torch here."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import TaskSpec


@hookimpl
def mtkd_register_tasks() -> list[TaskSpec]:
    """Describe the task; mtkd imports the class only when a recipe uses it."""
    return [
        TaskSpec(
            "counts",
            "How often something happens in each sample; learns Poisson rates.",
            "mtkd_example_task.counts:Counts",
            primary="deviance (lower is better)",
        )
    ]
