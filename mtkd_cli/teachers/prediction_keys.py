"""Match the keys in a file of predictions to the samples: by id, or by the end of a path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.data.dataset import Split
from mtkd_cli.errors import DataError, join_first
from mtkd_cli.interfaces import PrecomputedOutputs
from mtkd_cli.reading.images import ENDINGS


def match_samples(
    predictions: PrecomputedOutputs, splits: Sequence[Split], where: str
) -> dict[str, NDArray[np.int64]]:
    """Return the row of each sample's prediction, ``[N]`` by split name; see `match_rows`.

    Raises:
        DataError: a sample has no prediction, or two samples share one.
    """
    rows: dict[str, int] = {}
    for row, key in enumerate(predictions.keys):
        if key in rows:
            raise DataError(
                f"duplicate sample id {key!r}",
                f"{where}, {row_text(predictions, row)}",
                f"remove it, or row {predictions.lines[rows[key]]}",
            )
        rows[key] = row
    file = f"{where}, {predictions.file}"
    # row of each sample; -1 without a prediction
    matched = {split.name: match_rows(rows, split.samples.ids, file) for split in splits}
    pairs = [
        (sample, row)
        for split in splits
        for sample, row in zip(split.samples.ids, matched[split.name], strict=True)
    ]
    missing = [sample for sample, row in pairs if row < 0]
    if missing:
        raise DataError(
            f"no prediction for {len(missing)} of {len(pairs)} samples, the first is {missing[0]!r}",
            where=file,
            hint=f"its keys, such as {predictions.keys[0]!r}, must be sample ids or paths; "
            "mtkd samples RECIPE lists them",
        )
    first: dict[int, str] = {}
    for sample, row in pairs:
        if first.setdefault(row, sample) != sample:
            raise DataError(
                f"one prediction matches two samples, {first[row]!r} and {sample!r}",
                where=f"{where}, {row_text(predictions, row)}",
                hint="key the predictions by sample id, folders included",
            )
    return {name: np.array(indices, dtype=np.int64) for name, indices in matched.items()}


def row_text(predictions: PrecomputedOutputs, row: int) -> str:
    """Return where a prediction is, for messages."""
    return f"{predictions.file}, row {predictions.lines[row]}"


def match_rows(rows: Mapping[str, int], ids: Sequence[str], where: str) -> list[int]:
    """Return the row of each sample, -1 if there is none.

    A key matches a sample if it is the sample's id. Otherwise it matches if one of the two is the end of the
    other, in whole parts of a path: key ``cat/1.png`` or ``/photos/train/cat/1.png`` for the id
    ``train/cat/1.png``. Backslashes separate parts, too, and the key of an image may lack the extension.

    Args:
        rows: row of each key.
        ids: the sample ids.
        where: the teacher and the file, for messages.

    Raises:
        DataError: several keys match a sample, none of which is its id.
    """
    if all(sample in rows for sample in ids):
        return [rows[sample] for sample in ids]
    paths = {key.replace("\\", "/"): row for key, row in rows.items()}
    longer: dict[str, set[int]] = defaultdict(set)  # end of a key -> rows
    for path, row in paths.items():
        for end in _ends(path):
            longer[end].add(row)
    found = []
    for sample in ids:
        matched = {rows[sample]} if sample in rows else set()
        for name in _names(sample) if not matched else ():
            matched |= longer.get(name, set()) | {paths[end] for end in _ends(name) if end in paths}
        if len(matched) > 1:
            keys = [key for key, row in rows.items() if row in matched]
            raise DataError(
                f"{len(keys)} predictions match the sample {sample!r}: {join_first(keys)}",
                where=where,
                hint="use the sample ids as keys; mtkd samples RECIPE lists them",
            )
        found.append(next(iter(matched), -1))
    return found


def _names(sample: str) -> tuple[str, ...]:
    """Return a sample's id, and that of an image without its extension, too."""
    stem, dot, extension = sample.rpartition(".")
    return (sample, stem) if stem and f"{dot}{extension}".lower() in ENDINGS else (sample,)


def _ends(path: str) -> Iterator[str]:
    """Yield a path and its ends: ``a/b/c``, ``b/c``, ``c``."""
    yield path
    while "/" in path:
        path = path.partition("/")[2]
        yield path
