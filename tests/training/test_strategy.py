"""A strategy that misbehaves is named, and is given only what it asked for."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli.errors import DataError, PluginError
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, TaskData
from mtkd_cli.training.strategy import Strategy
from mtkd_tasks.classification import Classification

TASK = Classification(TaskData(("a", "b", "c"), np.zeros(1, dtype=np.int64), InputSpec()), LossOptions())


def batch(teachers: int = 2, samples: int = 4) -> AggregationBatch:
    target = torch.arange(samples) % 3
    return AggregationBatch(
        outputs=tuple(torch.randn(samples, 3) for _ in range(teachers)),
        teacher_names=tuple("abcdef"[:teachers]),
        sample_ids=tuple(map(str, range(samples))),
        temperature=2.0,
        progress=0.0,
        task=TASK,
        target=target,
        labelled=target >= 0,
        student_output=torch.randn(samples, 3),
    )


def strategy(
    needs: tuple[str, ...] = (), create: Callable[[], Any] | None = None, **methods: Callable[..., Any]
) -> Strategy:
    """Return a strategy with these methods."""
    part: Any = SimpleNamespace(
        spec=SimpleNamespace(name="mine", needs=needs),
        plugin=SimpleNamespace(name="mine", distribution="mtkd-mine", version="1.2"),
        create=create or (lambda: SimpleNamespace(**methods)),
    )
    return Strategy(part)


def weights(value: Any) -> Strategy:
    return strategy(weights=lambda _: value)


def test_weights_come_with_the_outputs_they_are_for() -> None:
    given = batch()
    merged = weights(torch.tensor([[0.25] * 4, [0.75] * 4])).merge(given)
    assert merged.outputs == given.outputs
    assert merged.weights is not None
    torch.testing.assert_close(merged.weights, torch.tensor([[0.25] * 4, [0.75] * 4]))
    assert merged.combined is None


def test_a_combined_answer_has_no_weights() -> None:
    merged = strategy(combine=lambda b: b.outputs[0]).merge(batch())
    assert merged.weights is None
    assert merged.combined is merged.outputs[0]


def test_rounding_is_mended_and_silence_is_kept() -> None:
    almost = torch.tensor([[0.3333, 0.0], [0.3333, 0.0], [0.3333, 0.0]])
    merged = weights(almost).merge(batch(3, 2))
    assert merged.weights is not None
    torch.testing.assert_close(merged.weights, torch.tensor([[1 / 3, 0.0]] * 3))
    half = weights(torch.full((2, 4), 0.5, dtype=torch.float16)).merge(batch())
    assert half.weights is not None
    assert half.weights.dtype == torch.float32


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (torch.full((2, 4), math.nan), "returned NaN or infinity"),
        (torch.full((2, 4), math.inf), "returned NaN or infinity"),
        (torch.tensor([[1.5] * 4, [-0.5] * 4]), "returned a negative weight"),
        (torch.ones(2, 4), "returned weights that sum to 2, not to 1"),
        (torch.tensor([[0.5, 0.5, 0.25, 0.5]] * 2), "returned weights that sum to 0.5, not to 1"),
        (torch.tensor([[0.5, 0.5, 0.25, 0.0]] * 2), "returned weights that sum to 0.5, not to 1"),
        (torch.full((4, 2), 0.25), r"returned weights of shape \(4, 2\); it must be \(2, 4\)"),
        (torch.full((2,), 0.5), r"returned weights of shape \(2,\)"),
        ([[0.5] * 4] * 2, "returned list; it must be a tensor"),
        (None, "returned NoneType; it must be a tensor"),
    ],
)
def test_an_answer_that_is_no_weighting_is_refused_and_its_author_named(answer: Any, complaint: str) -> None:
    with pytest.raises(PluginError, match=f"the strategy 'mine' {complaint}") as error:
        weights(answer).merge(batch())
    assert error.value.where == "mtkd-mine 1.2"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (torch.full((4, 3), math.nan), "NaN"),
        (torch.zeros(4, 2), r"of shape \(4, 2\); it must be \(4, 3\)"),
        ("a", "returned str"),
    ],
)
def test_a_combined_answer_is_checked_too(answer: Any, complaint: str) -> None:
    with pytest.raises(PluginError, match=complaint):
        strategy(combine=lambda _: answer).merge(batch())


def fail(*_: object) -> Tensor:
    raise ZeroDivisionError("by zero")


def test_a_strategy_that_raises_is_named_with_its_error() -> None:
    for method in ("weights", "combine"):
        with pytest.raises(PluginError, match=r"'mine' failed .* ZeroDivisionError: by zero") as error:
            strategy(**{method: fail}).merge(batch())
        assert "test_strategy.py:" in error.value.where
        assert isinstance(error.value.__cause__, ZeroDivisionError)
    with pytest.raises(PluginError, match="failed when it was created"):
        strategy(create=fail)
    with pytest.raises(PluginError, match="failed when it was fitted"):
        strategy(("validation",), fit=fail, weights=fail).fit(batch())


def test_an_error_that_is_meant_for_the_user_reaches_them_as_it_is() -> None:
    def refuse(_: object) -> None:
        raise DataError("no labels")

    with pytest.raises(DataError, match="no labels"):
        strategy(("validation",), fit=refuse, weights=fail).fit(batch())


@pytest.mark.parametrize("needs", [(), ("labels",), ("student",), ("labels", "student")])
def test_what_was_not_asked_for_is_not_given(needs: tuple[str, ...]) -> None:
    seen: list[AggregationBatch] = []

    def note(given: AggregationBatch) -> Tensor:
        seen.append(given)
        return torch.full((2, 4), 0.5)

    strategy(needs, weights=note).merge(batch())
    (given,) = seen
    assert (given.target is not None) == (given.labelled is not None) == ("labels" in needs)
    assert (given.student_output is not None) == ("student" in needs)
    if "labels" not in needs:
        with pytest.raises(LookupError, match="declare needs"):
            _ = given.error
        with pytest.raises(LookupError, match="declare needs"):
            _ = given.scores


def test_fit_is_called_only_where_it_is_needed() -> None:
    calls: list[object] = []
    strategy(("validation",), fit=calls.append, weights=fail).fit(batch())
    strategy((), fit=calls.append, weights=fail).fit(batch())
    assert len(calls) == 1


def test_random_numbers_are_there_only_where_they_are_drawn() -> None:
    with pytest.raises(LookupError, match="no random numbers"):
        batch().random("drop", (3,))


@pytest.mark.parametrize(
    ("needs", "methods", "said"), [((), {}, "weights or combine"), (("validation",), {"weights": 1}, "fit")]
)
def test_a_strategy_without_its_methods_is_refused_when_it_is_created(
    needs: tuple[str, ...], methods: dict[str, Any], said: str
) -> None:
    with pytest.raises(PluginError, match=f"has no {said}"):
        strategy(needs, **methods)


def test_a_strategy_that_changes_the_outputs_is_named() -> None:
    def spoil(given: AggregationBatch) -> torch.Tensor:
        given.outputs[0].zero_()
        return torch.full((len(given.outputs), len(given.outputs[0])), 1 / len(given.outputs))

    with pytest.raises(PluginError, match="in place"):
        strategy(weights=spoil).merge(batch())


def test_a_strategy_that_exits_does_not_end_mtkd() -> None:
    def leave(_: AggregationBatch) -> torch.Tensor:
        raise SystemExit(7)

    with pytest.raises(PluginError, match="SystemExit"):
        strategy(weights=leave).merge(batch())
