"""What ``comparison.json`` holds: the facts of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mtkd_cli.report.number import Number
from mtkd_cli.report.run_result import PrimaryMetric

FORMAT = 2
"""Number of the layout; changes when a field changes its name or meaning."""


@dataclass(frozen=True)
class Against:
    """A method tested against an opponent, seed by seed.

    Attributes:
        word: `BEATS`, `DOES NOT BEAT` or `INCONCLUSIVE`.
        seeds: number of seeds that both have.
        gain: mean gain; positive is better, whatever the metric's direction.
        p_holm: the p value after Holm's correction over the methods that were tested.
        sentence: the verdict in words.
        deviation: standard deviation of the gains; None with one seed.
        low: lower end of the 95 % interval of the mean gain; None with one seed.
        high: upper end of the interval; None with one seed.
        p: p value of no difference, two-sided.
        seeds_to_settle: number of seeds that would settle it with 80 % chance; None if it is settled, or if
            1,000 would not do.
    """

    word: str
    seeds: int
    gain: float
    p_holm: float
    sentence: str
    deviation: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    seeds_to_settle: int | None = None


@dataclass(frozen=True)
class Row:
    """A method, or a student that was trained without teachers.

    Attributes:
        name: what it is called.
        scores: the primary metric on the test split, by seed.
        seeds: key and value of the seeds of each score.
        mean: mean of the scores.
        deviation: their standard deviation; None with one seed.
        interval: 95 % interval of the mean over seeds; None with one seed.
        method: key and value of what makes the method.
        runs: names of its runs; empty for a baseline.
        against: the tests, by opponent.
        reference: whether it saw more labels than the methods: an upper reference, not a fair baseline.
    """

    name: str
    scores: tuple[Number, ...]
    seeds: tuple[Mapping[str, str], ...]
    mean: Number
    deviation: Number | None = None
    interval: tuple[Number, Number] | None = None
    method: Mapping[str, str] = field(default_factory=dict)
    runs: tuple[str, ...] = ()
    against: Mapping[str, Against] = field(default_factory=dict)
    reference: bool = False


@dataclass(frozen=True)
class Opponent:
    """What methods are tested against.

    Attributes:
        name: what it is called.
        tested: number of methods that were tested against it.
        words: number of tests by their word.
    """

    name: str
    tested: int
    words: Mapping[str, int]


@dataclass(frozen=True)
class Tuned:
    """What was chosen for a method on validation.

    Attributes:
        method: key and value of what makes the method.
        settings: the chosen settings.
        score: what they were chosen by on validation, larger is better: the metric, or minus the loss.
        loss: their validation loss.
        trials: the settings of each trial, with its score and loss.
    """

    method: Mapping[str, str]
    settings: Mapping[str, str]
    score: Number
    loss: Number | None = None
    trials: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Comparison:
    """The facts of a comparison.

    Attributes:
        task: the task.
        metric: the metric that decides.
        test_samples: number of test samples.
        seeds: number of seeds of the method that has the most.
        rows: students without teachers, then each method.
        best: index of the row with the best mean.
        lead: what matters most, in words.
        opponents: what the methods were tested against.
        failures: why students could not be trained, by their settings.
        tuned: what was tuned for each method.
        recipe: the resolved recipe; None for a comparison of finished runs.
        grid: the grid as it was given.
        format: number of the layout of this file.
    """

    task: str
    metric: PrimaryMetric
    test_samples: int
    seeds: int
    rows: tuple[Row, ...]
    best: int
    lead: str
    opponents: tuple[Opponent, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    tuned: tuple[Tuned, ...] = ()
    recipe: Mapping[str, Any] | None = None
    grid: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def sentences(self) -> list[str]:
        """Every verdict in words."""
        return [test.sentence for row in self.rows for test in row.against.values()]
