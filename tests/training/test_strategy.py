"""A strategy receives only what it declares, and errors in it name the plugin."""

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
from mtkd_cli.specs import AggregatorSpec
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
        labeled=target >= 0,
        student_output=torch.randn(samples, 3),
    )


def strategy(
    needs: tuple[str, ...] = (), create: Callable[[], Any] | None = None, **methods: Callable[..., Any]
) -> Strategy:
    """Return a strategy with these methods."""
    part: Any = SimpleNamespace(
        spec=AggregatorSpec("mine", "", "", needs=needs),
        plugin=SimpleNamespace(name="mine", distribution="mtkd-mine", version="1.2"),
        create=create or (lambda: SimpleNamespace(**methods)),
    )
    return Strategy(part)


def weights(value: Any) -> Strategy:
    return strategy(weights=lambda _: value)


def test_merge_returns_weights_and_outputs() -> None:
    given = batch()
    merged = weights(torch.tensor([[0.25] * 4, [0.75] * 4])).merge(given)
    assert merged.outputs == given.outputs
    assert merged.weights is not None
    torch.testing.assert_close(merged.weights, torch.tensor([[0.25] * 4, [0.75] * 4]))
    assert merged.combined is None


def test_combined_output_has_no_weights() -> None:
    merged = strategy(combine=lambda b: b.outputs[0]).merge(batch())
    assert merged.weights is None
    assert merged.combined is merged.outputs[0]


def test_normalizes_rounding_and_keeps_zero_weights() -> None:
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
def test_rejects_invalid_weights(answer: Any, complaint: str) -> None:
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
def test_rejects_invalid_combined_output(answer: Any, complaint: str) -> None:
    with pytest.raises(PluginError, match=complaint):
        strategy(combine=lambda _: answer).merge(batch())


def fail(*_: object) -> Tensor:
    raise ZeroDivisionError("by zero")


def test_names_strategy_that_raises() -> None:
    for method in ("weights", "combine"):
        with pytest.raises(PluginError, match=r"'mine' failed .* ZeroDivisionError: by zero") as error:
            strategy(**{method: fail}).merge(batch())
        assert "test_strategy.py:" in error.value.where
        assert isinstance(error.value.__cause__, ZeroDivisionError)
    with pytest.raises(PluginError, match="failed in create"):
        strategy(create=fail)
    with pytest.raises(PluginError, match="failed in fit"):
        strategy(("validation",), fit=fail, weights=fail).fit(batch())


def test_passes_mtkd_errors_on() -> None:
    def raise_data_error(_: object) -> None:
        raise DataError("no labels")

    with pytest.raises(DataError, match="no labels"):
        strategy(("validation",), fit=raise_data_error, weights=fail).fit(batch())


@pytest.mark.parametrize("needs", [(), ("labels",), ("student",), ("labels", "student")])
def test_withholds_undeclared_inputs(needs: tuple[str, ...]) -> None:
    seen: list[AggregationBatch] = []

    def note(given: AggregationBatch) -> Tensor:
        seen.append(given)
        return torch.full((2, 4), 0.5)

    strategy(needs, weights=note).merge(batch())
    (given,) = seen
    assert (given.target is not None) == (given.labeled is not None) == ("labels" in needs)
    assert (given.student_output is not None) == ("student" in needs)
    if "labels" not in needs:
        with pytest.raises(LookupError, match="declare needs"):
            _ = given.error
        with pytest.raises(LookupError, match="declare needs"):
            _ = given.scores


def test_fits_only_if_declared() -> None:
    calls: list[object] = []
    strategy(("validation",), fit=calls.append, weights=fail).fit(batch())
    strategy((), fit=calls.append, weights=fail).fit(batch())
    assert len(calls) == 1


def test_random_numbers_need_a_source() -> None:
    with pytest.raises(LookupError, match="no random numbers"):
        batch().random("drop", (3,))


@pytest.mark.parametrize(
    ("needs", "methods", "missing"),
    [((), {}, "weights or combine"), (("validation",), {"weights": 1}, "fit")],
)
def test_rejects_strategy_without_required_methods(
    needs: tuple[str, ...], methods: dict[str, Any], missing: str
) -> None:
    with pytest.raises(PluginError, match=f"has no method {missing}"):
        strategy(needs, **methods)


def test_rejects_in_place_changes_of_outputs() -> None:
    def overwrite(given: AggregationBatch) -> torch.Tensor:
        given.outputs[0].zero_()
        return torch.full((len(given.outputs), len(given.outputs[0])), 1 / len(given.outputs))

    with pytest.raises(PluginError, match="in place"):
        strategy(weights=overwrite).merge(batch())


def test_strategy_that_exits_raises_plugin_error() -> None:
    def leave(_: AggregationBatch) -> torch.Tensor:
        raise SystemExit(7)

    with pytest.raises(PluginError, match="SystemExit"):
        strategy(weights=leave).merge(batch())
