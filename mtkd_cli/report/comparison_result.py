"""The content of ``comparison.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mtkd_cli.report.costs import Costs
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
        low: lower end of the 95 % interval of the mean gain; None with fewer than three seeds.
        high: upper end of the interval; None with one seed.
        p: p value of no difference, two-sided.
        seeds_to_settle: number of seeds that are likely (80 %) to settle it at the next look; None if it is
            settled, or if 30 seeds are less likely to.
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
        name: its name in tables.
        scores: the primary metric on the test split, by seed.
        seeds: key and value of the seeds of each score.
        mean: mean of the scores.
        deviation: their standard deviation; None with one seed.
        interval: 95 % interval of the mean over seeds; None with fewer than three seeds.
        method: key and value of the settings of the method.
        runs: names of its runs; empty for a baseline.
        against: the tests, by opponent.
        reference: whether it saw more labels than the methods, so that it is not a fair baseline.
        key: digest of the runs' recipe without seeds; empty for a baseline.
        costs: size and median latency of the student; None in files of earlier versions.
        steps: optimizer steps of one training; None if unknown.
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
    key: str = ""
    costs: Costs | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Opponent:
    """A student that methods are tested against.

    Attributes:
        name: its name in sentences.
        tested: number of methods that were tested against it.
        words: number of tests by their word.
    """

    name: str
    tested: int
    words: Mapping[str, int]


@dataclass(frozen=True)
class Tuned:
    """Settings that were tuned on validation for a method.

    Attributes:
        method: key and value of the settings of the method.
        settings: the chosen settings.
        score: their validation score, larger is better: the metric, or minus the loss.
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
        metric: the primary metric.
        test_samples: number of test samples.
        seeds: largest number of seeds of a method.
        rows: students without teachers, then each method.
        best: index of the row with the best mean.
        lead: the main result, in words.
        opponents: students that the methods were tested against.
        failures: error messages of students that could not be trained, by their settings.
        tuned: settings that were tuned for each method.
        recipe: the resolved recipe; None for a comparison of finished runs.
        grid: the grid as it was given.
        format: number of the layout of this file.
        best_set: indices of the rows that are not surely worse than another, the best mean first; empty in
            files of earlier versions.
        level: significance level of this look; 0.05 at most for all looks at the same methods together.
        seeds_seen: key and value of the seeds with which the same methods were compared before.
        students_differ: whether the students differ in model or size.
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
    best_set: tuple[int, ...] = ()
    level: float = 0.05
    seeds_seen: tuple[Mapping[str, str], ...] = ()
    students_differ: bool = False

    @property
    def sentences(self) -> list[str]:
        """Every verdict in words."""
        return [test.sentence for row in self.rows for test in row.against.values()]
