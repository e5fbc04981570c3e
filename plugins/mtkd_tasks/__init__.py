"""The built-in tasks and distillation losses. Hooks only: nothing here imports torch."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.interfaces import Metric
from mtkd_cli.specs import LossSpec, Option, TaskSpec

RELATIVE = "weights are relative, usually near 1"


@hookimpl
def mtkd_register_tasks() -> list[TaskSpec]:
    """Return the built-in tasks."""
    return [
        TaskSpec(
            "classification",
            "One class out of several per sample; learns from class probabilities.",
            "mtkd_tasks.classification:Classification",
            primary="accuracy (higher is better)",
            metrics=(
                Metric("accuracy"),
                Metric("nll", higher_is_better=False, label="NLL"),
                Metric("ece", higher_is_better=False, label="ECE"),
            ),
            hub_tasks=(("image", "image-classification"), ("table", "tabular-classification")),
            loss="kl",
            options=(
                Option(
                    "standardize",
                    bool,
                    False,
                    "standardize the logits of student and teachers (arXiv 2403.01427)",
                    aliases=("standardise",),
                ),
            ),
        ),
        TaskSpec(
            "multilabel",
            "Any number of classes per sample; learns the presence of each class.",
            "mtkd_tasks.multilabel:MultiLabel",
            primary="map (higher is better)",
            metrics=(Metric("map", label="mAP"), Metric("f1", label="F1")),
            hub_tasks=(("image", "image-classification"), ("table", "tabular-classification")),
        ),
        TaskSpec(
            "regression",
            "One or several numbers per sample; learns from the teachers' values, in your units.",
            "mtkd_tasks.regression:Regression",
            primary="rmse (lower is better); with several targets nrmse, in standard deviations",
            metrics=(
                Metric("rmse", higher_is_better=False, label="RMSE"),
                Metric("nrmse", higher_is_better=False, label="NRMSE"),
                Metric("mae", higher_is_better=False, label="MAE"),
                Metric("r2", label="R2"),
            ),
            hub_tasks=(("table", "tabular-regression"),),
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
                    maximum=1e6,
                    reason="targets are a few standard deviations apart",
                ),
                Option(
                    "gate",
                    float,
                    None,
                    "ignore a teacher whose error on a label is larger than this, in standard deviations",
                    minimum=0,
                    maximum=1e6,
                    reason="targets are a few standard deviations apart",
                ),
            ),
        ),
        TaskSpec(
            "detection",
            "Boxes with classes; learns from the teachers' boxes, merged by weighted boxes fusion.",
            "mtkd_tasks.detection:Detection",
            primary="map (higher is better)",
            metrics=(
                Metric("map", label="mAP"),
                Metric("ap", label="AP"),
                Metric("ap50", label="AP50"),
                Metric("ap75", label="AP75"),
            ),
            hub_tasks=(("image", "object-detection"),),
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
                Option("merge_views", bool, True, "merge each teacher's boxes over the recorded views"),
            ),
        ),
        TaskSpec(
            "segmentation",
            "One class per pixel; learns from the class probabilities of each pixel.",
            "mtkd_tasks.segmentation:Segmentation",
            primary="miou (higher is better)",
            metrics=(Metric("miou", label="mIoU"), Metric("pixel_accuracy"), Metric("iou", label="IoU")),
            hub_tasks=(("image", "image-segmentation"),),
            loss="kl",
        ),
    ]


@hookimpl
def mtkd_register_losses() -> list[LossSpec]:
    """Return the built-in distillation losses. The functions are in `mtkd_cli.losses`."""
    return [
        LossSpec(
            "kl",
            "KL divergence of the student's softened probabilities from the teachers'; of maps, per pixel.",
            "mtkd_cli.losses.kl:kl_divergence",
            tasks=("classification", "segmentation"),
            needs_every_logit=False,
            any_label_space=True,
            to_mixture=True,
            formula="T^2 KL(p || q), p = softmax(teacher / T), q = softmax(student / T)",
            paper="Hinton et al., Distilling the Knowledge in a Neural Network, arXiv 1503.02531",
        ),
        LossSpec(
            "mse",
            "Squared differences of logits, without a temperature.",
            "mtkd_cli.losses.squared_logits:squared_logits",
            tasks=("classification",),
            formula="mean over classes of (student - teacher)^2",
            paper="Ba and Caruana, Do Deep Nets Really Need to be Deep?, NeurIPS 2014",
        ),
        LossSpec(
            "dkd",
            "Two weighted KL divergences: the target class against the rest, and among the other classes.",
            "mtkd_cli.losses.dkd:dkd_loss",
            tasks=("classification",),
            options=(
                Option(
                    "alpha", float, 1.0, "weight of the target class", minimum=0, maximum=1e6, reason=RELATIVE
                ),
                Option(
                    "beta",
                    float,
                    2.0,
                    "weight among the other classes",
                    minimum=0,
                    maximum=1e6,
                    reason=RELATIVE,
                ),
            ),
            formula="T^2 (alpha KL(target against the rest) + beta KL(among the rest))",
            paper="Zhao et al., Decoupled Knowledge Distillation, CVPR 2022, arXiv 2203.08679",
        ),
        LossSpec(
            "dist",
            "Correlations over the classes of a sample and over the samples of a batch.",
            "mtkd_cli.losses.dist:relational",
            tasks=("classification",),
            formula="T^2 (1 - r(q_i, p_i) + mean over classes of (1 - r(q_c, p_c))), r: correlation",
            paper="Huang et al., Knowledge Distillation from a Stronger Teacher, arXiv 2205.10536",
        ),
        LossSpec(
            "cwd",
            "KL divergence between class maps, each a distribution over the pixels.",
            "mtkd_cli.losses.cwd:channel_divergence",
            tasks=("segmentation",),
            any_label_space=True,
            whole_maps=True,
            formula="mean over classes of T^2 KL(softmax over pixels of teacher / T || of student / T)",
            paper="Shu et al., Channel-wise Knowledge Distillation for Dense Prediction, arXiv 2011.13256",
        ),
    ]
