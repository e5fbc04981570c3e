"""Teachers that know some classes only say nothing about the others."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import AggregationBatch, Alignment, InputSpec, LossOptions, Merged, TaskData
from mtkd_cli.interfaces.label_space import UNKNOWN, align_logits
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.options import check_options
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.teachers.label_alignment import align_classes, alignment_remarks
from mtkd_cli.training.strategy import Strategy
from mtkd_tasks.classification import Classification

TASK = ("ant", "bee", "cat", "dog", "eel")
FIRST, SECOND = Alignment(((0,), (1,), (2,), (), ())), Alignment(((), (), (0,), (1,), (2,)))
KNOWN = torch.tensor([FIRST.known, SECOND.known])


def classification() -> Classification:
    return Classification(TaskData(TASK, np.arange(5), InputSpec()), LossOptions())


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def partial_answers(truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return what two teachers answer that know classes 0 to 2, and 2 to 4, of the true logits."""
    return align_logits(truth[:, :3], FIRST), align_logits(truth[:, 2:], SECOND)


def batch(outputs: tuple[Tensor, ...], target: list[int] | None = None, **changes: Any) -> AggregationBatch:
    labels = torch.full((len(outputs[0]),), -1) if target is None else torch.tensor(target)
    given = AggregationBatch(
        outputs=outputs,
        teacher_names=("first", "second", "third")[: len(outputs)],
        sample_ids=tuple(str(i) for i in range(len(labels))),
        temperature=2.0,
        progress=0.5,
        task=classification(),
        known=KNOWN,
        target=labels,
        labeled=labels >= 0,
        student_output=numbers(len(labels), 5, seed=9),
        draw=lambda name, shape: torch.full(shape, 0.25),
    )
    return replace(given, **changes)


def strategy(registry: Registry, name: str) -> Strategy:
    found = registry.find("strategies", name)
    options, _ = check_options({}, found.spec.options, name)
    return Strategy(Part(found.spec, found.plugin, options, found.spec.load))


def test_a_teachers_loss_is_taken_on_the_student_restricted_to_its_classes() -> None:
    """``sum_k w_k T^2 KL(p_k || softmax(z[L_k] / T))``."""
    truth, student, temperature = numbers(6, 5), numbers(6, 5, seed=1), 3.0
    weights = torch.softmax(numbers(2, 6, seed=2), dim=0)
    merged = Merged(partial_answers(truth), weights, known=KNOWN)
    loss = classification().kd_loss(student, merged, temperature)
    expected = torch.zeros(6)
    for weight, classes in zip(weights, (slice(0, 3), slice(2, 5)), strict=True):
        p = torch.softmax(truth[:, classes] / temperature, 1)
        log_q = torch.log_softmax(student[:, classes] / temperature, 1)
        expected += weight * temperature**2 * (p * (p.log() - log_q)).sum(1)
    torch.testing.assert_close(loss, expected)


