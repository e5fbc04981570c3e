"""Instructive test samples: where the student and its teachers are wrong, and where only one of them is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

STUDENT_WRONG, ALL_WRONG, STUDENT_RIGHT = "student-wrong", "all-wrong", "student-right"
"""Kinds of groups where each answer is right or wrong."""

STUDENT_WORSE, LARGEST_ERRORS, STUDENT_BETTER = "student-worse", "largest-errors", "student-better"
"""Kinds of groups where each answer has a score: maps, boxes, values."""


@dataclass(frozen=True)
class GalleryAnswer:
    """A model's answer on one test sample.

    Attributes:
        text: the answer in words; of boxes those with a score of at least 0.3.
        confidence: probability of the answer; None if the task has none.
        score: the primary metric on this sample alone; None where answers are right or wrong, and where it is
            undefined.
        right: whether the answer is right; None where answers have scores, or without an answer.
    """

    text: str
    confidence: float | None = None
    score: float | None = None
    right: bool | None = None


@dataclass(frozen=True)
class GallerySample:
    """One test sample with the answers of the models.

    Attributes:
        id: sample id.
        label: the label in words.
        answers: answers by model: `student`, `ensemble`, `teacher NAME`.
        values: columns of a table that are farthest from the training mean, by name.
    """

    id: str
    label: str
    answers: Mapping[str, GalleryAnswer]
    values: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class GalleryGroup:
    """Samples of one kind.

    Attributes:
        kind: `student-wrong`: the ensemble is right and the student wrong. `all-wrong`: the student, the
            ensemble and all teachers are wrong. `student-right`: the student is right and the ensemble wrong.
            `student-worse` and `student-better`: the student's score is worse or better than the ensemble's.
            `largest-errors`: the best score of all models is worst.
        count: number of test samples of this kind.
        samples: some of them. The most confident wrong answers first, or the largest differences.
    """

    kind: str
    count: int
    samples: tuple[GallerySample, ...]


@dataclass(frozen=True)
class Gallery:
    """Instructive test samples, in groups.

    Attributes:
        examined: number of labeled test samples that were examined.
        groups: the groups; a group without samples is left out.
        pictures: columns of `gallery.png`, which has a row for each sample of the groups, in order; empty if
            there are no pictures.
        colors: color of each class in the pictures, `#rrggbb`.
    """

    examined: int
    groups: tuple[GalleryGroup, ...] = ()
    pictures: tuple[str, ...] = ()
    colors: Mapping[str, str] = field(default_factory=dict)

    @property
    def samples(self) -> list[GallerySample]:
        """The samples of all groups, in order."""
        return [sample for group in self.groups for sample in group.samples]
