"""Teachers of a reinforced data set, which ``mtkd store export`` wrote: ``predictions:FOLDER#TEACHER``."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError, UsageError, nearest_or_all
from mtkd_cli.interfaces import PrecomputedOutputs, RecordedRows
from mtkd_cli.safe_loading.decompression_limits import refuse_content
from mtkd_cli.safe_loading.optional_imports import need

METADATA, MANIFEST = "metadata.json", "manifest.json"
FORMAT, VERSION = "mtkd reinforced data set", 1
PLAIN = 0

Rows = tuple[list[str], NDArray[Any]]
"""Sample ids, and recorded rows ``[N]`` or ``[N, C, *]``."""


@dataclass(frozen=True)
class _Shard:
    """A file of rows."""

    split: str
    rows: int


@dataclass(frozen=True)
class _Field:
    """A field of a teacher's outputs."""

    column: str
    recorded_as: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Outputs:
    """How a teacher's outputs for a split are written."""

    layout: Mapping[str, Any]
    fields: tuple[_Field, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of one row."""
        if not self.fields[0].recorded_as:
            return np.dtype((self.fields[0].dtype, self.fields[0].shape))
        return np.dtype([(field.recorded_as, field.dtype, field.shape) for field in self.fields])


def is_reinforced(model: str) -> bool:
    """Whether a model names a folder of a reinforced data set, with or without a teacher."""
    return (_folder_of(model) / METADATA).is_file()


def files(model: str) -> list[Path]:
    """Return the files that determine a teacher's outputs for untouched samples."""
    folder = _folder_of(model)
    return [folder / METADATA, *(folder / name for name in _shards(_metadata(folder)))]


def load(model: str) -> tuple[PrecomputedOutputs, tuple[str, ...] | None]:
    """Return a teacher's outputs for untouched samples, and its class names.

    Raises:
        UsageError: there is no such teacher, or the folder has several.
        DataError: a file is damaged or missing.
    """
    folder = _folder_of(model)
    metadata = _metadata(folder)
    entry = _choose_teacher(metadata, model, folder)
    checksums = _read_json(folder / MANIFEST)
    keys: list[str] = []
    recorded = []
    for name, shard in _shards(metadata).items():
        path = folder / name
        _check_checksum(path, checksums.get(name))
        outputs = _outputs(entry, shard.split, folder)
        read = _read_tar if path.suffix == ".tar" else _read_parquet
        try:
            ids, rows = read(path, outputs)
        except (OSError, ValueError, KeyError, TypeError, tarfile.TarError) as error:
            raise _damaged(path, str(error)) from error
        if not len(ids) == len(rows) == shard.rows:
            raise _damaged(path, f"it has {len(ids)} rows, not {shard.rows}")
        keys += ids
        recorded.append(RecordedRows(outputs.layout, rows))
    if not keys:
        raise DataError("the folder has no rows of untouched samples", str(folder), "export it again")
    classes = entry["classes"]
    return (
        PrecomputedOutputs(folder, tuple(keys), np.empty(0), range(len(keys)), tuple(recorded)),
        tuple(map(str, classes)) if isinstance(classes, list) else None,
    )


def _folder_of(model: str) -> Path:
    folder = Path(model)
    return folder if folder.is_dir() else Path(model.rpartition("#")[0] or model)


def _choose_teacher(metadata: Mapping[str, Any], model: str, folder: Path) -> Mapping[str, Any]:
    """Return the entry of a teacher in the metadata."""
    try:
        entries = {str(entry["name"]): entry for entry in metadata["teachers"]}
    except (KeyError, TypeError) as error:
        raise _damaged(folder / METADATA, str(error)) from error
    name = "" if Path(model).is_dir() else model.rpartition("#")[2]
    if not name and len(entries) == 1:
        name = next(iter(entries))
    if name not in entries:
        raise UsageError(
            f"no teacher {name!r} in {folder}" if name else f"{folder} has {len(entries)} teachers",
            where=f"predictions:{model}",
            hint=f"name one after #; {nearest_or_all(name, entries)}",
        )
    chosen: Mapping[str, Any] = entries[name]
    return chosen


def _outputs(entry: Mapping[str, Any], split: str, folder: Path) -> _Outputs:
    """Return how a teacher's outputs for a split are written."""
    try:
        outputs = entry["outputs"][split]
        fields = tuple(
            _Field(
                f"{entry['prefix']}_{field['name']}",
                str(field["recorded_as"]),
                np.dtype(str(field["dtype"])),
                tuple(int(side) for side in field["shape"]),
            )
            for field in outputs["fields"]
        )
        if not fields or any(field.dtype.kind not in "fiu" for field in fields):
            raise ValueError("its fields are not numbers")
        return _Outputs(dict(outputs["layout"]), fields)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder / METADATA, str(error)) from error


