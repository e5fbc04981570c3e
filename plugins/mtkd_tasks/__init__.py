"""The built-in tasks."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import Option, TaskSpec


@hookimpl
def mtkd_register_tasks() -> list[TaskSpec]:
    """Return the built-in tasks."""
    return [
        TaskSpec(
            "classification",
            "One class out of several per sample; learns from class probabilities.",
            "mtkd_tasks.classification:Classification",
            primary="accuracy (higher is better)",
            options=(
                Option(
                    "kd",
                    str,
                    "kl",
                    "distillation loss: kl; mse of logits; dkd (arXiv 2203.08679); dist (arXiv 2205.10536)",
                    choices=("kl", "mse", "dkd", "dist"),
                ),
                Option(
                    "standardise", bool, False, "standardise logits of both sides first (arXiv 2403.01427)"
                ),
                Option("dkd_alpha", float, 1.0, "dkd: weight of the target class", minimum=0),
                Option("dkd_beta", float, 2.0, "dkd: weight among the other classes", minimum=0),
            ),
        ),
    ]
