"""Scores of boxes become the probability that a box is right."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from mtkd_cli.report.calibration import Calibration
from mtkd_cli.teachers.score_calibration import calibrate_scores, fit_scores


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def scored(groups: dict[float, tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Return answers from their number, and the number of right ones, by score."""
    scores = torch.cat([torch.full((count,), score) for score, (count, _) in groups.items()])
    hits = [torch.arange(count) < right for count, right in groups.values()]
    return scores, torch.cat(hits)


def test_many_boxes_give_back_their_shares_of_hits() -> None:
    """Two groups determine both numbers: the calibrated score of each is its share of right boxes."""
    calibration = fit_scores(*scored({0.3: (400_000, 20_000), 0.8: (400_000, 360_000)}))
    temperature = (logit(0.8) - logit(0.3)) / (logit(0.9) - logit(0.05))
    assert calibration.temperature == pytest.approx(temperature, rel=1e-3)
    assert calibration.offset == pytest.approx(temperature * logit(0.9) - logit(0.8), abs=1e-3)
    found = calibrate_scores(torch.tensor([0.3, 0.8]), calibration)
    assert found.tolist() == pytest.approx([0.05, 0.9], rel=2e-3)
    entropy = [-p * math.log(p) - (1 - p) * math.log(1 - p) for p in (0.05, 0.9)]
    assert calibration.after == pytest.approx(sum(entropy) / 2, rel=1e-4)
    assert calibration.after < calibration.before
    assert (calibration.labels, calibration.kept) == (800_000, "")


@pytest.mark.parametrize("count", [3, 30, 300])
def test_numbers_are_the_most_probable_ones(count: int) -> None:
    rng = np.random.default_rng(count)
    scores = torch.from_numpy(rng.uniform(0.05, 0.95, count))
    hits = torch.from_numpy(rng.uniform(size=count)) < scores**2

    def objective(point: np.ndarray) -> float:
        z = (torch.special.logit(scores) + point[1]) * math.exp(-point[0])
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, hits.double(), reduction="sum")
        return float(loss) + (point[0] ** 2 + point[1] ** 2) / 2

    best = minimize(objective, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9}).x
    calibration = fit_scores(scores, hits)
    assert math.log(calibration.temperature) == pytest.approx(best[0], abs=1e-3)
    assert calibration.offset == pytest.approx(best[1], abs=1e-3)


def test_few_right_boxes_do_not_give_extreme_numbers() -> None:
    calibration = fit_scores(torch.tensor([0.6, 0.7, 0.2]), torch.tensor([True, True, False]))
    assert 1 / 7 < calibration.temperature < 7
    assert abs(calibration.offset) < 2


def test_keeps_scores_without_boxes() -> None:
    calibration = fit_scores(torch.empty(0), torch.empty(0, dtype=torch.bool))
    assert (calibration.temperature, calibration.offset, calibration.labels) == (1.0, 0.0, 0)
    assert "no usable validation labels" in calibration.summary


def test_calibrated_scores_keep_their_order_and_stay_probabilities() -> None:
    scores = torch.tensor([0.0, 0.01, 0.3, 0.5, 0.99, 1.0])
    found = calibrate_scores(scores, Calibration(0.5, 10, 0.0, 0.0, offset=-0.5))
    assert found[3].item() == pytest.approx(1 / (1 + math.exp(1)))
    assert (found.diff() > 0).all()
    assert ((found >= 0) & (found <= 1)).all()
