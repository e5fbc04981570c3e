"""Teachers without an answer to some samples: filled in, never heard, never NaN."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtkd_cli import counter_rng
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, TaskData
from mtkd_cli.interfaces.missing_outputs import fill_gaps, has_nonfinite
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.training.strategy import Strategy
from mtkd_tasks.classification import Classification

NAN = torch.nan
TASK = Classification(TaskData(tuple("abcde"), np.zeros(1, dtype=np.int64), InputSpec()), LossOptions())
STRATEGIES = ["mean", "entropy", "consensus", "confidence", "agreement", "random", "drop"]


def strategy(registry: Registry, name: str) -> Strategy:
    entry = registry.find("strategies", name)
    options = {option.name: option.default for option in entry.spec.options}
    return Strategy(Part(entry.spec, entry.plugin, options, entry.spec.load))


def batch(*outputs: torch.Tensor) -> AggregationBatch:
    made, answered = fill_gaps(outputs)
    target = torch.arange(len(outputs[0])) % 5
    return AggregationBatch(
        outputs=made,
        teacher_names=tuple("abc"),
        sample_ids=tuple(map(str, range(len(target)))),
        temperature=1.0,
        progress=0.5,
        task=TASK,
        answered=answered,
        target=target,
        labeled=target >= 0,
        student_output=torch.zeros(len(target), 5),
        draw=lambda name, shape: counter_rng.torch_uniform(shape, name),
    )


def test_any_number_that_is_not_finite_loses_the_sample() -> None:
    output = torch.zeros(4, 3, 2)
    output[1, 2, 0], output[3, 0, 1] = NAN, torch.inf
    assert has_nonfinite(output).tolist() == [False, True, False, True]


def test_without_gaps_nothing_is_touched() -> None:
    outputs = (torch.ones(2, 3), torch.zeros(2, 3))
    made, answered = fill_gaps(outputs)
    assert made is outputs
    assert answered is None


def test_a_gap_takes_the_mean_of_those_who_answered() -> None:
    first = torch.tensor([[1.0, 3.0], [NAN, 0.0], [NAN, NAN]])
    second = torch.tensor([[5.0, 5.0], [2.0, 4.0], [NAN, 1.0]])
    (a, b), answered = fill_gaps((first, second))
    assert a.tolist() == [[1, 3], [2, 4], [0, 0]]
    assert b.tolist() == [[5, 5], [2, 4], [0, 0]]
    assert answered is not None
    assert answered.tolist() == [[True, False, False], [True, True, False]]


@pytest.mark.parametrize(
    "name", ["mean", "entropy", "consensus", "confidence", "agreement", "random", "drop"]
)
def test_who_did_not_answer_has_no_weight_and_the_others_sum_to_1(registry: Registry, name: str) -> None:
    outputs = [torch.randn(8, 5, generator=torch.Generator().manual_seed(k)) for k in range(3)]
    outputs[0][2], outputs[1][2:4] = NAN, NAN
    for output in outputs:
        output[7] = NAN
    asked = batch(*outputs)
    used = strategy(registry, name)
    if "validation" in used.part.spec.needs:
        used.fit(asked)
    weights = used.merge(asked).weights
    assert weights is not None
    assert torch.isfinite(weights).all()
    assert weights[0, 2] == weights[1, 2] == weights[1, 3] == 0
    assert weights[2, 2] == pytest.approx(1)
    assert weights[:, 7].tolist() == [0, 0, 0]
    torch.testing.assert_close(weights[:, :7].sum(dim=0), torch.ones(7))


def test_what_combines_answers_needs_all_of_them(registry: Registry) -> None:
    with pytest.raises(UsageError, match="answer every sample"):
        strategy(registry, "median").require_full_outputs(None, gaps=True)
