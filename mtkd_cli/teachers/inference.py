"""Ask a teacher about samples: show it their views, or look up what it said of them elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.data.views import view
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import Model, Predictions
from mtkd_cli.interfaces.missing_outputs import broadcast_per_sample, has_nonfinite
from mtkd_cli.reading.images import ENDINGS
from mtkd_cli.recipe.schema import Recipe

Rows = slice | NDArray[np.int64]

Ask = Callable[[Split, Rows, int], Tensor]
"""From samples of a split and the number of a view to what a teacher answers, ``[B, C, *]``."""


def by_views(module: nn.Module, recipe: Recipe, device: torch.device) -> Ask:
    """Return what shows a module the samples' views."""

    def ask(split: Split, rows: Rows, number: int) -> Tensor:
        samples, ids = split.samples.read(rows), split.id_numbers[rows]
        shown = view(samples, ids, number, recipe.views.seed, recipe.augment, device)
        with torch.inference_mode():
            answer: Tensor = module(shown)
        return answer

    return ask


def by_id(model: Model, splits: Sequence[Split], where: str, on_nan: str) -> Ask:
    """Return what looks up predictions, the same for every view.

    Args:
        model: a teacher with predictions.
        splits: where it will be asked.
        where: the teacher, for messages.
        on_nan: of the recipe's store; with ``drop`` what is no number stays NaN.

    Raises:
        DataError: samples without a prediction, or predictions that belong to several; later, answers
            that are none of the task's. The row is named.
    """
    said: Any = model.predictions
    places = _places(said, splits, where)
    shaped = model.shaped or (lambda rows: rows)
    gaps = has_nonfinite(torch.from_numpy(said.rows))
    if gaps.all():
        raise DataError("no prediction is a number", f"{where}, {said.file}", "write numbers into the file")
    some = int((~gaps).nonzero()[0])

    def ask(split: Split, rows: Rows, number: int) -> Tensor:
        chosen = places[split.name][rows]
        lacking = gaps[chosen]
        if on_nan == "error" and lacking.any():
            row = chosen[int(lacking.nonzero()[0])]
            raise DataError(
                f"the prediction for {said.keys[row]!r} is NaN, infinite or missing",
                where=f"{where}, {_row(said, row)}",
                hint="fix it, or set store.on_nan: drop to ignore the teacher on such samples",
            )
        answers = said.rows[np.where(lacking, some, chosen)]
        try:
            output: Tensor = shaped(torch.from_numpy(answers))
        except DataError as error:
            row = next(
                (row for row, one in zip(chosen, answers, strict=True) if _odd(shaped, one)), chosen[0]
            )
            hint = "write distributions that sum to 1, or say outputs: logits"
            raise DataError(error.what, f"{where}, {_row(said, row)}", hint) from error
        return output.masked_fill(broadcast_per_sample(lacking, output), torch.nan)

    return ask


def _places(said: Predictions, splits: Sequence[Split], where: str) -> dict[str, NDArray[np.int64]]:
    """Return the row of each sample, by split: by its id, its file's name, or that without the ending."""
    rows: dict[str, int] = {}
    for row, key in enumerate(said.keys):
        if key in rows:
            raise DataError(
                f"duplicate sample id {key!r}",
                f"{where}, {_row(said, row)}",
                f"remove it, or row {said.lines[rows[key]]}",
            )
        rows[key] = row
    found = {
        split.name: [
            next((rows[key] for key in _keys(sample) if key in rows), -1) for sample in split.samples.ids
        ]
        for split in splits
    }
    asked = [
        (sample, row)
        for split in splits
        for sample, row in zip(split.samples.ids, found[split.name], strict=True)
    ]
    missing = [sample for sample, row in asked if row < 0]
    if missing:
        raise DataError(
            f"no prediction for {len(missing)} of {len(asked)} samples, the first is {missing[0]!r}",
            where=f"{where}, {said.file}",
            hint=f"its keys, such as {said.keys[0]!r}, must be sample ids or names of files",
        )
    first: dict[int, str] = {}
    for sample, row in asked:
        if first.setdefault(row, sample) != sample:
            raise DataError(
                f"one prediction would answer two samples, {first[row]!r} and {sample!r}",
                where=f"{where}, {_row(said, row)}",
                hint="key the predictions by sample id, folders included",
            )
    return {name: np.array(places, dtype=np.int64) for name, places in found.items()}


def _keys(sample: str) -> tuple[str, ...]:
    """Return what a sample may be called, the surest first."""
    path = PurePosixPath(sample)
    return (sample, path.name, *((path.stem,) if path.suffix.lower() in ENDINGS else ()))


def _row(said: Predictions, row: int) -> str:
    return f"{said.file}, row {said.lines[row]}"


def _odd(shaped: Callable[[Any], Any], answer: NDArray[Any]) -> bool:
    try:
        shaped(torch.from_numpy(answer[None]))
    except DataError:
        return True
    return False
