"""The calibration error, and what chance makes of it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mtkd_cli import counter_rng
from mtkd_tasks.calibration_error import calibrated_error, calibration_error


def by_the_paper(confidence: np.ndarray, right: np.ndarray) -> float:
    """Roelofs et al. (2022), Algorithm 1, for confidences that all differ."""
    order = np.argsort(confidence)
    error = math.nan
    for bins in range(1, len(order) + 1):
        places = np.floor((np.arange(len(order)) + 0.5) / len(order) * bins).astype(int)
        members = [order[places == place] for place in range(bins)]
        shares = [right[each].mean() for each in members]
        if any(after < before for before, after in itertools.pairwise(shares)):
            return error
        error = sum(abs((right[each] - confidence[each]).sum()) for each in members) / len(order)
    return error


@pytest.mark.parametrize("samples", [1, 2, 10, 57, 90])
def test_it_is_the_papers_sweep(samples: int) -> None:
    rng = counter_rng.generator("sweep", samples)
    confidence = rng.uniform(0.2, 1, samples)
    right = (rng.random(samples) < confidence**2).astype(float)
    assert calibration_error(confidence, right) == pytest.approx(by_the_paper(confidence, right))


def test_the_order_of_samples_does_not_count_where_confidences_are_equal() -> None:
    confidence = np.array([0.5, 0.9, 0.9, 0.9, 0.9, 0.5])
    right = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
    found = calibration_error(confidence, right)
    assert found == pytest.approx((2 * 0.0 + 4 * 0.15) / 6)
    assert calibration_error(confidence[::-1], right[::-1]) == pytest.approx(found)
    assert math.isnan(calibration_error(confidence[:0], right[:0]))


def test_of_a_calibrated_model_it_is_what_chance_shows() -> None:
    rng = counter_rng.generator("calibrated model")
    confidence = rng.beta(5, 1, 539)
    found = [calibration_error(confidence, (rng.random(539) < confidence).astype(float)) for _ in range(200)]
    assert calibrated_error(confidence) == pytest.approx(np.mean(found), rel=0.1)
    assert calibrated_error(confidence) == calibrated_error(confidence), "drawn by counters"
    assert calibrated_error(confidence) < 0.03, "15 bins of equal width show .036"


def test_a_known_miscalibration_is_found() -> None:
    rng = counter_rng.generator("too sure")
    confidence = rng.beta(5, 1, 2000).clip(0.2, 1)
    found = [
        calibration_error(confidence, (rng.random(2000) < confidence - 0.1).astype(float)) for _ in range(50)
    ]
    assert np.mean(found) == pytest.approx(0.1, abs=0.005)
