"""Outputs that were computed elsewhere, by sample id: ``predictions:answers.csv``, ``.npz``, ``.parquet``.

Also those of a reinforced data set: ``predictions:FOLDER#TEACHER``, see `mtkd_teachers.reinforced`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mtkd_cli.errors import DataError, missing_path, nearest_or_all
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest, PrecomputedOutputs
from mtkd_cli.reading.cells import NumberCells
from mtkd_cli.reading.csv_format import without_escape
from mtkd_cli.reading.decimal_sign import with_decimal_signs
from mtkd_cli.reading.numbers import parse_numbers
from mtkd_cli.reading.tables import ENDINGS, Frame, read
from mtkd_cli.safe_loading.decompression_limits import refuse_bomb
from mtkd_teachers import reinforced

KEY = "id"
"""Column of the sample ids; without it, the first column is used."""

NUMBERS = "write all numbers in one way, best with decimal points and without separators of thousands"
SHAPE = "a column of sample ids or file names, and one numeric column per output"

Table = tuple[Sequence[str], Sequence[str] | None, NDArray[Any], Sequence[int]]
"""Sample ids, names of the outputs or None, outputs ``[N, C, *]``, and the row number of each sample."""


class PredictionsProvider:
    """Reads outputs of models that cannot run here, such as those behind an API. Nothing is unpickled."""

    def files(self, model: str) -> list[Path]:
        """Return the file, or those of a reinforced data set.

        Raises:
            DataError: the file does not exist, or its suffix is unknown.
        """
        path, where = Path(model), f"predictions:{model}"
        if reinforced.is_reinforced(model):
            return reinforced.files(model)
        if path.suffix not in READERS:
            raise DataError(
                "not a file of predictions", where, f"use a file with the suffix {' or '.join(READERS)}"
            )
        if not path.is_file():
            raise missing_path(path, where)
        return [path]

    def build(self, request: ModelRequest) -> Model:
        """Return the predictions, with the column names as class names.

        Raises:
            DataError: the file cannot be read, or has no predictions.
        """
        if reinforced.is_reinforced(request.model):
            predictions, classes = reinforced.load(request.model)
            return _model(predictions, classes)
        path = self.files(request.model)[0]
        keys, names, rows, lines = READERS[path.suffix](path)
        if not len(keys):
            raise DataError("the file has no predictions", str(path), f"it needs {SHAPE}")
        predictions = PrecomputedOutputs(path, tuple(keys), rows, lines)
        return _model(predictions, tuple(names) if names else None)


def _model(predictions: PrecomputedOutputs, classes: tuple[str, ...] | None) -> Model:
    return Model(nn.Identity(), InputSpec(), classes=classes, trained=True, predictions=predictions)


def _read_table(path: Path) -> Table:
    frame = read(path, allow_empty=True)
    if len(frame.names) < 2:
        raise DataError(f"the file has {len(frame.names)} columns", str(path), f"it needs {SHAPE}")
    key = KEY if KEY in frame.names else frame.names[0]
    outputs = [name for name in frame.names if name != key]
    frame = with_decimal_signs({"": frame}, outputs, hint=NUMBERS)[""]
    columns = [_to_float(_numbers(frame, name)) for name in outputs]
    keys = (
        [without_escape(cell) for cell in frame.column(key)] if frame.format.separator else frame.column(key)
    )
    return keys, outputs, np.stack(columns, axis=1), frame.lines


def _numbers(frame: Frame, name: str) -> NDArray[Any]:
    """Return the numbers in a column ``[N]``, NaN for missing ones."""
    cells = frame.column(name)
    if isinstance(cells, NumberCells) and cells.mask is None:
        return cells.values  # in the type of the file
    parsed = parse_numbers(cells, frame.format)
    if len(parsed.wrong):
        row = int(parsed.wrong[0])
        raise DataError(f"{cells[row]!r} is not a number", frame.where(row, name), f"it needs {SHAPE}")
    return parsed.values


def _read_npz(path: Path) -> Table:
    """Read the arrays ``ids [N]``, ``predictions [N, C, *]`` and, if it exists, ``classes [C]``."""
    refuse_bomb(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            available = list(getattr(file, "files", ()))
            for name in ("ids", "predictions"):
                if name not in available:
                    raise DataError(f"no array {name!r}", str(path), nearest_or_all(name, available))
            arrays = {
                name: np.asarray(file[name])
                for name in ("ids", "predictions", "classes")
                if name in available
            }
    except DataError:
        raise
    except Exception as error:  # damaged files raise all kinds of errors
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"the arrays cannot be read: {reason}",
            str(path),
            "write it with numpy.savez: arrays of texts and numbers, not of objects, which may contain code",
        ) from error
    rows = arrays["predictions"]
    for name in ("ids", "classes"):
        if name in arrays and (arrays[name].ndim != 1 or arrays[name].dtype.kind not in "USiu"):
            raise DataError(
                f"array {name!r} is {_describe(arrays[name])}; it must be a list of strings",
                str(path),
                "fix the array",
            )
    keys, names = (_to_texts(arrays[name]) if name in arrays else None for name in ("ids", "classes"))
    if keys is None or rows.dtype.kind not in "fiu" or rows.shape[:1] != (len(keys),) or not rows[0:1].size:
        raise DataError(
            f"array 'predictions' is {_describe(rows)}",
            str(path),
            "it must be a numeric array with one row per id",
        )
    return keys, names, _to_float(rows if rows.ndim > 1 else rows[:, None]), range(len(keys))


def _to_texts(values: NDArray[Any]) -> list[str]:
    return [
        value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
        for value in values.tolist()
    ]


def _describe(array: NDArray[Any]) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _to_float(values: NDArray[Any]) -> NDArray[Any]:
    """Return float16 and float32 as float32, other types as float64; infinite beyond the range of float32."""
    wide = values.astype(np.float32 if values.dtype == np.float16 else np.float64, copy=False)
    values = values if values.dtype == np.float32 else wide
    return np.where(abs(values) > np.finfo(np.float32).max, np.copysign(np.inf, values), values)


READERS = {**dict.fromkeys(ENDINGS, _read_table), ".npz": _read_npz}
