"""Images that are decoded when they are read: a reader for data that is too large to keep decoded."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.errors import DataError
from mtkd_cli.reading import images
from mtkd_cli.reading.encoded_images import EncodedImages


@dataclass(frozen=True)
class DecodeOptions:
    """How image files become inputs.

    Attributes:
        grid: height and width of the grid, in pixels.
        channels: 3 for RGB, 1 for gray.
        fit: see `mtkd_cli.interfaces.placement.Fit`.
        workers: number of decoding threads; does not change the result.
        skip: whether to skip unreadable images instead of raising an error.
        cache: ``auto``, ``memory``, ``disk`` or ``none``: where decoded images are kept.
    """

    grid: tuple[int, int]
    channels: int
    fit: str = "crop"
    workers: int = 4
    skip: bool = False
    cache: str = "auto"

    @property
    def image_bytes(self) -> int:
        """Size of one decoded image, in bytes."""
        return self.channels * self.grid[0] * self.grid[1]


class DecodedOnDemand:
    """A reader of images ``[M, C, H, W]`` that decodes on access, with several threads.

    It implements `mtkd_cli.interfaces.Reader` and `mtkd_cli.interfaces.WindowReader`.

    Args:
        encoded: the encoded images.
        options: how to decode them.
        rows: ``[M]``, rows of the readable images in ``encoded``.
    """

    def __init__(self, encoded: EncodedImages, options: DecodeOptions, rows: NDArray[np.int64]) -> None:
        self.encoded, self.options, self.rows = encoded, options, rows

    @property
    def shape(self) -> tuple[int, ...]:
        """``(M, C, H, W)``."""
        return (len(self.rows), self.options.channels, *self.options.grid)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values: uint8."""
        return np.dtype(np.uint8)

    @property
    def ndim(self) -> int:
        """Number of dimensions: 4."""
        return 4

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice | Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at ``rows``, ``[B, C, H, W]``.

        Raises:
            DataError: an image cannot be decoded.
        """
        return self._decode_all(self.rows[rows], lambda index: None)

    def read_windows(self, rows: NDArray[np.int64], windows: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return parts of the original images, see `mtkd_cli.interfaces.WindowReader`."""
        return self._decode_all(self.rows[rows], lambda index: windows[index].tolist())

    def _decode_all(
        self, rows: NDArray[np.int64], window: Callable[[int], Sequence[float] | None]
    ) -> NDArray[np.uint8]:
        batch = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)

        def decode(index: int) -> None:
            batch[index] = self._decode(int(rows[index]), window(index))

        list(self._pool.map(decode, range(len(rows))))
        return batch

    def _decode(self, row: int, window: Sequence[float] | None) -> NDArray[np.uint8]:
        try:
            content = io.BytesIO(self.encoded.read(row))
            return images.decode(content, self.options.grid, self.options.channels, self.options.fit, window)
        except MemoryError:
            raise
        except Exception as error:
            name = self.encoded.name(row)
            raise DataError(
                f"the image cannot be read: {images.failure_reason(error, name)}",
                where=name,
                hint="replace or remove it; data.cache: disk finds unreadable images before the training",
            ) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return DecodedOnDemand, (self.encoded, self.options, self.rows)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.options.workers, "mtkd-decode")
