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
        TaskSpec(
            "multilabel",
            "Any number of classes per sample; learns for each whether it is there.",
            "mtkd_tasks.multilabel:MultiLabel",
            primary="map (higher is better)",
        ),
        TaskSpec(
            "regression",
            "One or several numbers per sample; learns from the teachers' values, in your units.",
            "mtkd_tasks.regression:Regression",
            primary="rmse (lower is better); of several targets nrmse, in their deviations",
            options=(
                Option(
                    "objective",
                    str,
                    "squared",
                    "loss to labels and teachers: squared; huber; nll, of values with variances",
                    choices=("squared", "huber", "nll"),
                ),
                Option("delta", float, 1.0, "huber: where it turns linear, in deviations", minimum=1e-6),
                Option(
                    "gate",
                    float,
                    None,
                    "a teacher further from a label than this is not heard there, in deviations",
                    minimum=0,
                ),
            ),
        ),
        TaskSpec(
            "detection",
            "Boxes with classes; learns from the teachers' boxes, merged by weighted boxes fusion.",
            "mtkd_tasks.detection:Detection",
            primary="map (higher is better)",
            averages=False,
            options=(
                Option(
                    "fusion",
                    str,
                    "wbf",
                    "how teachers' boxes are merged: wbf (arXiv 1910.13302), nms or soft-nms (ICCV 2017)",
                    choices=("wbf", "nms", "soft-nms"),
                ),
                Option(
                    "iou",
                    float,
                    0.55,
                    "overlap above which boxes of one class are one object",
                    minimum=0.0,
                    maximum=1.0,
                ),
                Option(
                    "least",
                    float,
                    0.1,
                    "score below which teachers' boxes are left out",
                    minimum=0.0,
                    maximum=1.0,
                ),
            ),
        ),
        TaskSpec(
            "segmentation",
            "One class per pixel; learns from class probabilities, each pixel by itself.",
            "mtkd_tasks.segmentation:Segmentation",
            primary="miou (higher is better)",
            options=(
                Option(
                    "kd",
                    str,
                    "kl",
                    "distillation loss: kl, pixel by pixel; cwd, map by map (arXiv 2011.13256)",
                    choices=("kl", "cwd"),
                ),
            ),
        ),
    ]
