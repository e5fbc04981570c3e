"""Data sources, and the samples that they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
        name: heading of the column.
        categories: names of its categories; a row contains the index of its category. Empty for numbers.
    """

    name: str
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Samples:
    """Samples of one split.

    A missing label is -1 in integers, NaN in floats (`mtkd_cli.interfaces.missing_labels`).

    Attributes:
        ids: N unique names, stable between runs.
        inputs: images ``[M, C, H, W]`` uint8, or table rows ``[M, F]`` float64 (or float32), one value per
            column, NaN if missing; an array or a memory map.
        targets: one label per sample, in the form of the task: ``[N]`` class numbers, ``[N, T]`` float
            values, ``[N, H, W]`` integer masks, ``[N, M, 5]`` float boxes.
        metadata: columns of N values (source, group), for strategies that route by them.
        rows: ``[N]``, row of ``inputs`` for each sample; None: in order. With it, splits share one memory map
            without copies.
        files: the file of each sample; ``()`` if samples have no files of their own, for `mtkd samples`.
    """

    ids: tuple[str, ...]
    inputs: NDArray[Any]
    targets: NDArray[Any]
    metadata: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    rows: NDArray[np.int64] | None = None
    files: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, where: slice | NDArray[np.int64]) -> NDArray[Any]:
        """Return the inputs of selected samples, ``[B, C, H, W]`` or ``[B, F]``."""
        chosen: NDArray[Any] = self.inputs[where if self.rows is None else self.rows[where]]
        return chosen

    def take(self, indices: NDArray[np.int64]) -> Samples:
        """Return the samples at ``indices``, in that order."""
        metadata = {name: column[indices] for name, column in self.metadata.items()}
        ids = tuple(self.ids[i] for i in indices)
        rows = indices if self.rows is None else self.rows[indices]
        files = tuple(self.files[i] for i in indices) if self.files else ()
        return Samples(ids, self.inputs, self.targets[indices], metadata, rows, files)


@dataclass(frozen=True)
class SourceData:
    """The return value of a data source.

    Attributes:
        classes: class names in the order of the targets; names of the values for regression.
        train: training samples.
        val: validation samples; None: split off ``train``.
        test: test samples; None: split off ``train``.
        columns: columns of a table; empty: numbers without names.
        fit: conversion of images to squares, see `mtkd_cli.reading.images.decode`; the student's input files
            are converted in the same way.
    """

    classes: tuple[str, ...]
    train: Samples
    val: Samples | None = None
    test: Samples | None = None
    columns: tuple[Column, ...] = ()
    fit: str = "crop"


class DataCache(Protocol):
    """Storage for a data source's expensive results, such as decoded images and downloads.

    Older sources use ``cache`` as a `Path`. They keep working: mtkd's cache is also the path of ``folder``.
    """

    @property
    def folder(self) -> Path:
        """A persistent folder for files that the source manages itself, such as downloads."""

    def keep(self, key: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
        """Return the folder for ``key``; call ``write`` to fill it if no earlier run did.

        A folder is used again only if the checksums of all its files match. If several processes need the
        same key, one of them writes.

        Args:
            key: JSON values that determine the content: the source's name, the SHA-256 of the files that it
                reads, its settings, and a version number to increase when the format changes.
            write: function that writes files into an empty folder.

        Raises:
            DataError: the disk is full, read-only or otherwise unusable.
        """

    def describe_files(
        self,
        paths: Sequence[Path],
        describe: Callable[[bytes], tuple[Any, ...]],
        dtype: np.dtype[Any],
        version: str,
    ) -> NDArray[Any]:
        """Return a record about the content of each file, ``[N]``.

        Each file is read once. Later calls compare sizes and times of change, and read a random sample.

        Args:
            paths: the files.
            describe: function from the content of a file to the fields of its record.
            dtype: structured type of a record.
            version: name and version of ``describe``; a change describes all files anew.

        Raises:
            DataError: a file cannot be read.
        """

    def mapped(self, path: Path) -> NDArray[Any]:
        """Return the array of a ``.npy`` file in a kept folder, memory-mapped for reading.

        ``mtkd store prune`` does not remove the folder while the array is in use.
        """


class DataSource(Protocol):
    """A data source, constructed with its options, and with ``task`` if it has that parameter."""

    def load(self, cache: DataCache) -> SourceData:
        """Return the samples. Expensive results are kept in ``cache``.

        Raises:
            DataError: files are missing, unreadable or contradictory.
        """
