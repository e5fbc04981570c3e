"""Built-in strategies against their closed forms."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, Merged, Metric, TaskData
from mtkd_cli.interfaces.label_space import UNKNOWN
from mtkd_cli.testing import check_strategy
from mtkd_tasks.classification import Classification
from tests.fixtures.strategies import SPECS, create

CHOICES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in SPECS),
    ("weighted", {"by": "fixed"}),
    ("weighted", {"by": "validation", "tau": 0.01}),
    ("agreement", {"c": 1.0}),
    ("consensus", {"tau": 0.1}),
    ("drop", {"p": 1.0}),
    ("trimmed-mean", {"trim": 0.5}),
]


def task(classes: int) -> Classification:
    return Classification(
        TaskData(tuple(map(str, range(classes))), np.zeros(1, dtype=np.int64), InputSpec()), LossOptions()
    )


def batch(outputs: Sequence[Tensor], target: Sequence[int] | None = None, **more: Any) -> AggregationBatch:
    samples, classes = outputs[0].shape
    labels = None if target is None else torch.tensor(target)
    return AggregationBatch(
        outputs=tuple(outputs),
        sample_ids=tuple(map(str, range(samples))),
        temperature=2.0,
        progress=0.5,
        **{
            "teacher_names": tuple("abcdef"[: len(outputs)]),
            "task": task(classes),
            "target": labels,
            "labeled": None if labels is None else labels >= 0,
            **more,
        },
    )


def logits(*probabilities: Sequence[float]) -> Tensor:
    """Return logits of these probabilities, one row a sample."""
    return torch.tensor(probabilities, dtype=torch.float64).log().float()


def gradient(merged: Merged, student: Tensor, temperature: float = 2.0) -> Tensor:
    student = student.clone().requires_grad_()
    loss = task(student.shape[1]).kd_loss(student, merged, temperature).sum()
    (found,) = torch.autograd.grad(loss, student)
    return found


def merged(strategy: Any, given: AggregationBatch) -> Merged:
    """Return the strategy's raw result, without the corrections of the core."""
    if hasattr(strategy, "fit"):
        strategy.fit(given)
    if hasattr(strategy, "combine"):
        return Merged(given.outputs, combined=strategy.combine(given))
    return Merged(given.outputs, weights=strategy.weights(given))


@pytest.mark.parametrize(("name", "options"), CHOICES)
def test_satisfies_strategy_contract(name: str, options: dict[str, Any]) -> None:
    check_strategy(lambda: create(name, **options), SPECS[name], declared_weights=(2.0, 1.0, 0.5))
    if options.get("by") != "fixed":
        check_strategy(lambda: create(name, **options), SPECS[name])


def test_identical_teachers_give_the_gradient_of_one() -> None:
    """CA-MKD's reference code scales the gradients by 1, 0.667 and 0.333 with 1, 2 and 3 teachers."""
    teacher, student = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0)) * 3
    one = gradient(Merged((teacher,), weights=torch.ones(1, 6)), student)
    for name, options in CHOICES:
        given = batch(
            [teacher] * 3,
            [0, 1, 2, 3, 4, -1],
            declared_weights=torch.tensor([2.0, 1.0, 1.0]),
            student_output=student,
            metadata={"source": np.array(["photo", "sketch", "film"] * 2)},
            teacher_names=("first", "second", "third"),
            draw=lambda name, shape: counter_rng.torch_uniform(shape, name),
        )
        found = gradient(merged(create(name, **options), given), student)
        assert (found - one).norm() <= 1e-6 * one.norm(), name
    thirds = Merged((teacher,) * 3, weights=torch.full((3, 6), 1 / 9))
    assert gradient(thirds, student).norm() < 0.9 * one.norm()


def test_mean_has_equal_weights() -> None:
    weights = merged(create("mean"), batch([torch.randn(3, 2)] * 4)).weights
    torch.testing.assert_close(weights, torch.full((4, 3), 0.25))


def test_mean_averages_probabilities() -> None:
    """The gradient is 0 if the student outputs the mean of the softened probabilities."""
    first, second = torch.randn(2, 4, 3)
    target = (torch.softmax(first / 2, 1) + torch.softmax(second / 2, 1)) / 2
    found = gradient(merged(create("mean"), batch([first, second])), 2 * target.log())
    torch.testing.assert_close(found, torch.zeros(4, 3), atol=1e-6, rtol=0)


