"""The learning rates and the norm of the gradient are those of torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import LambdaLR

from mtkd_cli.recipe.schema import Train
from mtkd_cli.training.optimizer import create_optimizer, create_schedule, gradient_norm


def gradients(values: float = 1.0) -> list[nn.Parameter]:
    """Return parameters of several shapes and layouts, one without a gradient."""
    generator = torch.Generator().manual_seed(0)
    found = [
        nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((3, 4), (5,), (), (2, 3, 2, 2))
    ]
    for parameter in found:
        parameter.grad = values * torch.randn(parameter.shape, generator=generator)
    grad = found[3].grad
    assert grad is not None
    found[3].grad = grad.to(memory_format=torch.channels_last)
    return [*found, nn.Parameter(torch.zeros(2))]


@pytest.mark.parametrize("size", [1.0, 1e-20, 1e30, math.inf, math.nan])
@pytest.mark.parametrize("clip", [0.0, 0.5, 1e6])
def test_norm_and_clipped_gradients_are_those_of_torch_to_the_bit(clip: float, size: float) -> None:
    ours, theirs = gradients(size), gradients(size)
    found, expected = gradient_norm(ours, clip), clip_grad_norm_(theirs, clip or math.inf)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    if math.isfinite(expected):
        for first, second in zip(ours, theirs, strict=True):
            assert (first.grad is None) == (second.grad is None)
            assert first.grad is None or torch.equal(first.grad, second.grad)  # type: ignore[arg-type]


def test_gradient_is_clipped_only_if_asked() -> None:
    whole, clipped = gradients(), gradients()
    gradient_norm(whole, 0.0)
    gradient_norm(clipped, 0.5)
    for first, second in zip(whole, gradients(), strict=True):
        assert (first.grad is None) == (second.grad is None)
        assert first.grad is None or torch.equal(first.grad, second.grad)  # type: ignore[arg-type]
    assert gradient_norm(clipped, 0.0).item() == pytest.approx(0.5, rel=1e-4)
    assert gradient_norm([nn.Parameter(torch.ones(1))], 0.0) == 0


@pytest.mark.parametrize("done", [0, 1, 7])
def test_schedule_is_that_of_torch_to_the_bit_also_after_a_resume(done: int) -> None:
    settings = Train(lr=(0.03,), warmup=0.2)
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    ours, theirs = create_optimizer(net, settings), create_optimizer(net, settings)
    schedule = create_schedule(ours, 20, settings, done)
    for group in theirs.param_groups:
        group["initial_lr"] = group["lr"]
    reference = LambdaLR(theirs, schedule.factor, last_epoch=done - 1)
    for _ in range(done, 20):
        assert [g["lr"] for g in ours.param_groups] == [g["lr"] for g in theirs.param_groups]
        theirs.step()
        schedule.step()
        reference.step()
