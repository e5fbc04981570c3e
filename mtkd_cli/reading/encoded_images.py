"""Encoded image files with random access by row: files, entries of archives, cells of tables."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtkd_cli.files.regular_file import read_regular
from mtkd_cli.interfaces import DataCache
from mtkd_cli.reading.images import FORMAT, FORMATS, upright_size

IMAGE_FACTS = np.dtype([("sha256", np.uint8, 32), ("height", np.int32), ("width", np.int32)])
"""SHA-256 of an encoded image, and the size of the upright image in pixels; 0 and 0: not a whole image."""

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
PNG_END = b"IEND\xaeB`\x82"
WEBP_START = b"RIFF"
LONGEST_TRAILER = 4096
"""Bytes at the end of a file in which its end marker must be; some programs add bytes after it."""


class EncodedImages(Protocol):
    """Encoded images with random access by row. Reading is thread-safe."""

    def __len__(self) -> int:
        """Return the number of images N."""

    def read(self, row: int) -> bytes:
        """Return the encoded image of a row.

        Raises:
            OSError: it cannot be read.
        """

    def name(self, row: int) -> str:
        """Return the name of a row for messages: a path, or archive and entry."""

    def facts(self) -> NDArray[Any]:
        """Return the `IMAGE_FACTS` of all rows, ``[N]``, without reading what was read before."""


class ImageFiles:
    """Image files, with facts that the cache keeps.

    Args:
        files: image files.
        cache: cache of the facts.
    """

    def __init__(self, files: Sequence[Path], cache: DataCache) -> None:
        self.files, self.cache = files, cache

    def __len__(self) -> int:
        return len(self.files)

    def read(self, row: int) -> bytes:
        """Return the content of a file."""
        return read_regular(self.files[row])

    def name(self, row: int) -> str:
        """Return the path of a file."""
        return str(self.files[row])

    def facts(self) -> NDArray[Any]:
        """Return the facts ``[N]``; each file is read once.

        Raises:
            DataError: a file cannot be opened.
        """
        return self.cache.describe_files(
            self.files, describe_image, IMAGE_FACTS, f"image {FORMAT} {' '.join(FORMATS)}"
        )


def describe_image(content: bytes) -> tuple[NDArray[np.uint8], int, int]:
    """Return the `IMAGE_FACTS` of one encoded image: SHA-256, height and width of the upright image.

    Only the header is decoded, and the whole image if its end marker is missing: a truncated image has the
    size 0.
    """
    digest = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
    try:
        width, height = upright_size(io.BytesIO(content))
        if not _has_end(content):
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                image.load()
    except Exception:  # decoders raise all kinds of errors for damaged files
        return digest, 0, 0
    return digest, height, width


def _has_end(content: bytes) -> bool:
    """Whether an image is surely whole: by its end marker, or by the size in its header."""
    if content.startswith(WEBP_START):
        return len(content) >= 8 + int.from_bytes(content[4:8], "little")
    end = content[-LONGEST_TRAILER:]
    return (JPEG_END if content.startswith(JPEG_START) else PNG_END) in end
