"""The checks for plugin authors find broken rules and name them."""

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, TaskData
from mtkd_cli.specs import AggregatorSpec
from mtkd_cli.testing import BrokenRuleError, check_strategy
from mtkd_cli.testing.batches import CLASSES
from mtkd_tasks.classification import Classification

Answer = Callable[[AggregationBatch], Any]


def check(weights: Answer, *needs: str, per_sample: bool = False, **more: Any) -> None:
    """Check a strategy that answers so."""

    class Mine:
        pass

    for name, method in {"weights": weights, **more}.items():
        if method is not None:
            setattr(Mine, name, lambda _, batch, method=method: method(batch))
    check_strategy(Mine, AggregatorSpec("mine", "", "", needs=needs, per_sample=per_sample))


def uniform(batch: AggregationBatch) -> Tensor:
    return torch.full((len(batch.outputs), len(batch.sample_ids)), 1 / len(batch.outputs))


def losses(batch: AggregationBatch) -> Tensor:
    return torch.stack([output.float().mean(dim=1) for output in batch.outputs])


def ca_mkd_dividing_by_k_again(batch: AggregationBatch) -> Tensor:
    """CA-MKD's reference code: the sum of its weights is 1 / K."""
    count = len(batch.outputs)
    return uniform(batch) if count == 1 else (1 - torch.softmax(batch.error, 0)) / (count - 1) / count


def ca_mkd_of_one(batch: AggregationBatch) -> Tensor:
    """CA-MKD's reference code divides by K - 1."""
    return (1 - torch.softmax(batch.error, dim=0)) / (len(batch.outputs) - 1)


def ebkd(batch: AggregationBatch) -> Tensor:
    """EBKD's reference code: 0 times the log of 0 is NaN."""
    entropy = torch.stack([-(p * p.log()).sum(1) for p in (o.float().softmax(1) for o in batch.outputs)])
    count = len(entropy)
    return uniform(batch) if count == 1 else (1 - entropy / entropy.sum(0)) / (count - 1)


def subnormal(batch: AggregationBatch) -> Tensor:
    """A sum of subnormal numbers is greater than 0, but no divisor."""
    unsure, count = batch.uncertainty, len(batch.outputs)
    total = unsure.sum(0)
    share = unsure / total.clamp(min=torch.finfo(torch.float32).tiny)
    return uniform(batch) if count == 1 else torch.where(total > 0, (1 - share) / (count - 1), 1 / count)


def by_position(batch: AggregationBatch) -> Tensor:
    weights = torch.arange(1.0, len(batch.outputs) + 1)
    return (weights / weights.sum())[:, None].expand(-1, len(batch.sample_ids))


def in_half_precision(batch: AggregationBatch) -> Tensor:
    """In fp16, +-10,000 is fine but its square is not."""
    return torch.softmax(torch.stack([(output**2).sum(1) for output in batch.outputs]), dim=0)


def nan_without_labels(batch: AggregationBatch) -> Tensor:
    assert batch.labeled is not None
    return torch.where(batch.labeled, uniform(batch), torch.nan)


def from_torch(batch: AggregationBatch) -> Tensor:
    return uniform(batch) + 0 * torch.rand(1)


def from_numpy(batch: AggregationBatch) -> Tensor:
    return uniform(batch) + 0 * np.random.rand()


def from_python(batch: AggregationBatch) -> Tensor:
    return uniform(batch) + 0 * random.random()


def from_a_generator(batch: AggregationBatch) -> Tensor:
    raw = torch.from_numpy(np.random.default_rng().random((len(batch.outputs), 1), np.float32))
    return uniform(batch) if len(raw) == 1 else torch.softmax(raw, 0).expand(-1, len(batch.sample_ids))


def in_place(batch: AggregationBatch) -> Tensor:
    batch.outputs[0].mul_(2)
    return uniform(batch)


def negative(batch: AggregationBatch) -> Tensor:
    weights = uniform(batch)
    if len(weights) > 1:
        weights[0] -= 1
        weights[1] += 1
    return weights


def by_rarest_class(batch: AggregationBatch) -> Tensor:
    """Fine until a teacher does not know a class: its smallest probability is 0."""
    rarity = torch.stack([1 / output.float().softmax(1).amin(1) for output in batch.outputs])
    return rarity / rarity.sum(0)


@pytest.mark.parametrize("needs", [(), ("labels",), ("student",)])
def test_valid_strategy_passes(needs: tuple[str, ...]) -> None:
    check(uniform, *needs)
    check(lambda batch: torch.softmax(losses(batch), dim=0), *needs)
    check(uniform, "validation", *needs, fit=lambda _: None)
    check(None, combine=lambda batch: torch.stack(batch.outputs).float().median(0).values)  # type: ignore[arg-type]


def drawn(batch: AggregationBatch) -> Tensor:
    draws = torch.cat([batch.random(name, (1, len(batch.sample_ids))) for name in batch.teacher_names])
    return draws / draws.sum(0)


def of_batch(batch: AggregationBatch) -> Tensor:
    whole = losses(batch).flatten(1).mean(dim=1, keepdim=True)
    return torch.softmax(whole, dim=0).expand(-1, len(batch.sample_ids))


def from_strong_to_equal(batch: AggregationBatch) -> Tensor:
    return torch.softmax((1 - batch.progress) * losses(batch), dim=0)


def test_strategy_may_draw_by_teacher_name() -> None:
    check(drawn)


