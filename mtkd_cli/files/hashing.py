"""Checksums of files and arrays."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtkd_cli.files.regular_file import open_regular

BLOCK_BYTES = 2**20


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each of some files in a folder, by name."""
    return {name: file_sha256(folder / name) for name in names}


def file_and_block_checksums(path: Path) -> tuple[str, list[int]]:
    """Return the SHA-256 of a file, and the CRC-32 of each of its blocks of `BLOCK_BYTES`."""
    digest, blocks = hashlib.sha256(), []
    with open_regular(path) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            blocks.append(zlib.crc32(block))
    return digest.hexdigest(), blocks


def array_sha256(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
