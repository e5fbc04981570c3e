"""Answers that were made elsewhere, keyed by sample: ``predictions:answers.csv``, ``.npz``, ``.parquet``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mtkd_cli.errors import DataError, missing_path, nearest_or_all
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest, Predictions
from mtkd_cli.reading.table_encoding import MISSING, parse_number
from mtkd_cli.reading.tables import csv_rows, parquet
from mtkd_cli.safe_loading.decompression_limits import refuse_bomb

KEY = "id"
"""The column that names the samples; without it, the first one does."""

SHAPE = "a column of sample ids or names of files, then one column of numbers for each output"

Table = tuple[Sequence[str], Sequence[str] | None, NDArray[Any], Sequence[int]]
"""Keys, names of the outputs, rows, and where each row stands."""


class PredictionsProvider:
    """Reads answers for models that cannot be run here, or live behind an API. Nothing is unpickled."""

    def files(self, model: str) -> list[Path]:
        """Return the file.

        Raises:
            DataError: there is none, or it is of no known kind.
        """
        path, where = Path(model), f"predictions:{model}"
        if path.suffix not in READERS:
            raise DataError(
                "it is no file of predictions", where, f"give one that ends in {' or '.join(READERS)}"
            )
        if not path.is_file():
            raise missing_path(path, where)
        return [path]

    def build(self, request: ModelRequest) -> Model:
        """Return the predictions and the names that their columns have."""
        path = self.files(request.model)[0]
        keys, names, rows, lines = READERS[path.suffix](path)
        if not len(keys):
            raise DataError("the file has no predictions", str(path), f"give it {SHAPE}")
        said = Predictions(path, tuple(keys), rows, lines)
        classes = tuple(names) if names else None
        return Model(nn.Identity(), InputSpec(), classes=classes, trained=True, predictions=said)


def _csv(path: Path) -> Table:
    rows = csv_rows(path, ",")
    _, names = next(rows)
    place = _key(names, path)
    outputs = [name for column, name in enumerate(names) if column != place]
    keys, values, lines = [], [], []
    for line, cells in rows:
        keys.append(cells.pop(place))
        numbers = _numbers(cells)
        if None in numbers:
            wrong = numbers.index(None)
            raise DataError(
                f"{cells[wrong]!r} is no number",
                f"{path}, row {line}, column {outputs[wrong]!r}",
                f"give it {SHAPE}",
            )
        values.append(_numeric(np.array(numbers, dtype=np.float64)))
        lines.append(line)
    return keys, outputs, np.stack(values) if values else np.empty((0, len(outputs))), lines


def _numbers(cells: Sequence[str]) -> Sequence[float | None]:
    """Return the numbers in cells, NaN where one is empty, None where one is no number."""
    try:
        return list(map(float, cells))
    except ValueError:
        return [np.nan if cell in MISSING else parse_number(cell) for cell in cells]


def _parquet(path: Path) -> Table:
    table = parquet(path)
    place = _key(table.column_names, path)
    keys = [str(key) for key in table.column(place).to_pylist()]
    outputs = [name for column, name in enumerate(table.column_names) if column != place]
    columns = []
    for name in outputs:
        values = table[name].to_numpy()
        if values.dtype.kind not in "fiu":
            kind = table.schema.field(name).type
            raise DataError(f"the column {name!r} holds {kind}, no numbers", str(path), f"give it {SHAPE}")
        columns.append(_numeric(values))
    return keys, outputs, np.stack(columns, axis=1), range(1, len(keys) + 1)


def _key(names: Sequence[str], path: Path) -> int:
    """Return the place of the column that names the samples."""
    repeated = next((name for name in names if list(names).count(name) > 1), None)
    if repeated is not None:
        raise DataError(f"two columns are called {repeated!r}", str(path), "rename one of them")
    if len(names) < 2:
        raise DataError(f"the file has {len(names)} columns", str(path), f"give it {SHAPE}")
    return list(names).index(KEY) if KEY in names else 0


def _npz(path: Path) -> Table:
    """Read arrays ``ids [N]`` and ``predictions [N, C, *]``, and ``classes [C]`` if there are names."""
    refuse_bomb(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            there = list(getattr(file, "files", ()))
            for name in ("ids", "predictions"):
                if name not in there:
                    raise DataError(f"no array {name!r}", str(path), nearest_or_all(name, there))
            arrays = {
                name: np.asarray(file[name]) for name in ("ids", "predictions", "classes") if name in there
            }
    except DataError:
        raise
    except Exception as error:  # a damaged file raises almost anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"the arrays cannot be read: {reason}",
            str(path),
            "write it with numpy.savez: arrays of texts and numbers, no objects, which may hold code",
        ) from error
    rows = arrays["predictions"]
    for name in ("ids", "classes"):
        if name in arrays and (arrays[name].ndim != 1 or arrays[name].dtype.kind not in "USiu"):
            raise DataError(
                f"{name} are {_what(arrays[name])}; a list of texts is needed", str(path), "write it again"
            )
    keys, names = (_texts(arrays[name]) if name in arrays else None for name in ("ids", "classes"))
    if keys is None or rows.dtype.kind not in "fiu" or rows.shape[:1] != (len(keys),) or not rows[0:1].size:
        raise DataError(
            f"predictions are {_what(rows)}", str(path), "give an array of numbers, a row for each of ids"
        )
    return keys, names, _numeric(rows if rows.ndim > 1 else rows[:, None]), range(len(keys))


def _texts(values: NDArray[Any]) -> list[str]:
    return [
        value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
        for value in values.tolist()
    ]


def _what(array: NDArray[Any]) -> str:
    return f"{array.dtype} of shape {array.shape}"


def _numeric(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in float32, or float64 if there are more digits; beyond float32 they are infinite."""
    wide = values.astype(np.float32 if values.dtype == np.float16 else np.float64, copy=False)
    values = values if values.dtype == np.float32 else wide
    return np.where(abs(values) > np.finfo(np.float32).max, np.copysign(np.inf, values), values)


READERS = {".csv": _csv, ".npz": _npz, ".parquet": _parquet}
