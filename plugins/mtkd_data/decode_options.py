"""The options of the sources that decode images."""

from __future__ import annotations

from collections.abc import Sequence

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import sides
from mtkd_cli.reading.image_reader import DecodeOptions


def decode_options(
    size: int | Sequence[int],
    channels: int,
    fit: str = "crop",
    on_bad_sample: str = "error",
    workers: int = 4,
    cache: str = "auto",
) -> DecodeOptions:
    """Return the options of a recipe's ``data`` section; see `mtkd show data NAME` for their meaning.

    Raises:
        UsageError: the number of channels is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise UsageError(
            f"invalid number of channels {channels}",
            where="data.channels",
            hint="use 3 for RGB or 1 for gray",
        )
    grid = sides(size if isinstance(size, int) else (size[0], size[1]))
    return DecodeOptions(grid, channels, fit, workers, on_bad_sample == "skip", cache)
