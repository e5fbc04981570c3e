"""Check a distillation loss on random logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mtkd_cli.interfaces.label_space import restrict_logits
from mtkd_cli.specs import LossSpec
from mtkd_cli.testing.batches import CLASSES, SAMPLES, SIDE, TEMPERATURE, random_outputs
from mtkd_cli.testing.broken import require

EXTREME = 1e4
NEAR = 1e-4


def check_loss(distance: Callable[..., Tensor], spec: LossSpec) -> str:
    """Check a loss on logits of samples, or of maps with ``whole_maps``.

    Args:
        distance: function ``(student, teacher, temperature)`` that returns ``[B, *]``, with its options set.
        spec: spec of the loss.

    Returns:
        The inputs of the check, in words.

    Raises:
        BrokenRuleError: the loss breaks a rule.
    """
    who = f"the loss {spec.name!r}"
    shape = (SAMPLES, len(CLASSES), *((SIDE, SIDE) if spec.whole_maps else ()))
    student, teacher = random_outputs(*shape, key=("student",)), random_outputs(*shape, key=("teacher",))

    def loss(student: Tensor, teacher: Tensor) -> Tensor:
        target = torch.softmax(teacher / TEMPERATURE, dim=1) if spec.to_mixture else teacher
        return distance(student, target, TEMPERATURE)

    def gradient(student: Tensor, teacher: Tensor) -> Tensor:
        leaf = student.clone().requires_grad_()
        (found,) = torch.autograd.grad(loss(leaf, teacher).sum(), leaf)
        return found

    found, expected = tuple(loss(student, teacher).shape), shape[: 2 if spec.whole_maps else 1]
    what = "one value per class" if spec.whole_maps else "one value per element"
    require(found == expected, who, what, f"its shape is {found}, not {expected}")
    different, equal = gradient(student, teacher).norm(), gradient(teacher, teacher).norm()
    require(
        bool(different > 0),
        who,
        "the student's logits have a gradient",
        "the gradient is 0",
    )
    require(
        bool(equal <= NEAR * different),
        who,
        "the gradient is 0 for a student equal to the teacher",
        f"its gradient is {(equal / different).item():.3g} times that of a different student",
    )
    sharp = torch.where(teacher > 0, EXTREME, -EXTREME)
    finite = bool(
        gradient(sharp.flip(0), sharp).isfinite().all() and loss(sharp.flip(0), sharp).isfinite().all()
    )
    require(finite, who, "extreme logits give finite losses and gradients", "a value is NaN or infinite")
    if spec.any_label_space and not spec.whole_maps:
        _check_partial(who, loss, student, teacher)
    return "logits of maps" if spec.whole_maps else "logits of samples"


def _check_partial(who: str, loss: Callable[[Tensor, Tensor], Any], student: Tensor, teacher: Tensor) -> None:
    """Check that a teacher without the first class gives it no gradient."""
    known = torch.ones(teacher.shape[1], dtype=torch.bool)
    known[0] = False
    leaf = student.clone().requires_grad_()
    (found,) = torch.autograd.grad(
        loss(restrict_logits(leaf, known), restrict_logits(teacher, known)).sum(), leaf
    )
    is_zero = bool(found.isfinite().all() and (found[:, 0] == 0).all())
    require(
        is_zero,
        who,
        "a class that the teacher does not know has no gradient",
        "it is nonzero or NaN",
    )
