"""Teacher outputs for samples: computed from their views, or looked up by sample id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.views import views_of
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Model
from mtkd_cli.interfaces.missing_outputs import broadcast_per_sample, has_nonfinite
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.teachers.prediction_keys import match_samples, row_text
from mtkd_cli.teachers.recorded_predictions import OutputFunction, Rows, recorded_by_id


def outputs_by_view(module: nn.Module, recipe: Recipe, device: torch.device) -> OutputFunction:
    """Return a function ``(split, rows, view) -> outputs`` that runs a module on the samples' views."""

    def compute(split: Split, rows: Rows, number: int) -> Tensor:
        views = views_of(split, rows, number, recipe.views.seed, recipe.augment, device)
        with torch.inference_mode():
            output: Tensor = module(views)
        return output

    return compute


def outputs_by_id(model: Model, splits: Sequence[Split], where: str, on_nan: str) -> OutputFunction:
    """Return a function ``(split, rows, view) -> outputs`` that looks up predictions.

    Args:
        model: teacher with predictions.
        splits: splits on which outputs will be needed.
        where: the teacher, used in messages.
        on_nan: ``store.on_nan`` of the recipe; with ``drop``, non-finite predictions become NaN.

    Raises:
        DataError: a sample has no prediction, or two samples share one. The returned function raises it for
            predictions that are not valid outputs of the task. The message names the row of the file.
    """
    predictions: Any = model.predictions
    rows_of = match_samples(predictions, splits, where)
    if predictions.recorded:
        return recorded_by_id(predictions, rows_of, where, on_nan)
    to_task_form = model.to_task_shape or (lambda rows: rows)
    gaps = has_nonfinite(torch.from_numpy(predictions.rows))
    if gaps.all():
        raise DataError(
            "all predictions are NaN, infinite or missing",
            f"{where}, {predictions.file}",
            "write finite numbers into the file",
        )
    finite_row = int((~gaps).nonzero()[0])

    def look_up(split: Split, rows: Rows, number: int) -> Tensor:
        file_rows = rows_of[split.name][rows]  # [B]
        is_gap = gaps[file_rows]
        if on_nan == "error" and is_gap.any():
            row = file_rows[int(is_gap.nonzero()[0])]
            raise DataError(
                f"the prediction for {predictions.keys[row]!r} is NaN, infinite or missing",
                where=f"{where}, {row_text(predictions, row)}",
                hint="fix this row, or set store.on_nan: drop to ignore the teacher on such samples",
            )
        # a finite row stands in for each gap, so that the conversion does not fail; masked below
        values = predictions.rows[np.where(is_gap, finite_row, file_rows)]
        try:
            output: Tensor = to_task_form(torch.from_numpy(values))
        except DataError as error:
            row = next(
                (row for row, one in zip(file_rows, values, strict=True) if _is_invalid(to_task_form, one)),
                file_rows[0],
            )
            hint = "write distributions that sum to 1, or set outputs: logits"
            raise DataError(error.what, f"{where}, {row_text(predictions, row)}", hint) from error
        return output.masked_fill(broadcast_per_sample(is_gap, output), torch.nan)

    return look_up


def _is_invalid(to_task_form: Callable[[Any], Any], prediction: NDArray[Any]) -> bool:
    try:
        to_task_form(torch.from_numpy(prediction[None]))
    except DataError:
        return True
    return False