def test_it_is_the_usual_loss_if_all_know_all() -> None:
    outputs, student = (numbers(6, 5), numbers(6, 5, seed=1)), numbers(6, 5, seed=2)
    weights = torch.full((2, 6), 0.5)
    gradients = []
    for known in (None, torch.ones(2, 5, dtype=torch.bool)):
        z = student.clone().requires_grad_()
        classification().kd_loss(z, Merged(outputs, weights, known=known), 2.0).sum().backward()
        gradients.append(z.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_teachers_that_agree_with_one_truth_are_merged_to_it() -> None:
    """The zero-padded mean of their probabilities is something else."""
    truth = numbers(50, 5) * 2
    merged = Merged(partial_answers(truth), torch.full((2, 50), 0.5), known=KNOWN)
    mixed = classification().mix(merged).exp()
    torch.testing.assert_close(mixed, truth.softmax(1), atol=1e-3, rtol=0)
    padded = classification().mix(replace(merged, known=None)).exp()
    assert (padded.argmax(1) == truth.argmax(1)).float().mean() < 0.9


def test_the_student_that_minimises_the_loss_has_learnt_the_truth() -> None:
    truth = numbers(8, 5) * 2
    merged = Merged(partial_answers(truth), torch.full((2, 8), 0.5), known=KNOWN)
    student = torch.zeros(8, 5, requires_grad=True)
    optimizer = torch.optim.LBFGS([student], max_iter=500, tolerance_change=0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = classification().kd_loss(student, merged, 1.0).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    torch.testing.assert_close(student.softmax(1), truth.softmax(1), atol=5e-3, rtol=0)


@pytest.mark.parametrize(
    "name", ["mean", "confidence", "entropy", "consensus", "weighted", "drop", "random", "best", "stacking"]
)
def test_a_teacher_counts_for_nothing_on_labels_it_does_not_know(registry: Registry, name: str) -> None:
    outputs, target = partial_answers(numbers(6, 5)), [0, 1, 2, 3, 4, -1]
    asked = strategy(registry, name)
    asked.fit(batch(outputs, [0, 1, 2, 3, 4, 2]))
    weights = asked.merge(batch(outputs, target)).weights
    assert weights is not None
    assert torch.isfinite(weights).all()
    assert (weights[1, :2] == 0).all() and (weights[0, 3:5] == 0).all()
    total = weights.sum(0)
    assert ((total == 0) | ((total - 1).abs() < 1e-6)).all()
    torch.testing.assert_close(total, torch.ones(6))


def test_confidence_compares_only_those_who_know_the_class(registry: Registry) -> None:
    """Two that know the label share it by their errors; the third has no say in how."""
    known = torch.tensor([[True] * 5, [True] * 5, [True, True, False, False, False]])
    sure, unsure = torch.tensor([[0.0, 0, 0, 4, 0]]), torch.tensor([[0.0, 0, 0, 1, 0]])
    outputs = (sure, unsure, align_logits(torch.zeros(1, 2), Alignment(((0,), (1,), (), (), ()))))
    asked = strategy(registry, "confidence")
    both = batch(outputs, [3], known=known)
    asked.fit(both)
    weights = asked.merge(both).weights
    errors = torch.stack([-output.log_softmax(1)[0, 3] for output in outputs[:2]])
    assert weights is not None
    torch.testing.assert_close(weights[:, 0], torch.cat([1 - errors.softmax(0), torch.zeros(1)]))


def test_scores_are_of_the_classes_that_a_teacher_knows() -> None:
    truth = torch.eye(5) * 9
    assert batch(partial_answers(truth), [0, 1, 2, 3, 4]).scores == (1.0, 1.0)


def test_a_teacher_that_knows_few_classes_can_be_wholly_unsure() -> None:
    outputs = partial_answers(torch.zeros(1, 5))
    torch.testing.assert_close(classification().uncertainty(outputs), torch.ones(2, 1))


@pytest.mark.parametrize("name", ["median", "trimmed-mean", "mean-logit"])
def test_what_is_no_weighting_needs_teachers_that_know_all(registry: Registry, name: str) -> None:
    with pytest.raises(UsageError, match="needs teachers that know every class"):
        strategy(registry, name).require_full_outputs(KNOWN)
    strategy(registry, name).require_full_outputs(None)


def test_finer_classes_are_summed() -> None:
    teacher = ("beagle", "cat", "husky")
    found = align_classes(teacher, ("cat", "dog"), 3, "t", {"dog": ("beagle", "husky")})
    assert found.groups == ((1,), (0, 2))
    outputs = numbers(4, 3)
    p = outputs.softmax(1)
    torch.testing.assert_close(
        align_logits(outputs, found).softmax(1), torch.stack([p[:, 1], p[:, 0] + p[:, 2]], 1)
    )


@pytest.mark.parametrize(
    ("mapping", "what"),
    [
        ({"dgo": ("beagle",)}, "unknown class 'dgo'"),
        ({"dog": ("begle",)}, "the teacher has no class 'begle'"),
        ({"dog": ("beagle", "cat")}, "uses the teacher's class 'cat' twice"),
    ],
)
def test_a_map_that_is_not_clear_is_refused(mapping: dict[str, tuple[str, ...]], what: str) -> None:
    with pytest.raises(DataError, match=what):
        align_classes(("beagle", "cat"), ("cat", "dog"), 2, "t", mapping)


def test_a_teacher_that_shares_no_class_is_refused() -> None:
    with pytest.raises(DataError, match="knows none of the data's 5 classes: ant, bee, cat, dog, eel"):
        align_classes(("rose", "tulip"), TASK, 2, "flowers")


def test_what_is_not_known_is_said_with_the_nearest_name() -> None:
    lines = alignment_remarks(
        {"a": FIRST, "b": Alignment(((0,), (1,), (2,), (3,), ()))},
        {"a": ("ant", "bee", "cat"), "b": None},
        TASK,
    )
    assert lines == [
        "teacher a does not know 2 of 5 classes: dog, eel",
        "teacher b does not know 1 of 5 classes: eel",
        "no teacher knows eel: the student learns it from labels only",
    ]
    misspelt = alignment_remarks({"a": FIRST}, {"a": ("ant", "bee", "cat", "dogs")}, TASK)
    assert "did you mean 'dogs'?" in misspelt[0]


def test_the_mixture_is_the_most_likely_one() -> None:
    """No small change of it explains what teachers that disagree said any better."""
    outputs = (align_logits(numbers(20, 3) * 2, FIRST), align_logits(numbers(20, 3, seed=1) * 2, SECOND))
    weights = torch.softmax(numbers(2, 20, seed=2), dim=0)
    q = classification().mix(Merged(outputs, weights, known=KNOWN)).double().exp()

    def likelihood(q: Tensor) -> Tensor:
        inside = (KNOWN[:, None] * q).sum(2, keepdim=True)
        p = torch.stack([output.softmax(1) for output in outputs])
        return (weights[:, :, None] * p * torch.where(p > 0, (q / inside).log(), 0)).sum((0, 2))

    best = likelihood(q)
    for seed in range(20):
        near = q * (0.05 * numbers(20, 5, seed=seed).double()).exp()
        assert (likelihood(near) <= best + 1e-6).all()


def test_unconnected_teachers_and_certain_ones_give_finite_mixtures() -> None:
    apart = torch.tensor([[True, True, False, False, False], [False, False, True, True, True]])
    for scale in (0.0, 1.0, 1e4):
        outputs = tuple(numbers(6, 5, seed=k) * scale for k in range(2))
        outputs = tuple(o.masked_fill(~known, UNKNOWN) for o, known in zip(outputs, apart, strict=True))
        for weights in (torch.full((2, 6), 0.5), torch.tensor([[1.0], [0.0]]).expand(2, 6)):
            q = classification().mix(Merged(outputs, weights, known=apart)).exp()
            assert torch.isfinite(q).all()
            torch.testing.assert_close(q.sum(1), torch.ones(6))