@pytest.mark.parametrize("weights", [drawn, of_batch, from_strong_to_equal])
def test_what_depends_on_more_than_the_sample_is_not_per_sample(weights: Answer) -> None:
    check(weights)
    with pytest.raises(BrokenRuleError, match="per_sample"):
        check(weights, per_sample=True)
    check(lambda batch: torch.softmax(losses(batch), dim=0), per_sample=True)


def test_what_needs_the_student_is_not_per_sample() -> None:
    with pytest.raises(ValueError, match="per_sample"):
        AggregatorSpec("mine", "", "", needs=("student",), per_sample=True)


@pytest.mark.parametrize(
    ("weights", "rule"),
    [
        (lambda batch: losses(batch)[:, :3], "one result for each sample"),
        (lambda batch: uniform(batch).T, "one result for each sample"),
        (lambda batch: uniform(batch).tolist(), "one result for each sample"),
        (lambda batch: uniform(batch) * torch.nan, "finite"),
        (negative, "weights are >= 0"),
        (lambda batch: uniform(batch) * 0.999, "weights sum to 1"),
        (lambda batch: uniform(batch) * 0, "weights sum to 1"),
        (ebkd, "finite"),
        (subnormal, "weights sum to 1"),
        (by_position, "permuting teachers with their names"),
        (in_half_precision, "finite"),
        (from_torch, "no global random state is used.*torch"),
        (from_numpy, "no global random state is used.*numpy"),
        (from_python, "no global random state is used.*random"),
        (in_place, "teacher outputs are not changed"),
        (lambda _: 1 / 0, "no exceptions.*ZeroDivisionError"),
        (lambda batch: uniform(batch) + 0 * batch.error, "needs match what is used.*'labels'"),
        (
            lambda batch: uniform(batch) + 0 * batch.student_output.sum(),
            "needs match what is used.*'student'",
        ),
    ],
)
def test_reports_broken_rule(weights: Answer, rule: str) -> None:
    with pytest.raises(BrokenRuleError, match=rule) as error:
        check(weights)
    assert "'mine'" in str(error.value)


@pytest.mark.parametrize(
    ("weights", "rule"),
    [
        (ca_mkd_dividing_by_k_again, r"sum to 1 .* 0\.333333"),
        (ca_mkd_of_one, "finite.* one teacher"),
        (nan_without_labels, "finite"),
    ],
)
def test_reports_broken_rule_with_labels(weights: Answer, rule: str) -> None:
    with pytest.raises(BrokenRuleError, match=rule):
        check(weights, "labels")


def test_checks_teachers_with_some_classes() -> None:
    with pytest.raises(BrokenRuleError, match=r"finite.*teachers of other classes"):
        check(by_rarest_class)


class Dense(Classification):
    """A class for each of 4 x 4 pixels."""

    elements = (4, 4)


DENSE = Dense(TaskData(CLASSES, np.arange(5), InputSpec(4)), LossOptions())


def test_map_weights_per_pixel_or_sample() -> None:
    def per_pixel(batch: AggregationBatch) -> Tensor:
        return torch.softmax(batch.uncertainty, dim=0)

    spec = AggregatorSpec("mine", "", "")
    assert check_strategy(lambda: SimpleNamespace(weights=per_pixel), spec, DENSE) == ("the given one",)
    check_strategy(lambda: SimpleNamespace(weights=uniform), spec, DENSE)
    with pytest.raises(BrokenRuleError, match=r"not \(3, 8, 4, 4\)"):
        check_strategy(lambda: SimpleNamespace(weights=lambda b: per_pixel(b)[..., 0]), spec, DENSE)


def test_checks_and_returns_tasks() -> None:
    spec = AggregatorSpec("mine", "", "", tasks=("classification",))
    assert check_strategy(lambda: SimpleNamespace(weights=uniform), spec) == ("classification",)
    everywhere = check_strategy(lambda: SimpleNamespace(weights=uniform), AggregatorSpec("mine", "", ""))
    assert "classification" in everywhere


def test_reports_random_result() -> None:
    with pytest.raises(BrokenRuleError, match="the same batch gives the same result"):
        check(from_a_generator)


def test_reports_state_between_batches() -> None:
    class Moving:
        """Leans to the teacher that was surest so far: after a crash it would begin anew."""

        seen = 0.0

        def weights(self, batch: AggregationBatch) -> Tensor:
            surest = torch.stack([output.abs().amax() for output in batch.outputs])
            self.seen = 0.9 * self.seen + surest / surest.sum()
            return (self.seen / self.seen.sum())[:, None].expand(-1, len(batch.sample_ids))

    with pytest.raises(BrokenRuleError, match="no state is kept between batches"):
        check_strategy(Moving, AggregatorSpec("mine", "", "", tasks=("classification",)))


def test_checks_gradient_of_combined_output() -> None:
    with pytest.raises(BrokenRuleError, match=r"K identical teachers give the gradient of one.*times"):
        check(None, combine=lambda batch: torch.stack(batch.outputs).float().sum(0))  # type: ignore[arg-type]


def test_either_weights_or_combine() -> None:
    for both in ({"combine": lambda batch: batch.outputs[0]}, {"weights": None}):
        with pytest.raises(BrokenRuleError, match="either weights or combine"):
            check(**{"weights": uniform, **both})  # type: ignore[arg-type]


@pytest.mark.parametrize(("needs", "more"), [(("validation",), {}), ((), {"fit": lambda _: None})])
def test_needs_must_match_methods(needs: tuple[str, ...], more: dict[str, Any]) -> None:
    with pytest.raises(BrokenRuleError, match="needs match what is used"):
        check(uniform, *needs, **more)