def test_mean_logit_is_normalized_geometric_mean() -> None:
    first, second = [0.7, 0.2, 0.1], [0.1, 0.5, 0.4]
    answer = merged(create("mean-logit"), batch([logits(first), logits(second)])).combined
    assert answer is not None
    product = [math.sqrt(p * q) for p, q in zip(first, second, strict=True)]
    expected = torch.tensor([[p / sum(product) for p in product]])
    torch.testing.assert_close(torch.softmax(answer, 1), expected)


def test_overconfident_teacher_dominates_mean_logit() -> None:
    overconfident, quiet = torch.tensor([[60.0, 0.0, 0.0]]), torch.tensor([[0.0, 2.0, 0.0]])
    answer = merged(create("mean-logit"), batch([overconfident, quiet, quiet])).combined
    assert answer is not None
    assert torch.softmax(answer, 1)[0, 0] > 0.99


def test_normalizes_fixed_weights() -> None:
    declared = torch.tensor([2.0, 1.0, 1.0])
    weights = merged(
        create("weighted"), batch([torch.randn(2, 3)] * 3, [0, 1], declared_weights=declared)
    ).weights
    torch.testing.assert_close(weights, torch.tensor([[0.5] * 2, [0.25] * 2, [0.25] * 2]))


def weights_by_score(**options: Any) -> Tensor:
    """Return the weights of three teachers whose accuracies are 1, 1/2 and 1/2."""
    good = torch.tensor([[3.0, 0.0], [0.0, 3.0], [9.0, 9.0]])
    half = torch.tensor([[3.0, 0.0], [3.0, 0.0], [9.0, 9.0]])
    weights: Tensor = merged(create("weighted", **options), batch([good, half, half], [0, 1, -1])).weights  # type: ignore[assignment]
    assert torch.equal(weights, weights[:, :1].expand(-1, 3))
    return weights[:, 0]


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_validation_weights_are_softmax_of_scores(tau: float) -> None:
    powers = torch.tensor([math.exp(score / tau) for score in (1.0, 0.5, 0.5)])
    torch.testing.assert_close(weights_by_score(tau=tau), powers / powers.sum())
    torch.testing.assert_close(weights_by_score(tau=tau, by="validation"), powers / powers.sum())


def test_by_validation_ignores_declared_weights() -> None:
    strategy = create("weighted", by="validation")
    outputs = [torch.tensor([[3.0, 0.0]])] * 2
    weights = merged(strategy, batch(outputs, [0], declared_weights=torch.tensor([5.0, 1.0]))).weights
    torch.testing.assert_close(weights, torch.full((2, 1), 0.5))


