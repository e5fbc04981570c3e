"""Sample ids: millions of them in little memory, and duplicates among them."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 65_536
"""Number of ids that are decoded at once."""


@dataclass(frozen=True, eq=False)
class PackedIds(Sequence[str]):
    """A sequence of sample ids that are decoded when they are read; a slice is a tuple.

    A Python string takes about 60 bytes and its place in a tuple 8; here an id takes 20 bytes and its text.

    Attributes:
        text: ``[T]``, names in UTF-8, one after the other.
        starts: ``[N]``, position of each name in ``text``.
        ends: ``[N]``, end of each name.
        prefixes: what may stand before a name.
        groups: ``[N]``, index of each id's prefix.
    """

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    prefixes: tuple[str, ...]
    groups: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self._decode(index))
        name = self.text[self.starts[index] : self.ends[index]].tobytes()
        return self.prefixes[int(self.groups[index])] + str(name, "utf-8")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PackedIds | tuple):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # equal to a tuple, but its hash would need all texts

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):
            yield from self._decode(slice(start, start + BLOCK))

    def take(self, indices: NDArray[np.int64]) -> PackedIds:
        """Return the ids at ``indices``, in that order."""
        return PackedIds(
            self.text, self.starts[indices], self.ends[indices], self.prefixes, self.groups[indices]
        )

    def _decode(self, where: slice) -> list[str]:
        starts, ends, groups = (each[where].tolist() for each in (self.starts, self.ends, self.groups))
        first = min(starts, default=0)
        text = self.text[first : max(ends, default=0)].tobytes()
        return [
            self.prefixes[group] + text[start - first : end - first].decode()
            for start, end, group in zip(starts, ends, groups, strict=True)
        ]


def take_ids(ids: Sequence[str], indices: NDArray[np.int64]) -> Sequence[str]:
    """Return the ids at ``indices``, in that order, packed if they were."""
    if isinstance(ids, PackedIds):
        return ids.take(indices)
    return tuple(
        [ids[i] for i in indices.tolist()]
    )  # indexing with Python's integers is several times faster


def find_duplicate(*parts: Sequence[str]) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return part and index of the first id that occurred before, and where it did; None if all are unique.

    It compares hashes, so that memory is 24 bytes an id, and ids only where these are equal.
    """
    import numpy as np  # slow, and this module is imported on the way to --help

    hashes = np.concatenate([np.fromiter(map(hash, part), np.int64, len(part)) for part in parts])
    order = np.argsort(hashes, kind="stable")
    is_repeated = hashes[order[1:]] == hashes[order[:-1]]
    candidates = np.unique(np.concatenate([order[1:][is_repeated], order[:-1][is_repeated]]))
    starts = np.cumsum([0, *map(len, parts)])
    seen: dict[str, tuple[int, int]] = {}
    for position in candidates.tolist():
        part = int(np.searchsorted(starts, position, "right")) - 1
        index = position - int(starts[part])
        if (sample := parts[part][index]) in seen:
            return (part, index), seen[sample]
        seen[sample] = part, index
    return None
