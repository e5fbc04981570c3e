"""Data sources, and the samples that they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mtkd_cli.interfaces.placement import Placement, place
from mtkd_cli.interfaces.sample_ids import take_ids
from mtkd_cli.interfaces.table_format import TableFormat

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


class Reader(Protocol):
    """Inputs with random access by row. NumPy arrays and memory maps are readers.

    Reading must be thread-safe and always return the same values for a row.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """``(M, C, H, W)``, or ``(M, F)`` for table rows."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, uint8 for images."""

    @property
    def ndim(self) -> int:
        """Number of dimensions, 4 for images."""

    def __len__(self) -> int:
        """Return M."""

    def __getitem__(self, rows: Any, /) -> Any:
        """Return the inputs at a slice or at ``[B]`` row numbers, ``[B, C, H, W]`` or ``[B, F]``."""


class WindowReader(Protocol):
    """Reads parts of the original images at full resolution, for random crops."""

    def read_windows(self, rows: NDArray[np.int64], windows: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return parts of the images at ``rows``, each resized to the grid, ``[B, C, H, W]``.

        Args:
            rows: ``[B]`` row numbers.
            windows: ``[B, 4]``, left, top, right, bottom of each part, relative to the original image.
        """


class FrameLabels(Protocol):
    """Labels on the original images, from which scores are computed."""

    def __getitem__(self, row: int, /) -> NDArray[Any]:
        """Return the label of a row: a mask ``[H, W]`` (-1: no label), or boxes ``[M, 5]``.

        Boxes are x1, y1, x2, y2 relative to the frame, and the class number.
        """


@dataclass(frozen=True)
class Frames:
    """The original images of samples, see `mtkd_cli.interfaces.placement`.

    Attributes:
        sizes: ``[M, 2]``, height and width of the upright images, in pixels.
        fit: how the images fill the grid, see `mtkd_cli.interfaces.placement.Fit`.
        labels: labels on the original images by row; None for tasks without spatial labels.
    """

    sizes: NDArray[np.int32]
    fit: str
    labels: FrameLabels | None = None


@dataclass(frozen=True)
class Samples:
    """Samples of one split.

    A missing label is -1 in integers, NaN in floats (`mtkd_cli.interfaces.missing_labels`). A row is an index
    into what all splits of a source share: ``inputs``, ``contents``, ``frames`` and ``windows``.

    Attributes:
        ids: N unique names, stable between runs: a tuple, or `PackedIds` for millions of them.
        inputs: images ``[M, C, H, W]`` uint8, or table rows ``[M, F]`` float64 (or float32), one value per
            column, NaN if missing; an array, a memory map or another `Reader`.
        targets: one label per sample, in the form of the task: ``[N]`` class numbers, ``[N, T]`` float
            values, ``[N, H, W]`` integer masks, ``[N, M, 5]`` float boxes. Masks and boxes are on the grid
            of ``inputs``.
        metadata: columns of N values (source, group), for strategies that route by them.
        rows: ``[N]``, row of each sample; None: in order. With it, splits share one memory map without
            copies.
        files: the file of each sample; ``()`` if samples have no files of their own, for `mtkd samples`.
        contents: ``[M, 32]`` uint8, SHA-256 of each sample's encoded file. With it, no pixels are read to
            identify the samples.
        decoder: how ``contents`` become ``inputs``: size, fit, version; part of the samples' identity.
        frames: the original images, if images may not fill the grid or labels are spatial.
        windows: reads parts of the original images; None: parts are taken from ``inputs``.
    """

    ids: Sequence[str]
    inputs: NDArray[Any] | Reader
    targets: NDArray[Any]
    metadata: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    rows: NDArray[np.int64] | None = None
    files: Sequence[Path] = ()
    contents: NDArray[np.uint8] | None = None
    decoder: str = ""
    frames: Frames | None = None
    windows: WindowReader | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, where: slice | NDArray[np.int64]) -> NDArray[Any]:
        """Return the inputs of selected samples, ``[B, C, H, W]`` or ``[B, F]``."""
        chosen: NDArray[Any] = self.inputs[where if self.rows is None else self.rows[where]]
        return chosen

    def row(self, index: int) -> int:
        """Return the row of a sample."""
        return index if self.rows is None else int(self.rows[index])

    def placement(self, index: int) -> Placement | None:
        """Return where a sample's original image lies on the grid; None if the grid is the original."""
        if self.frames is None:
            return None
        height, width = self.frames.sizes[self.row(index)]
        rows, columns = self.inputs.shape[2:]
        return place((int(height), int(width)), (rows, columns), self.frames.fit)

    def take(self, indices: NDArray[np.int64]) -> Samples:
        """Return the samples at ``indices``, in that order."""
        return replace(
            self,
            ids=take_ids(self.ids, indices),
            targets=self.targets[indices],
            metadata={name: column[indices] for name, column in self.metadata.items()},
            rows=indices if self.rows is None else self.rows[indices],
            files=tuple([self.files[i] for i in indices.tolist()]) if self.files else (),
        )


@dataclass(frozen=True)
class SourceData:
    """The return value of a data source.

    Attributes:
        classes: class names in the order of the targets; names of the values for regression.
        train: training samples.
        val: validation samples; None: split off ``train``.
        test: test samples; None: split off ``train``.
        columns: columns of a table; empty: numbers without names.
        fit: how images fill the grid, see `mtkd_cli.interfaces.placement.Fit`; the student's input files are
            converted in the same way.
        table: format of the files of a table; the student's input files are read in the same way.
        notes: what the source found out about the files, in sentences, for `mtkd doctor` and the plan.
    """

    classes: tuple[str, ...]
    train: Samples
    val: Samples | None = None
    test: Samples | None = None
    columns: tuple[Column, ...] = ()
    fit: str = "crop"
    table: TableFormat | None = None
    notes: tuple[str, ...] = ()


class DataCache(Protocol):
    """Storage for a data source's expensive results, such as decoded images and downloads.

    Older sources use ``cache`` as a `Path`. They keep working: mtkd's cache is also the path of ``folder``.
    """

    @property
    def folder(self) -> Path:
        """A persistent folder for files that the source manages itself, such as downloads."""

    @property
    def verify_all(self) -> bool:
        """Whether to read all files again, instead of a random sample of those that did not change."""

    @property
    def say(self) -> Callable[[str], None]:
        """A function that shows a line to the user, about work that takes long."""

    def keep(self, key: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
        """Return the folder for ``key``; call ``write`` to fill it if no earlier run did.

        A folder is used again only if the checksums of its files match. Of a folder above 64 MiB, sizes and
        times of the files are compared, and a random sample is read. If several processes need the same key,
        one of them writes.

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
    """A data source, constructed with its options, and with ``task`` and ``like`` if it has such parameters.

    ``like`` is the `TableInput` of a student that is evaluated on the source, else None.
    """

    def load(self, cache: DataCache) -> SourceData:
        """Return the samples. Expensive results are kept in ``cache``.

        Raises:
            DataError: files are missing, unreadable or contradictory.
        """
