"""Good teachers and strategies are rarely reported, also with few labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.audit.recommend import recommend
from mtkd_cli.audit.sure_findings import find_overconfident, harms_of
from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.interfaces import InputSpec, LossOptions, TaskData
from mtkd_cli.report.audit_result import Change, TeacherFacts
from mtkd_cli.stats.estimate import Estimate
from mtkd_cli.stats.score import mean_of, score_of
from mtkd_cli.training.evaluation import measure_pairs
from mtkd_tasks.classification import Classification

TASK = Classification(TaskData(tuple("abcde"), np.arange(5), InputSpec()), LossOptions())
STRENGTH = 2.2
SIMULATIONS = 60
LIMIT = 0.05 + 2 * (0.05 * 0.95 / SIMULATIONS) ** 0.5


def teachers(rng: np.random.Generator, samples: int, count: int) -> tuple[list[Tensor], Tensor]:
    """Logits of teachers of one kind, each calibrated: log-likelihoods of evidence N(STRENGTH * truth, 1)."""
    target = torch.from_numpy(rng.integers(0, 5, samples))
    truth = STRENGTH * torch.nn.functional.one_hot(target, 5).double()
    evidence = [truth + torch.from_numpy(rng.normal(size=(samples, 5))) for _ in range(count)]
    return [(STRENGTH * each).float() for each in evidence], target


def outcome(outputs: list[Tensor], target: Tensor) -> Outcome:
    mixed = torch.stack([output.softmax(dim=1) for output in outputs]).mean(dim=0).log()
    found = measure_pairs([(mixed, target)], TASK)
    loss = mean_of(found.losses.double().numpy(), found.counts.double().numpy())
    return Outcome(found, score_of(TASK, found.statistics), loss)


def accused(outputs: list[Tensor], target: Tensor) -> set[str]:
    together, changes, facts, one = outcome(outputs, target), {}, [], Estimate(1.0, 1.0, 1.0)
    for k, output in enumerate(outputs):
        rest = outcome([other for other in outputs if other is not output], target)
        gains = rest.gain_over(together, True), rest.loss_gain_over(together)
        changes[str(k)] = Change("mean", str(k), *gains)
        reliability = TASK.details(TASK.statistics(output, target)).reliability
        facts.append(TeacherFacts(str(k), "", one, one, {}, reliability, ()))
    return set(harms_of(changes)) | set(find_overconfident(facts))


@pytest.mark.parametrize("samples", [20, 60])
def test_equally_good_teachers_are_rarely_reported(samples: int) -> None:
    rng = counter_rng.generator("four teachers", samples)
    wrong = [bool(accused(*teachers(rng, samples, 4))) for _ in range(SIMULATIONS)]
    assert np.mean(wrong) <= LIMIT


def test_random_teacher_is_found() -> None:
    rng = counter_rng.generator("random teacher")
    found = []
    for _ in range(20):
        outputs, target = teachers(rng, 50, 4)
        outputs[3] = outputs[3][torch.from_numpy(rng.permutation(50))]
        found.append("3" in accused(outputs, target))
    assert np.mean(found) > 0.9


def test_own_strategy_stays_if_all_are_equally_good() -> None:
    rng = counter_rng.generator("equal strategies")
    moved = []
    for _ in range(60):
        outputs, target = teachers(rng, 30, 5)
        measured_ = {f"s{k}": outcome([output], target) for k, output in enumerate(outputs)}
        moved.append(recommend(measured_, "s0", True) != "s0")
    assert np.mean(moved) <= 0.05 + 2 * (0.05 * 0.95 / 60) ** 0.5
