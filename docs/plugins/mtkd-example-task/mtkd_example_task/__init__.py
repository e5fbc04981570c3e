"""A plugin for mtkd, hooks only. mtkd imports this module to list tasks, so it must not import torch."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import TaskSpec


@hookimpl
def mtkd_register_tasks() -> list[TaskSpec]:
    """Describe the task; mtkd imports the class only when a recipe uses it."""
    return [
        TaskSpec(
            "counts",
            "Counts of events per sample; learns Poisson rates.",
            "mtkd_example_task.counts:Counts",
            primary="deviance (lower is better)",
        )
    ]