def test_inverse_error_weights_if_lower_is_better() -> None:
    class Squared(Classification):
        primary = Metric("mse", higher_is_better=False)

        def error(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
            return torch.stack([output[:, 0] for output in outputs])

    errors = Squared(TaskData(("a", "b"), np.zeros(1, dtype=np.int64), InputSpec()), LossOptions())
    outputs = [torch.full((1, 2), error) for error in (1.0, 3.0)]
    weights = merged(create("weighted"), batch(outputs, [0], task=errors)).weights
    torch.testing.assert_close(weights, torch.tensor([[0.75], [0.25]]))
    perfect = [torch.full((1, 2), error) for error in (0.0, 3.0)]
    weights = merged(create("weighted"), batch(perfect, [0], task=errors)).weights
    torch.testing.assert_close(weights, torch.tensor([[1.0], [0.0]]))


def test_rejects_all_zero_weights() -> None:
    given = batch([torch.randn(2, 3)] * 2, [0, 1], declared_weights=torch.zeros(2))
    with pytest.raises(UsageError, match="every teacher's weight is 0"):
        create("weighted").fit(given)


def test_by_fixed_rejects_missing_weights() -> None:
    with pytest.raises(UsageError, match="no teacher has a weight"):
        create("weighted", by="fixed").fit(batch([torch.randn(2, 3)] * 2, [0, 1]))


P = [[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]
"""Class probabilities of three teachers."""


def expected_confidence(label: int, teachers: int) -> list[float]:
    """The errors are -log p, so their softmax is proportional to 1 / p."""
    inverse = [1 / P[k][label] for k in range(teachers)]
    return [(1 - share / sum(inverse)) / (teachers - 1) for share in inverse]


@pytest.mark.parametrize("teachers", [2, 3])
def test_confidence_weights_from_label_probability(teachers: int) -> None:
    outputs = [logits(P[k], P[k], P[k]) for k in range(teachers)]
    weights = merged(create("confidence"), batch(outputs, [0, 1, 2])).weights
    expected = torch.tensor([expected_confidence(label, teachers) for label in range(3)]).T
    torch.testing.assert_close(weights, expected)
    if teachers == 2:  # for K = 2 the weight is p_k / (p_1 + p_2)
        torch.testing.assert_close(weights[0, 0], torch.tensor(0.6 / 0.8))


def test_confidence_unlabeled_sample_gets_mean_weights() -> None:
    strategy = create("confidence")
    strategy.fit(batch([logits(p, p, p) for p in P], [0, 2, -1]))
    usual = (torch.tensor(expected_confidence(0, 3)) + torch.tensor(expected_confidence(2, 3))) / 2
    weights = strategy.weights(batch([logits(p, p) for p in P], [-1, 1]))
    torch.testing.assert_close(weights[:, 0], usual)
    torch.testing.assert_close(weights[:, 1], torch.tensor(expected_confidence(1, 3)))


def test_confidence_unlabeled_distrusts_confidently_wrong_teacher() -> None:
    right, wrong = logits(*[[0.7, 0.3]] * 2), torch.tensor([[-20.0, 20.0]] * 2)
    strategy = create("confidence")
    strategy.fit(batch([right, wrong], [0, 0]))
    assert strategy.weights(batch([right, wrong], [-1, -1]))[1].max() < 0.01


def test_confidence_single_teacher_has_weight_1() -> None:
    weights = merged(create("confidence"), batch([torch.randn(3, 2)], [0, -1, 1])).weights
    assert weights is not None
    assert weights.tolist() == [[1, 1, 1]]


def test_confidence_rejects_unlabeled_validation() -> None:
    with pytest.raises(DataError, match="needs labeled samples"):
        create("confidence").fit(batch([torch.randn(2, 3)] * 2, [-1, -1]))


def test_entropy_weights_closed_form() -> None:
    """The entropies, divided by log 4, are 1, 1/2 and 0."""
    unsure, half, sure = [0.25] * 4, [0.5, 0.5, 0, 0], [1.0, 0, 0, 0]
    weights = merged(create("entropy"), batch([logits(p) for p in (unsure, half, sure)])).weights
    expected = torch.tensor([[(1 - 2 / 3) / 2], [(1 - 1 / 3) / 2], [1 / 2]])
    torch.testing.assert_close(weights, expected)


@pytest.mark.parametrize("margin", [90.0, 95.0, 100.0, 1e4])
def test_entropy_equal_weights_if_all_are_certain(margin: float) -> None:
    """EBKD's reference code returns NaN here. With margins of 90 to 103 the entropies are subnormal."""
    outputs = [torch.tensor([[margin, 0.0, 0.0], [0.0, margin, 0.0]])] * 3
    weights = merged(create("entropy"), batch(outputs)).weights
    torch.testing.assert_close(weights, torch.full((3, 2), 1 / 3), atol=1e-4, rtol=0)


def test_entropy_of_certain_teacher_is_finite() -> None:
    sure, unsure = torch.tensor([[1e4, -1e4]]), torch.zeros(1, 2)
    weights = merged(create("entropy"), batch([sure, unsure])).weights
    torch.testing.assert_close(weights, torch.tensor([[1.0], [0.0]]))


def test_entropy_single_teacher_has_weight_1() -> None:
    weights = merged(create("entropy"), batch([torch.randn(3, 2)])).weights
    assert weights is not None
    assert weights.tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("name", ["best", "progressive"])
def test_ranking_counts_unknown_classes_as_errors(name: str) -> None:
    """A teacher that is always right on the only class that it knows is not the best teacher."""
    knows_one = torch.tensor([[9.0, UNKNOWN, UNKNOWN]]).repeat(4, 1)
    mostly_right = torch.eye(3)[[1, 0, 1, 2]]
    known = torch.tensor([[True, False, False], [True, True, True]])
    given = batch([knows_one, mostly_right], [0, 0, 1, 2], known=known)
    assert given.scores == (1.0, 0.75)
    assert given.scores_alone == (0.5, 0.75)
    strategy = create(name)
    strategy.fit(given)
    assert strategy.weights(replace(given, progress=1.0)).tolist() == [[0.0] * 4, [1.0] * 4]
