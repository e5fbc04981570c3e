"""What ``report.json`` holds: the facts of a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from mtkd_cli.report.baseline_names import title_of
from mtkd_cli.report.calibration import Calibration
from mtkd_cli.report.class_coverage import ClassCoverage
from mtkd_cli.report.costs import Costs
from mtkd_cli.report.gallery import Gallery
from mtkd_cli.report.number import Number
from mtkd_cli.report.timing import Timing

FORMAT = 2
"""Number of the layout; changes when a field changes its name or meaning."""

PROCESS_CHANGES = "processes changed"
"""Entry of the engine of a run that continued in another number of processes; says when."""

Scores = Mapping[str, Number]
"""Metrics by name, the one that decides first; NaN where one is undefined."""

Part = TypeVar("Part")


@dataclass(frozen=True)
class PrimaryMetric:
    """The metric that decides.

    Attributes:
        name: its name.
        higher_is_better: its direction.
    """

    name: str
    higher_is_better: bool


@dataclass(frozen=True)
class Everyone(Generic[Part]):
    """A fact of the student and of each model that it is compared with.

    Attributes:
        student: of the distilled student.
        baselines: of each baseline, by kind.
        ensemble: of the teachers together, as the strategy merges them.
        teachers: of each teacher, by name.
    """

    student: Part
    baselines: Mapping[str, Part]
    ensemble: Part
    teachers: Mapping[str, Part]

    def titled(self, strategy: str) -> dict[str, Part]:
        """Return the facts by the titles of their models, the student first."""
        return {
            "student, distilled": self.student,
            **{title_of(kind): part for kind, part in self.baselines.items()},
            f"ensemble ({strategy})": self.ensemble,
            **{f"teacher {name}": part for name, part in self.teachers.items()},
        }


@dataclass(frozen=True)
class Margin:
    """The primary metric of the student compared with that of one baseline.

    Attributes:
        score: score of the baseline.
        difference: score of the student minus that of the baseline.
        interval: 95 % interval of the difference, low and high; None where there is none.
    """

    score: Number
    difference: Number
    interval: tuple[Number, Number] | None


@dataclass(frozen=True)
class Verdict:
    """Whether distillation helped.

    Attributes:
        baseline: kind of the strongest fair baseline; None if none was trained.
        difference: the student's primary metric minus that baseline's; None without a baseline.
        interval: 95 % interval of the difference over test samples, low and high; None where there is none.
        sentence: the verdict in words.
        against: the comparison with each baseline, by kind.
    """

    baseline: str | None
    difference: Number | None
    interval: tuple[Number, Number] | None
    sentence: str
    against: Mapping[str, Margin] = field(default_factory=dict)


@dataclass(frozen=True)
class AgainstTeachers:
    """The student compared with its teachers, on the test split.

    Attributes:
        best_teacher: name of the teacher with the best score.
        of_ensemble: the student's quality as a share of the ensemble's, 1: the same, more is better; None if
            undefined.
        of_best_teacher: the same of the best teacher's.
        times_smaller: bytes of all teachers over those of the student; None where one is unknown.
        times_faster: latency of all teachers over that of the student; None where one is unknown, or where
            they were measured on different devices or with different numbers of threads.
    """

    best_teacher: str
    of_ensemble: float | None
    of_best_teacher: float | None
    times_smaller: float | None
    times_faster: float | None


@dataclass(frozen=True)
class Answers:
    """More about a model's answers on the test split; what a task does not have is empty.

    Attributes:
        per_class: by metric, a number for each class.
        confusion: counts, a row for each class of the labels, a column for each class of the answers.
        reliability: of answers of similar confidence: mean confidence, share that is right, number.
        by_chance: by metric, the value of a perfectly calibrated model with the same confidences.
        points: by target, pairs of label and answer of some samples.
    """

    per_class: Mapping[str, tuple[Number, ...]] = field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] = ()
    reliability: tuple[tuple[Number, Number, int], ...] = ()
    by_chance: Mapping[str, Number] = field(default_factory=dict)
    points: Mapping[str, tuple[tuple[Number, Number], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Training:
    """How a student was trained.

    Attributes:
        chosen: learning rate and weight decay of the candidate that validated best.
        trials: a row for each candidate: its settings, and its best validation or why it failed. `rank`: what
            orders candidates, larger is better. `distance`: loss to the merged teachers on training samples.
        curve: a row for each evaluation of the chosen candidate: step, losses and validation metrics.
        model: the student's model, as the recipe has it.
        note: what else to know of its training, in words.
    """

    chosen: Mapping[str, Number] = field(default_factory=dict)
    trials: tuple[Mapping[str, Number | str | tuple[Number, ...]], ...] = ()
    curve: tuple[Mapping[str, Number], ...] = ()
    model: str = ""
    note: str = ""


@dataclass(frozen=True)
class Weights:
    """How much each teacher counts, by the trained strategy on validation; in the order of the teachers.

    Attributes:
        mean: mean weight of each teacher.
        per_class: the same by class of the label, for classes that occur.
    """

    mean: tuple[Number, ...]
    per_class: Mapping[str, tuple[Number, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """The data of the run.

    Attributes:
        name: the data source.
        classes: class names, or names of the values.
        train: number of training samples.
        train_labelled: how many of these have a label.
        val: number of labeled validation samples.
        test: number of labeled test samples.
    """

    name: str
    classes: tuple[str, ...]
    train: int
    train_labelled: int
    val: int
    test: int


@dataclass(frozen=True)
class TeacherValidation:
    """How a teacher's answers score on validation.

    Attributes:
        metrics: on labels of classes that the teacher knows.
        labels: number of samples that they are measured on.
        chance: primary metric against shuffled labels; None with too few labels.
        doubts: what looks wrong, in words.
    """

    metrics: Scores
    labels: int
    chance: Number | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Teacher:
    """One teacher.

    Attributes:
        name: its name in the recipe.
        model: its model, as the recipe has it.
        hash: content hash of everything that decides its answers.
        labels_seen: in words, which of the data's labels it was trained on.
        classes: for each of the data's classes the teacher's own that answer it.
        calibration: its temperature; None if it is not calibrated.
        validation: how its answers score on validation; None in files of earlier versions.
        warnings: what to know before its scores are believed.
        rounding: largest change of its outputs by recording; None if nothing is recorded.
    """

    name: str
    model: str
    hash: str
    labels_seen: str
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    calibration: Calibration | None = None
    validation: TeacherValidation | None = None
    warnings: tuple[str, ...] = ()
    rounding: Number | None = None


@dataclass(frozen=True)
class Seeds:
    """The primary metric of each seed, of a run with several.

    Attributes:
        seeds: the seeds.
        runs: names of their runs.
        shipped: the seed whose student is kept: the median on validation.
        student: the distilled student's score with each seed.
        baselines: the same of each baseline, by kind.
    """

    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    shipped: int
    student: tuple[Number, ...]
    baselines: Mapping[str, tuple[Number, ...]]


@dataclass(frozen=True)
class RunResult:
    """The facts of a finished run.

    Attributes:
        run: the run's name.
        task: the task.
        strategy: the strategy.
        metric: the metric that decides.
        verdict: whether distillation helped.
        scores: metrics on the test split, by name.
        costs: parameters, bytes and latency.
        details: more about the answers on the test split.
        against_teachers: the student compared with its teachers.
        student: how the distilled student was trained.
        baselines: how each baseline was trained, by kind: `alone`, `pseudo-labels`, `all-labels`.
        weights: how much each teacher counts; None if the strategy gives no weights.
        data: the data.
        teachers: the teachers, in the order of the recipe.
        views: number of recorded views of the training samples, or `live`.
        kd_ratio: share of the loss that is the distillation loss.
        augment: augmentation of the views, in words; None in files of earlier versions.
        batch_size: samples of a training batch; None in files of earlier versions.
        engine: versions, device, threads and processes; together with the recipe they determine the result.
        versions: versions of packages.
        machine: operating system and processor.
        repeat: the command that repeats the run.
        seeds: the scores of each seed; None with one.
        intervals: 95 % interval of each primary metric over test samples; None where there is none, and in
            files of earlier versions.
        timing: date and duration; None in files of earlier versions.
        seed: `train.seed` of the recipe; None in files of earlier versions.
        gallery: instructive test samples; None if there are none, and in files of earlier versions.
        coverage: which teachers know each class; None if each knows all, and in files of earlier versions.
        format: number of the layout of this file.
    """

    run: str
    task: str
    strategy: str
    metric: PrimaryMetric
    verdict: Verdict
    scores: Everyone[Scores]
    costs: Everyone[Costs]
    details: Everyone[Answers]
    against_teachers: AgainstTeachers
    student: Training
    baselines: Mapping[str, Training]
    weights: Weights | None
    data: Data
    teachers: tuple[Teacher, ...]
    views: int | Literal["live"] | None
    kd_ratio: float | None
    augment: str | None
    batch_size: int | None
    engine: Mapping[str, str | int]
    versions: Mapping[str, str]
    machine: str
    repeat: str
    seeds: Seeds | None = None
    intervals: Everyone[tuple[Number, Number] | None] | None = None
    timing: Timing | None = None
    seed: int | None = None
    gallery: Gallery | None = None
    coverage: ClassCoverage | None = None
    format: int = FORMAT
