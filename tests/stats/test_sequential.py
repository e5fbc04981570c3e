"""Looking again with the seeds that were advised keeps the error rate."""

from __future__ import annotations

import numpy as np
import pytest

from mtkd_cli import counter_rng
from mtkd_cli.stats.paired_test import paired
from mtkd_cli.stats.sequential import level_at, seeds_to_settle, spent


@pytest.mark.parametrize("looks", [[3, 10], [2, 3, 4, 5, 6], [3, 6, 12, 24, 1000]])
def test_all_looks_together_stay_within_the_level(looks: list[int]) -> None:
    levels = [level_at(seeds, looks[:number]) for number, seeds in enumerate(looks)]
    assert all(level > 0 for level in levels)
    assert sum(levels) == pytest.approx(spent(looks[-1]))
    assert sum(levels) < 0.05
    assert level_at(3, [5]) == 0.0, "nothing is left for fewer seeds than were looked at"


def test_who_follows_the_advice_is_wrong_in_five_percent_at_most() -> None:
    draws = counter_rng.generator("advice")
    wrong = again = 0
    for _ in range(2000):
        gains = draws.normal(size=1000)
        first = paired(list(gains[:3]))
        if first.p < level_at(3):
            wrong += 1
            continue
        advised = seeds_to_settle(first, 1)
        if advised is not None:
            again += 1
            wrong += paired(list(gains[:advised])).p < level_at(advised, [3])
    assert again > 1000, "most are advised to go on"
    assert wrong / 2000 <= 0.05 + 2 * (0.05 * 0.95 / 2000) ** 0.5


def test_what_is_advised_mostly_settles_a_real_gain() -> None:
    pilot = paired([0.9, 2.0, -0.2])
    advised = seeds_to_settle(pilot, 1)
    assert advised is not None
    gains = counter_rng.generator("real").normal(pilot.gain, pilot.deviation, size=(1000, advised))
    found = [paired(list(row)).p < level_at(advised, [3]) for row in gains]
    assert np.mean(found) >= 0.75
