"""The built-in strategies. Hooks only: nothing here imports torch."""

from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import AggregatorSpec, Option


@hookimpl
def mtkd_register_aggregators() -> list[AggregatorSpec]:
    """Return the built-in strategies."""
    return [
        AggregatorSpec(
            "mean",
            "Equal weights; averages the teachers' probabilities.",
            "mtkd_aggregators.mean:Mean",
            role="uniform",
            complexity=1,
            formula="w_k = 1/K",
            paper="You et al., Learning from Multiple Teacher Networks, KDD 2017",
            per_sample=True,
        ),
        AggregatorSpec(
            "mean-logit",
            "Averages logits (a product of experts): one overconfident teacher can dominate.",
            "mtkd_aggregators.mean_logit:MeanLogit",
            weighs=False,
            tasks=("classification", "segmentation"),
            formula="target = softmax(mean_k t_k / T)",
            paper="Hinton, Products of Experts, 1999; as in TextBrewer, ACL 2020",
            per_sample=True,
        ),
        AggregatorSpec(
            "weighted",
            "Weights from the recipe, from validation scores, or from validation scores per class.",
            "mtkd_aggregators.weighted:Weighted",
            options=(
                Option(
                    "by",
                    str,
                    None,
                    "validation (scores); class (validation scores of the predicted classes); or fixed "
                    "(the teachers' weight keys). Default: fixed if a teacher has a weight, else validation",
                    choices=("validation", "class", "fixed"),
                ),
                Option(
                    "tau",
                    float,
                    0.1,
                    "softmax temperature of the scores, in units of the score",
                    minimum=1e-6,
                    maximum=1e6,
                    reason="it divides scores, which are about 1",
                ),
            ),
            needs=("labels", "validation"),
            complexity=2,
            formula="w_k ∝ weight_k, or w_k = softmax_k(score_k / tau); by error: w_k ∝ 1 / mean error_k; "
            "by class: score_k = sum_c p_k(c) score_kc",
            per_sample=True,
        ),
        AggregatorSpec(
            "confidence",
            "Per sample: more weight for teachers that are closer to the label (CA-MKD).",
            "mtkd_aggregators.confidence:Confidence",
            needs=("labels", "validation"),
            formula="w_k = (1 - softmax_k(error_k)) / (K - 1); unlabeled: the mean weight on validation",
            paper="Zhang et al., Confidence-Aware Multi-Teacher Knowledge Distillation, arXiv 2201.00007",
            per_sample=True,
        ),
        AggregatorSpec(
            "entropy",
            "Per sample, without labels: more weight for confident teachers. "
            "Rewards a teacher that is confidently wrong.",
            "mtkd_aggregators.entropy:Entropy",
            formula="w_k = (1 - H_k / sum_j H_j) / (K - 1), H at T = 1 over log C",
            paper="Kwon et al., Adaptive Knowledge Distillation Based on Entropy, ICASSP 2020",
            per_sample=True,
        ),
        AggregatorSpec(
            "agreement",
            "Per batch: weights that minimize the norm of the teachers' combined gradient (AE-KD).",
            "mtkd_aggregators.agreement:Agreement",
            options=(Option("c", float, 0.6, "maximum weight of one teacher", minimum=0.0, maximum=1.0),),
            needs=("student", "averages"),
            formula="min_w 1/2 ||sum_k w_k g_k||^2, sum w = 1, 0 <= w_k <= max(c, 1/K), "
            "g_k the mean gradient of a batch",
            paper="Du et al., Agree to Disagree, NeurIPS 2020",
        ),
        AggregatorSpec(
            "best",
            "Only the teacher with the best validation score: what every ensemble must beat.",
            "mtkd_aggregators.best:Best",
            role="best-teacher",
            complexity=0,
            needs=("labels", "validation"),
            formula="w_k = 1 for the best score (ties: the lowest loss), else 0",
            per_sample=True,
        ),
        AggregatorSpec(
            "consensus",
            "Per sample, without labels: less weight for teachers that disagree with the others.",
            "mtkd_aggregators.consensus:Consensus",
            options=(
                Option(
                    "tau",
                    float,
                    0.1,
                    "softmax temperature of the distances, in nats",
                    minimum=1e-3,
                    maximum=1e6,
                    reason="it divides distances, which are about 1",
                ),
                Option(
                    "by",
                    str,
                    "sample",
                    "for maps: weigh whole samples, or each pixel",
                    choices=("sample", "element"),
                ),
            ),
            formula="w_k = softmax_k(-d_k / tau), d_k = median over j of the distance between k and j, "
            "on the classes that both know",
            per_sample=True,
        ),
        AggregatorSpec(
            "drop",
            "Per sample: keeps the teacher with the largest loss, drops others at random (UNIC).",
            "mtkd_aggregators.drop:Drop",
            options=(Option("p", float, 0.5, "probability of dropping a teacher", minimum=0.0, maximum=1.0),),
            needs=("student",),
            formula="w_k = kept_k / sum_j kept_j",
            paper="Sariyildiz et al., UNIC, arXiv 2408.05088",
        ),
        AggregatorSpec(
            "majority",
            "Per sample: equal weights for the teachers that vote with the majority, 0 for the others.",
            "mtkd_aggregators.robust:Majority",
            tasks=("classification", "segmentation"),
            needs=("averages",),
            formula="w_k ∝ 1 if argmax p_k is the class with the most votes, else 0",
            per_sample=True,
        ),
        AggregatorSpec(
            "median",
            "The median of the teachers' probabilities per class, or of their values.",
            "mtkd_aggregators.robust:Median",
            weighs=False,
            needs=("averages",),
            formula="target ∝ median_k p_k",
            per_sample=True,
        ),
        AggregatorSpec(
            "progressive",
            "Moves from the weakest teacher to the strongest during training.",
            "mtkd_aggregators.progressive:Progressive",
            needs=("labels", "validation"),
            formula="w of the teacher of rank r = max(0, 1 - |progress (K - 1) - r|)",
            paper="Cao et al., Multi-Teacher Progressive Distillation, ICML 2023",
        ),
        AggregatorSpec(
            "random",
            "One random teacher per batch: equals mean in expectation, with more noise.",
            "mtkd_aggregators.random_teacher:RandomTeacher",
            formula="w_k = 1 for one k drawn per batch",
            paper="Shen and Savvides, MEAL V2, arXiv 2009.08453",
        ),
        AggregatorSpec(
            "route",
            "Per sample: the teachers that are listed for the sample's metadata value, e.g. its folder.",
            "mtkd_aggregators.route:Route",
            options=(
                Option("by", str, None, "metadata column of the data, for example folder", required=True),
                Option(
                    "map",
                    dict,
                    None,
                    "a teacher's name, or a list of names, for each value of the column; "
                    "other values use all teachers with equal weights",
                    required=True,
                ),
            ),
            needs=("validation",),
            formula="w_k ∝ 1 if map[value of the sample] contains teacher k, else 0",
            paper="one teacher per data source, as in Sariyildiz et al., DUNE, arXiv 2503.14405",
            per_sample=True,
        ),
        AggregatorSpec(
            "stacking",
            "The convex combination with the lowest task loss on validation, shrunk towards equal weights.",
            "mtkd_aggregators.stacking:Stacking",
            needs=("labels", "validation", "averages"),
            complexity=4,
            labels_per_teacher=20,
            formula="min_w n task_loss(sum_k w_k p_k) - sum_k log w_k, n validation labels, w on the simplex",
            paper="Breiman, Stacked Regressions, 1996",
            per_sample=True,
        ),
        AggregatorSpec(
            "trimmed-mean",
            "The mean of the teachers' probabilities per class, or of their values, without the extremes.",
            "mtkd_aggregators.robust:TrimmedMean",
            weighs=False,
            options=(
                Option(
                    "trim",
                    float,
                    0.25,
                    "fraction of the teachers to leave out at each end",
                    minimum=0.0,
                    maximum=0.5,
                ),
            ),
            needs=("averages",),
            formula="target ∝ mean of p_k without the smallest and largest values",
            per_sample=True,
        ),
    ]
