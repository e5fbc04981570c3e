"""The content of ``search.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mtkd_cli.report.number import Number
from mtkd_cli.report.run_result import PrimaryMetric

FORMAT = 1
"""Number of the layout; changes when a field changes its name or meaning."""


@dataclass(frozen=True)
class Candidate:
    """A student of a search.

    Attributes:
        student: its model.
        parameters: number of weights; None if unknown.
        bytes: size of the weights and buffers; None if unknown.
        latency_ms: median latency of one sample, in milliseconds; None if it could not be built.
        latency_p95_ms: 95th percentile of the latency of one sample, in milliseconds.
        engine: what ran it, `ONNX Runtime` or `PyTorch`.
        rejected: why it was not trained; empty for a student within the budget.
        failed: why its training ended; empty if it did not fail.
        rungs: number of rungs that it was trained in.
        steps: steps of its training, with the chosen settings.
        settings: learning rate and weight decay that were chosen in the first rung.
        score: the primary metric on validation after its last rung; None if it was not trained.
        interval: 95 % interval of the score over validation samples; None with too few samples.
        loss: its validation loss after its last rung.
        front: whether no other student has at least its score, latency and size, and is better in one.
    """

    student: str
    parameters: int | None = None
    bytes: int | None = None
    latency_ms: float | None = None
    latency_p95_ms: float | None = None
    engine: str = ""
    rejected: str = ""
    failed: str = ""
    rungs: int = 0
    steps: int = 0
    settings: Mapping[str, float] = field(default_factory=dict)
    score: Number | None = None
    interval: tuple[Number, Number] | None = None
    loss: Number | None = None
    front: bool = False


@dataclass(frozen=True)
class Pick:
    """The chosen student.

    Attributes:
        student: its model.
        run: name of its run.
        score: the primary metric of its run on the test split.
        interval: 95 % interval of the score over test samples; None with too few samples.
        test_samples: number of test samples.
    """

    student: str
    run: str
    score: Number
    interval: tuple[Number, Number] | None
    test_samples: int


@dataclass(frozen=True)
class RungRow:
    """A rung of a search.

    Attributes:
        students: number of students that it trained.
        until: steps of each student at its end.
    """

    students: int
    until: int


@dataclass(frozen=True)
class Search:
    """The facts of a search.

    Attributes:
        task: the task.
        metric: the primary metric.
        val_samples: number of labeled validation samples.
        latency_ms: largest allowed latency of one sample, in milliseconds; None: any.
        bytes: largest allowed size; None: any.
        device: device of eager PyTorch.
        threads: CPU threads of the latencies.
        candidates: the students, the best ones first.
        rungs: the rungs.
        pick: the chosen student.
        steps: steps of all trainings, those of the pick's run included.
        full_steps: steps of a run of each student within the budget.
        lead: the result in words.
        recipe: the recipe, with the recipe's own student.
        format: number of the layout of this file.
    """

    task: str
    metric: PrimaryMetric
    val_samples: int
    latency_ms: float | None
    bytes: float | None
    device: str
    threads: int
    candidates: tuple[Candidate, ...]
    rungs: tuple[RungRow, ...]
    pick: Pick
    steps: int
    full_steps: int
    lead: str
    recipe: Mapping[str, Any] | None = None
    format: int = FORMAT
