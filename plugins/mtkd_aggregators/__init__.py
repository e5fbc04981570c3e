"""The built-in strategies. Hooks only: nothing here imports torch."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import AggregatorSpec, Option


@hookimpl
def mtkd_register_aggregators() -> list[AggregatorSpec]:
    """Return the built-in strategies."""
    return [
        AggregatorSpec(
            "mean",
            "Every teacher counts the same; averages probabilities.",
            "mtkd_aggregators.mean:Mean",
            formula="w_k = 1/K",
            paper="You et al., Learning from Multiple Teacher Networks, KDD 2017",
        ),
        AggregatorSpec(
            "mean-logit",
            "Averages logits: a product of experts, so one loud teacher can silence the rest.",
            "mtkd_aggregators.mean_logit:MeanLogit",
            tasks=("classification",),
            formula="target = softmax(mean_k t_k / T)",
            paper="Hinton, Products of Experts, 1999; as in TextBrewer, ACL 2020",
        ),
        AggregatorSpec(
            "weighted",
            "Fixed weights per teacher, or weights by validation score.",
            "mtkd_aggregators.weighted:Weighted",
            options=(
                Option(
                    "by",
                    str,
                    None,
                    "validation, or fixed (the teachers' weight keys). "
                    "Default: fixed if a teacher has a weight",
                    choices=("validation", "fixed"),
                ),
                Option(
                    "tau",
                    float,
                    0.1,
                    "softness of the weights by score, in units of the score (no unit)",
                    minimum=1e-6,
                ),
            ),
            needs=("labels", "validation"),
            formula="w_k ∝ weight_k, or w_k = softmax_k(score_k / tau); by error: w_k ∝ 1 / error_k",
            paper="weights by each model's performance",
        ),
        AggregatorSpec(
            "confidence",
            "Per sample: the nearer a teacher is to the label, the more it counts (CA-MKD).",
            "mtkd_aggregators.confidence:Confidence",
            needs=("labels", "validation"),
            formula="w_k = (1 - softmax_k(error_k)) / (K - 1); unlabelled: the mean weight on validation",
            paper="Zhang et al., Confidence-Aware Multi-Teacher Knowledge Distillation, arXiv 2201.00007",
        ),
        AggregatorSpec(
            "entropy",
            "Per sample, without labels: the surer a teacher, the more it counts. "
            "Rewards one that is confidently wrong.",
            "mtkd_aggregators.entropy:Entropy",
            formula="w_k = (1 - H_k / sum_j H_j) / (K - 1), H at T = 1 over log C",
            paper="Kwon et al., Adaptive Knowledge Distillation Based on Entropy, ICASSP 2020",
        ),
    ]
