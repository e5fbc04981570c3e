"""Outputs that were computed elsewhere, by sample id: ``predictions:answers.csv``, ``.npz``, ``.parquet``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mtkd_cli.errors import DataError, missing_path, nearest_or_all
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest, PrecomputedOutputs
from mtkd_cli.reading.csv_format import detect_separator, with_decimal_points, without_escape
from mtkd_cli.reading.table_encoding import MISSING, parse_number
from mtkd_cli.reading.tables import csv_rows, parquet
from mtkd_cli.safe_loading.decompression_limits import refuse_bomb

KEY = "id"
"""Column of the sample ids; without it, the first column is used."""

SHAPE = "a column of sample ids or file names, and one numeric column per output"

Table = tuple[Sequence[str], Sequence[str] | None, NDArray[Any], Sequence[int]]
"""Sample ids, names of the outputs or None, outputs ``[N, C, *]``, and the row number of each sample."""


class PredictionsProvider:
    """Reads outputs of models that cannot run here, such as those behind an API. Nothing is unpickled."""

    def files(self, model: str) -> list[Path]:
        """Return the file.

        Raises:
            DataError: the file does not exist, or its suffix is unknown.
        """
        path, where = Path(model), f"predictions:{model}"
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
        path = self.files(request.model)[0]
        keys, names, rows, lines = READERS[path.suffix](path)
        if not len(keys):
            raise DataError("the file has no predictions", str(path), f"it needs {SHAPE}")
        predictions = PrecomputedOutputs(path, tuple(keys), rows, lines)
        classes = tuple(names) if names else None
        return Model(nn.Identity(), InputSpec(), classes=classes, trained=True, predictions=predictions)


def _read_csv(path: Path) -> Table:
    separator, marks = detect_separator(path), set[str]()
    rows = csv_rows(path, separator)
    _, names = next(rows)
    key_column = _key_column(names, path)
    outputs = [name for column, name in enumerate(names) if column != key_column]
    keys, values, lines = [], [], []
    for line, cells in rows:
        keys.append(without_escape(cells.pop(key_column)))
        if separator != ",":
            cells = with_decimal_points(cells, marks, f"{path}, row {line}")
        numbers = _parse_numbers(cells)
        if None in numbers:
            wrong = numbers.index(None)
            raise DataError(
                f"{cells[wrong]!r} is not a number",
                f"{path}, row {line}, column {outputs[wrong]!r}",
                f"it needs {SHAPE}",
            )
        values.append(_to_float(np.array(numbers, dtype=np.float64)))
        lines.append(line)
    return keys, outputs, np.stack(values) if values else np.empty((0, len(outputs))), lines


def _parse_numbers(cells: Sequence[str]) -> Sequence[float | None]:
    """Return the numbers in cells: NaN for an empty cell, None for other text."""
    try:
        return list(map(float, cells))
    except ValueError:
        return [np.nan if cell in MISSING else parse_number(cell) for cell in cells]


def _read_parquet(path: Path) -> Table:
    table = parquet(path)
    key_column = _key_column(table.column_names, path)
    keys = [str(key) for key in table.column(key_column).to_pylist()]
    outputs = [name for column, name in enumerate(table.column_names) if column != key_column]
    columns = []
    for name in outputs:
        values = table[name].to_numpy()
        if values.dtype.kind not in "fiu":
            kind = table.schema.field(name).type
            raise DataError(f"column {name!r} contains {kind}, not numbers", str(path), f"it needs {SHAPE}")
        columns.append(_to_float(values))
    return keys, outputs, np.stack(columns, axis=1), range(1, len(keys) + 1)


def _key_column(names: Sequence[str], path: Path) -> int:
    """Return the index of the column of sample ids.

    Raises:
        DataError: duplicate column names, or fewer than two columns.
    """
    repeated = next((name for name in names if list(names).count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"duplicate column name {repeated!r}", str(path), "rename one of the columns")
    if len(names) < 2:
        raise DataError(f"the file has {len(names)} columns", str(path), f"it needs {SHAPE}")
    return list(names).index(KEY) if KEY in names else 0


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


READERS = {".csv": _read_csv, ".npz": _read_npz, ".parquet": _read_parquet}
