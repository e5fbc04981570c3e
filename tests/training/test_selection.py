"""Selection of an evaluation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtkd_cli.training.selection import Measurement, RankedEvaluation, Selection, select, smooth, window_size


def ranked(step: int, losses: list[float] | float, distance: float | None = None) -> RankedEvaluation:
    """Return an evaluation with these validation losses; a number means four equal ones."""
    each = np.array(losses if isinstance(losses, list) else [losses] * 4)
    return RankedEvaluation(step, (-float(each.mean()),), each, distance, f"step {step}")


def chosen(*evaluations: RankedEvaluation) -> int:
    selection: Selection | None = None
    for new in evaluations:
        selection = select(new) if selection is None else selection.including(select(new))
    assert selection is not None
    return selection.chosen.step


def test_clearly_worse_is_more_than_one_standard_error() -> None:
    """Differences 0, 0, 0 and d have mean d / 4 and standard error d / 4."""
    best = ranked(1, [1.0, 1.0, 1.0, 1.0])
    assert not ranked(2, [1.0, 1.0, 1.0, 1.4]).is_clearly_worse(best)
    assert ranked(2, [1.0, 1.0, 1.1, 1.4]).is_clearly_worse(best)
    assert not ranked(2, [0.0, 1.0, 1.0, 1.1]).is_clearly_worse(best)
    assert ranked(2, [1.0, 1.0, 1.0, math.nan]).is_clearly_worse(best)


def test_without_distance_selects_last_unless_it_is_clearly_worse() -> None:
    assert chosen(ranked(1, [1, 1, 1, 1]), ranked(2, 2.0), ranked(3, [1, 1, 1, 1.2])) == 3
    assert chosen(ranked(1, 0.5), ranked(2, 1.0), ranked(3, 2.0)) == 1


def test_without_distance_selects_the_better_of_two_last_evaluations() -> None:
    """A noisy candidate must not win because its difference has a large standard error."""
    best = select(ranked(1, [1, 1, 1, 1]))
    steady = best.including(select(ranked(9, [1.02, 1.02, 1.02, 1.02])))
    noisy = select(ranked(9, [3, 0.5, 0.4, 0.3]))
    assert steady.including(noisy).candidate.losses is steady.candidate.losses
    assert steady.including(noisy).chosen is steady.top


def test_with_distance_selects_nearest_of_equals() -> None:
    first, second = ranked(1, [1, 1, 1, 1], 0.3), ranked(2, [1, 1, 1, 1.2], 0.5)
    assert chosen(first, second) == chosen(second, first) == 1


def test_distance_does_not_outweigh_validation() -> None:
    """A wrong teacher cannot win: its student is near to it but validates worse."""
    assert chosen(ranked(1, 2.0, 0.0), ranked(2, 1.0, 0.9)) == 2
    assert chosen(ranked(2, 1.0, 0.9), ranked(1, 2.0, 0.0)) == 2


def test_metric_ranks_without_losses() -> None:
    def by_metric(step: int, value: float, loss: float) -> RankedEvaluation:
        return smooth(step, [Measurement(value, loss, None, 0.1 * step)], None)

    assert chosen(by_metric(1, 0.8, 1.0), by_metric(2, 0.9, 2.0), by_metric(3, 0.7, 0.1)) == 2
    assert chosen(by_metric(1, 0.9, 1.0), by_metric(2, 0.9, 2.0)) == 1
    assert chosen(by_metric(1, math.nan, 1.0), by_metric(2, 0.1, 2.0)) == 2


def test_averages_over_window() -> None:
    recent = [Measurement(0.5, 2.0, np.array([1.0, 3.0])), Measurement(0.7, 1.0, np.array([1.0, 1.0]), 0.4)]
    mean = smooth(7, recent, "kept")
    assert (mean.step, mean.score, mean.distance, mean.evaluation) == (7, (-1.5,), 0.4, "kept")
    assert mean.losses is not None
    assert mean.losses.tolist() == [1.0, 2.0]
    without = [Measurement(m.value, m.loss) for m in recent]
    assert smooth(7, without, "kept").score == pytest.approx((0.6, -1.5))


@pytest.mark.parametrize(("evaluations", "width"), [(1, 1), (4, 1), (8, 2), (20, 5), (200, 5)])
def test_window_is_at_most_a_quarter_of_the_evaluations(evaluations: int, width: int) -> None:
    assert window_size(evaluations) == width


def test_measurement_round_trips_through_json() -> None:
    for losses in (None, np.array([0.1, 0.2])):
        before = Measurement(0.5, 1.0, losses, 0.25)
        after = Measurement.from_dict(before.as_dict())
        assert (after.value, after.loss, after.distance) == (0.5, 1.0, 0.25)
        assert (after.losses is None) == (losses is None)
        assert losses is None or np.array_equal(losses, after.losses)
