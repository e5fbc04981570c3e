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
                    "standardise",
                    bool,
                    False,
                    "standardize the logits of student and teachers (arXiv 2403.01427)",
                ),
                Option("dkd_alpha", float, 1.0, "dkd: weight of the target class", minimum=0),
                Option("dkd_beta", float, 2.0, "dkd: weight among the other classes", minimum=0),
            ),
        ),
        TaskSpec(
            "multilabel",
            "Any number of classes per sample; learns the presence of each class.",
            "mtkd_tasks.multilabel:MultiLabel",
            primary="map (higher is better)",
        ),
        TaskSpec(
            "regression",
            "One or several numbers per sample; learns from the teachers' values, in your units.",
            "mtkd_tasks.regression:Regression",
            primary="rmse (lower is better); with several targets nrmse, in standard deviations",
            options=(
                Option(
                    "objective",
                    str,
                    "squared",
                    "loss to labels and teachers: squared; huber; nll (values with variances)",
                    choices=("squared", "huber", "nll"),
                ),
                Option(
                    "delta",
                    float,
                    1.0,
                    "huber: error above which it is linear, in standard deviations",
                    minimum=1e-6,
                ),
                Option(
                    "gate",
                    float,
                    None,
                    "ignore a teacher whose error on a label is larger than this, in standard deviations",
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
                    "how to merge the teachers' boxes: wbf (arXiv 1910.13302), nms or soft-nms (ICCV 2017)",
                    choices=("wbf", "nms", "soft-nms"),
                ),
                Option(
                    "iou",
                    float,
                    0.55,
                    "overlap (IoU) above which boxes of a class are the same object",
                    minimum=0.0,
                    maximum=1.0,
                ),
                Option(
                    "least",
                    float,
                    0.1,
                    "minimum score of the teachers' boxes",
                    minimum=0.0,
                    maximum=1.0,
                ),
            ),
        ),
        TaskSpec(
            "segmentation",
            "One class per pixel; learns from the class probabilities of each pixel.",
            "mtkd_tasks.segmentation:Segmentation",
            primary="miou (higher is better)",
            options=(
                Option(
                    "kd",
                    str,
                    "kl",
                    "distillation loss: kl (per pixel) or cwd (per class map, arXiv 2011.13256)",
                    choices=("kl", "cwd"),
                ),
            ),
        ),
    ]
