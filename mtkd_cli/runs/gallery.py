"""Choose instructive test samples, and collect what each model answers on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data.subset import sample_rows
from mtkd_cli.interfaces import Prediction, Task
from mtkd_cli.interfaces.missing_outputs import fill_gaps, has_nonfinite
from mtkd_cli.interfaces.significant_digits import round_or_none
from mtkd_cli.report.gallery import (
    ALL_WRONG,
    LARGEST_ERRORS,
    STUDENT_BETTER,
    STUDENT_RIGHT,
    STUDENT_WORSE,
    STUDENT_WRONG,
    Gallery,
    GalleryAnswer,
    GalleryGroup,
    GallerySample,
)
from mtkd_cli.runs.gallery_text import answer_text, label_text, telling_values
from mtkd_cli.runs.sample_pictures import sheet_of
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import batches

if TYPE_CHECKING:
    from PIL.Image import Image

Rows = NDArray[np.int64]
Outputs = Callable[[Rows], Tensor]

PER_GROUP = 6
"""Maximum number of samples of a group."""
CANDIDATES = 512
"""Maximum number of samples of a group whose confidences are compared."""
SCORED = 1000
"""Maximum number of samples that are scored one by one."""


def gallery_of(
    context: Context, outputs: Mapping[str, Outputs], statistics: Mapping[str, Tensor]
) -> tuple[Gallery | None, Image | None]:
    """Return the gallery of a run, and a sheet of pictures of its samples; see `Gallery.pictures`.

    If the task fails, the run continues without a gallery.

    Args:
        context: the run.
        outputs: functions from rows of the test split to outputs, by model: ``student``, ``ensemble``,
            ``teacher NAME``.
        statistics: statistics of the labeled test samples ``[N, S]``, of the same models.
    """
    try:
        with torch.no_grad():
            return _gallery(context, outputs, statistics)
    except Exception as error:  # a task is a plugin
        context.progress.say(f"no gallery of samples: {type(error).__name__}: {error}")
        return None, None


def _gallery(
    context: Context, outputs: Mapping[str, Outputs], statistics: Mapping[str, Tensor]
) -> tuple[Gallery, Image | None]:
    task, test = context.task, context.data.test
    wrong = wrong_answers(task, statistics)
    examined = np.arange(len(test.labeled))
    if wrong is not None:
        kinds = groups_of_wrong(wrong)
        ordered = {
            kind: _most_confident(task, context.data.classes, outputs[by], test.labeled[positions])
            for kind, (by, positions) in kinds.items()
        }
        counts = {kind: len(positions) for kind, (_, positions) in kinds.items()}
    else:
        examined = sample_rows(examined[_is_scorable(test.samples.targets[test.labeled])], SCORED)
        scores = scores_of_samples(task, {who: each[examined] for who, each in statistics.items()})
        found = groups_of_scores(
            {who: task.primary.to_larger_better(1) * each for who, each in scores.items()}
        )
        ordered = {kind: test.labeled[examined[positions[:PER_GROUP]]] for kind, positions in found.items()}
        counts = {kind: len(positions) for kind, positions in found.items()}
    rows = np.concatenate([*ordered.values(), np.zeros(0, dtype=np.int64)])
    if not len(rows):
        return Gallery(len(examined)), None
    positions = np.searchsorted(test.labeled, rows)
    each = {who: statistics[who][positions] for who in statistics}
    samples, predictions = _samples(context, outputs, each, rows, shares=wrong is not None)
    sheet = sheet_of(context.data, rows, predictions)
    starts = np.cumsum([0, *(len(each) for each in ordered.values())])
    groups = tuple(
        GalleryGroup(kind, counts[kind], tuple(samples[start : start + len(ordered[kind])]))
        for kind, start in zip(ordered, starts, strict=False)
    )
    if sheet is None:
        return Gallery(len(examined), groups), None
    return Gallery(len(examined), groups, sheet.columns, sheet.colors), sheet.image


def wrong_answers(task: Task, statistics: Mapping[str, Tensor]) -> dict[str, NDArray[np.bool_]] | None:
    """Return which answers are wrong by model, ``[N]`` bool; None if the primary metric is not a share.

    A model without an answer on a sample counts as wrong.
    """
    if task.primary.mean_of is None:
        return None
    right = {who: each[:, task.primary.mean_of].double().numpy() for who, each in statistics.items()}
    values = np.concatenate([each[~np.isnan(each)] for each in right.values()])
    if not np.isin(values, (0, 1)).all():
        return None
    return {who: each != 1 for who, each in right.items()}


def groups_of_wrong(wrong: Mapping[str, NDArray[np.bool_]]) -> dict[str, tuple[str, Rows]]:
    """Return the groups that have samples: the model whose confidence orders them, and their positions."""
    student, ensemble = wrong["student"], wrong["ensemble"]
    found = {
        STUDENT_WRONG: ("student", student & ~ensemble),
        ALL_WRONG: ("ensemble", np.all(list(wrong.values()), axis=0)),
        STUDENT_RIGHT: ("ensemble", ensemble & ~student),
    }
    return {kind: (by, np.flatnonzero(chosen)) for kind, (by, chosen) in found.items() if chosen.any()}


def _is_scorable(targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which samples have a score of their own, ``[N]``; without a labeled box there is none."""
    has_boxes = targets.dtype.kind == "f" and targets.ndim == 3
    return np.any(targets[..., 4] >= 0, axis=1) if has_boxes else np.ones(len(targets), dtype=np.bool_)