def _metadata(folder: Path) -> Mapping[str, Any]:
    metadata = _read_json(folder / METADATA)
    if metadata.get("format") != FORMAT or not isinstance(metadata.get("teachers"), list):
        raise DataError("not a reinforced data set", str(folder), "write one with mtkd store export")
    if metadata.get("version") != VERSION:
        raise DataError(
            f"version {metadata.get('version')} of the format, not {VERSION}", str(folder), "update mtkd"
        )
    return metadata


def _shards(metadata: Mapping[str, Any]) -> dict[str, _Shard]:
    """Return the files of untouched samples."""
    try:
        found = {
            str(name): _Shard(str(shard["split"]), int(shard["rows"]))
            for name, shard in metadata["shards"].items()
            if shard["view"] == PLAIN
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(Path(METADATA), str(error)) from error
    for name in found:
        if Path(name).name != name:  # it must not make the caller read files outside the folder
            raise _damaged(Path(METADATA), f"it names {name!r}")
    return found


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(value, dict):
        raise _damaged(path, "it is not a mapping")
    return value


def _check_checksum(path: Path, expected: Any) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _damaged(path, error.strerror or "it cannot be read") from error
    if found != expected:
        raise _damaged(path, "its checksum does not match")


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path.name} is damaged: {reason}", str(path), "copy or export the folder again")


def _read_parquet(path: Path, outputs: _Outputs) -> Rows:
    need("pyarrow", "tabular", str(path))
    from pyarrow import ArrowException, parquet

    try:
        with parquet.ParquetFile(path) as file:
            refuse_content(path, file.metadata.num_rows * outputs.dtype.itemsize)
            table = file.read(["id", *(field.column for field in outputs.fields)])
    except ArrowException as error:
        raise ValueError(str(error)) from error
    rows = np.zeros(len(table), outputs.dtype)
    for field in outputs.fields:
        column = table[field.column].combine_chunks()
        flat = column.flatten() if field.shape else column
        values = flat.to_numpy(zero_copy_only=False).astype(field.dtype, copy=False, casting="no")
        _fill(rows, field, values.reshape(len(table), *field.shape))
    return [str(key) for key in table["id"].to_pylist()], rows


def _read_tar(path: Path, outputs: _Outputs) -> Rows:
    keys: list[str] = []
    columns: dict[str, list[NDArray[Any]]] = {field.column: [] for field in outputs.fields}
    for name, content in _entries(path):
        ending = name.partition(".")[2]
        if ending == "json":
            keys.append(str(json.loads(content)["id"]))
        elif ending.removesuffix(".npy") in columns:
            array = np.load(io.BytesIO(content), allow_pickle=False)
            columns[ending.removesuffix(".npy")].append(array)
    rows = np.zeros(len(keys), outputs.dtype)
    for field in outputs.fields:
        values = np.stack(columns[field.column]).astype(field.dtype, copy=False, casting="no")
        _fill(rows, field, values.reshape(len(keys), *field.shape))
    return keys, rows


def _entries(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path, "r:") as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isreg() else None
            if file is not None:
                yield entry.name, file.read()


def _fill(rows: NDArray[Any], field: _Field, values: NDArray[Any]) -> None:
    if field.recorded_as:
        rows[field.recorded_as] = values
    else:
        rows[...] = values
