"""Data sources, and the samples that they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        categories: what may stand in it; a row has the place of its own here. Empty: it has numbers.
    """

    name: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Samples:
    """Samples of one split.

    A label that is not there is -1 in integers, NaN in floats (`mtkd_cli.interfaces.missing_labels`).

    Attributes:
        ids: N unique names, stable between runs.
        inputs: images ``[M, C, H, W]`` uint8, or the rows of a table ``[M, F]`` float64 (or
            float32), a value a column, NaN where it is missing; an array or a memory map.
        targets: one label a sample, as its task has them: ``[N]`` class numbers, ``[N, T]`` float
            values, ``[N, H, W]`` integer masks, ``[N, M, 5]`` float boxes.
        metadata: columns of N values each (source, group), for strategies that route by them.
        rows: ``[N]``, the row of ``inputs`` that is each sample's; None: in order. So splits share one
            memory map instead of copying from it.
    """

    ids: tuple[str, ...]
    inputs: NDArray[Any]
    targets: NDArray[Any]
    metadata: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, where: slice | NDArray[np.int64]) -> NDArray[Any]:
        """Return the inputs of some samples, ``[B, C, H, W]`` or ``[B, F]``."""
        chosen: NDArray[Any] = self.inputs[where if self.rows is None else self.rows[where]]
        return chosen

    def take(self, indices: NDArray[np.int64]) -> Samples:
        """Return the samples at ``indices``, in that order."""
        metadata = {name: column[indices] for name, column in self.metadata.items()}
        ids = tuple(self.ids[i] for i in indices)
        rows = indices if self.rows is None else self.rows[indices]
        return Samples(ids, self.inputs, self.targets[indices], metadata, rows)


@dataclass(frozen=True)
class SourceData:
    """What a data source returns.

    Attributes:
        classes: class names in the order of the targets; the names of the values for a regression.
        train: samples to train on; validation is split off them if ``val`` is None.
        val: samples to validate on, if the source has them apart.
        test: samples to test on; split off ``train`` if None.
        columns: of a table; numbers without names where none are given.
        fit: how images that are not square were brought to the square, see `mtkd_cli.reading.images.decode`;
            so
            that a student is shown files in the same way.
    """

    classes: tuple[str, ...]
    train: Samples
    val: Samples | None = None
    test: Samples | None = None
    columns: tuple[Column, ...] = ()
    fit: str = "crop"


class DataCache(Protocol):
    """Where a data source keeps what is costly to make again: decoded images, downloads.

    A source that was written when ``cache`` was a `Path` keeps working: the cache that mtkd gives can be used
    as the path of ``folder``.
    """

    @property
    def folder(self) -> Path:
        """A folder that lasts, for files that the source looks after itself, such as downloads."""

    def keep(self, key: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
        """Return a folder that ``write`` filled once for ``key``, in this or an earlier run.

        It is found again only while every file is what was written. Of several processes that ask for
        one key, one writes.

        Args:
            key: JSON values; everything that decides the content: the source's name, the SHA-256 of the
                files that it reads, its settings, and a number that is raised when it reads them otherwise.
            write: fills an empty folder with files.

        Raises:
            DataError: the disk is full, read-only or otherwise unusable.
        """

    def mapped(self, path: Path) -> NDArray[Any]:
        """Return the array of a ``.npy`` file that was kept, memory-mapped for reading.

        While it is in use, ``mtkd store prune`` does not remove its folder.
        """


class DataSource(Protocol):
    """A data source; constructed with its options, and the name of the ``task`` if it takes that."""

    def load(self, cache: DataCache) -> SourceData:
        """Return the samples. What is costly to make again is kept in ``cache``.

        Raises:
            DataError: files that are missing, unreadable or contradict each other.
        """