def scores_of_samples(task: Task, statistics: Mapping[str, Tensor]) -> dict[str, NDArray[np.float64]]:
    """Return the primary metric of each sample alone by model, ``[N]``; NaN where it is undefined."""
    name = task.primary.name
    return {
        who: np.array([task.metrics(each[row : row + 1])[name] for row in range(len(each))], dtype=np.float64)
        for who, each in statistics.items()
    }


def groups_of_scores(scores: Mapping[str, NDArray[np.float64]]) -> dict[str, Rows]:
    """Return the positions of each group in order, the largest differences first.

    Args:
        scores: score of each sample by model, ``[N]``; larger is better.
    """
    gain = scores["student"] - scores["ensemble"]
    best = np.max([np.nan_to_num(each, nan=-np.inf) for each in scores.values()], axis=0)
    known = np.flatnonzero(np.isfinite(best))
    found = {
        STUDENT_WORSE: np.flatnonzero(gain < 0)[np.argsort(gain[gain < 0], kind="stable")],
        LARGEST_ERRORS: known[np.argsort(best[known], kind="stable")],
        STUDENT_BETTER: np.flatnonzero(gain > 0)[np.argsort(-gain[gain > 0], kind="stable")],
    }
    return {kind: positions for kind, positions in found.items() if len(positions)}


def _most_confident(task: Task, classes: Sequence[str], outputs: Outputs, rows: Rows) -> Rows:
    """Return the rows on which a model is most confident, at most `PER_GROUP`."""
    rows = sample_rows(rows, CANDIDATES)
    confidences = [
        float(prediction.facts.get("confidence", 0.0))
        for batch in batches(rows)
        for prediction in task.predictions(outputs(batch), classes)
    ]
    return rows[np.argsort(-np.array(confidences), kind="stable")[:PER_GROUP]]


def _samples(
    context: Context,
    outputs: Mapping[str, Outputs],
    statistics: Mapping[str, Tensor],
    rows: Rows,
    shares: bool,
) -> tuple[list[GallerySample], dict[str, list[Prediction]]]:
    """Return the samples at some rows, and the predictions of each model on them.

    Args:
        context: the run.
        outputs: see `gallery_of`.
        statistics: statistics of these samples ``[B, S]``, by model.
        rows: rows of the test split, ``[B]``.
        shares: whether answers are right or wrong.
    """
    task, test, classes = context.task, context.data.test, context.data.classes
    predictions, answers = {}, {}
    for who, each in statistics.items():
        output = outputs[who](rows)
        answered = (~has_nonfinite(output)).tolist()
        predictions[who] = task.predictions(fill_gaps((output,))[0][0], classes)
        right = each[:, task.primary.mean_of] == 1 if shares else None  # [B]
        scores = None if shares else scores_of_samples(task, {who: each})[who]  # [B]
        answers[who] = [
            GalleryAnswer(
                answer_text(prediction),
                _confidence(prediction),
                None if scores is None else round_or_none(float(scores[number])),
                None if right is None else bool(right[number]),
            )
            if answered[number]
            else GalleryAnswer("no answer")
            for number, prediction in enumerate(predictions[who])
        ]
    targets = test.samples.targets[rows]
    values = telling_values(context.data, test.samples.read(rows))
    samples = [
        GallerySample(
            test.samples.ids[row],
            label_text(targets[number], classes),
            {who: each[number] for who, each in answers.items()},
            values[number],
        )
        for number, row in enumerate(rows)
    ]
    return samples, predictions


def _confidence(prediction: Prediction) -> float | None:
    found = prediction.facts.get("confidence")
    return None if found is None else round_or_none(float(found))
