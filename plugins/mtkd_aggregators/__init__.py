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
            tasks=("classification", "segmentation"),
            formula="target = softmax(mean_k t_k / T)",
            paper="Hinton, Products of Experts, 1999; as in TextBrewer, ACL 2020",
        ),
        AggregatorSpec(
            "weighted",
            "Fixed weights per teacher, or weights by validation score, of all or of each class.",
            "mtkd_aggregators.weighted:Weighted",
            options=(
                Option(
                    "by",
                    str,
                    None,
                    "validation; class (per element, by the validation score of what it says); or fixed "
                    "(the teachers' weight keys). Default: fixed if a teacher has a weight, else validation",
                    choices=("validation", "class", "fixed"),
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
            formula="w_k ∝ weight_k, or w_k = softmax_k(score_k / tau); by error: w_k ∝ 1 / mean error_k; "
            "by class: score_k = sum_c p_k(c) score_kc",
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
        AggregatorSpec(
            "agreement",
            "Per batch: weights under which the teachers' mean gradients agree best (AE-KD).",
            "mtkd_aggregators.agreement:Agreement",
            options=(
                Option("c", float, 0.6, "the most that one teacher may count", minimum=0.0, maximum=1.0),
            ),
            needs=("student", "averages"),
            formula="min_w 1/2 ||sum_k w_k g_k||^2, sum w = 1, 0 <= w_k <= max(c, 1/K), "
            "g_k the mean gradient of a batch",
            paper="Du et al., Agree to Disagree, NeurIPS 2020",
        ),
        AggregatorSpec(
            "best",
            "The best teacher by validation score, alone: what every ensemble must beat.",
            "mtkd_aggregators.best:Best",
            needs=("labels", "validation"),
            formula="w_k = 1 for the best score, of equal ones the lowest loss",
        ),
        AggregatorSpec(
            "consensus",
            "Per sample, without labels: teachers far from the others count less.",
            "mtkd_aggregators.consensus:Consensus",
            options=(
                Option("tau", float, 0.1, "softness, in units of the distance (nats)", minimum=1e-3),
                Option(
                    "by",
                    str,
                    "sample",
                    "of maps: the whole sample, or each element",
                    choices=("sample", "element"),
                ),
            ),
            formula="w_k = softmax_k(-d_k / tau), d_k = median over j of the distance of k to j, "
            "where both know a class to compare",
        ),
        AggregatorSpec(
            "drop",
            "Per sample: keeps the teacher furthest from the student, drops others at random (UNIC).",
            "mtkd_aggregators.drop:Drop",
            options=(
                Option("p", float, 0.5, "probability that a teacher is dropped", minimum=0.0, maximum=1.0),
            ),
            needs=("student",),
            formula="w_k = kept_k / sum_j kept_j",
            paper="Sariyildiz et al., UNIC, arXiv 2408.05088",
        ),
        AggregatorSpec(
            "majority",
            "Per sample: the teachers that vote with the majority share equally, others are silent.",
            "mtkd_aggregators.robust:Majority",
            tasks=("classification", "segmentation"),
            needs=("averages",),
            formula="w_k ∝ 1 if argmax p_k is the class with the most votes, else 0",
        ),
        AggregatorSpec(
            "median",
            "The median of the teachers' probabilities, class by class, or of their values.",
            "mtkd_aggregators.robust:Median",
            needs=("averages",),
            formula="target ∝ median_k p_k",
        ),
        AggregatorSpec(
            "progressive",
            "From the weakest teacher to the strongest over the run.",
            "mtkd_aggregators.progressive:Progressive",
            needs=("labels", "validation"),
            formula="w of rank r = max(0, 1 - |progress (K - 1) - r|)",
            paper="Cao et al., Multi-Teacher Progressive Distillation, ICML 2023",
        ),
        AggregatorSpec(
            "random",
            "One teacher a batch, drawn by counters: mean on average, with more noise.",
            "mtkd_aggregators.random_teacher:RandomTeacher",
            formula="w_k = 1 for one k drawn per batch",
            paper="Shen and Savvides, MEAL V2, arXiv 2009.08453",
        ),
        AggregatorSpec(
            "route",
            "Per sample: the teachers that a map names for the sample's source or group.",
            "mtkd_aggregators.route:Route",
            options=(
                Option("by", str, None, "metadata column of the data, e.g. folder", required=True),
                Option(
                    "map",
                    dict,
                    None,
                    "values of the column to a teacher's name or a list of names; "
                    "any other value asks all teachers alike",
                    required=True,
                ),
            ),
            needs=("validation",),
            formula="w_k ∝ 1 if map[value of the sample] names teacher k, else 0",
            paper="each teacher for its own data, as in Sariyildiz et al., DUNE, arXiv 2503.14405",
        ),
        AggregatorSpec(
            "stacking",
            "The convex combination that fits the validation labels best.",
            "mtkd_aggregators.stacking:Stacking",
            needs=("labels", "validation", "averages"),
            formula="min_w task_loss(sum_k w_k p_k) on validation, w on the simplex",
            paper="Breiman, Stacked Regressions, 1996",
        ),
        AggregatorSpec(
            "trimmed-mean",
            "The mean of the teachers' probabilities or values without the extremes, class by class.",
            "mtkd_aggregators.robust:TrimmedMean",
            options=(
                Option(
                    "trim",
                    float,
                    0.25,
                    "share of the teachers left out at each end",
                    minimum=0.0,
                    maximum=0.5,
                ),
            ),
            needs=("averages",),
            formula="target ∝ mean of p_k without the smallest and largest share",
        ),
    ]
