"""Match the keys in a file of predictions to sample ids: by id, or by the end of a path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from mtkd_cli.errors import DataError, join_first
from mtkd_cli.reading.images import ENDINGS


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
