"""The entries of a tar archive: name, offset and size, in one pass.

Python's ``tarfile`` ends silently at a damaged header, and is several times slower.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mtkd_cli.errors import DataError

BLOCK = 512
END = bytes(BLOCK)
LONGEST_NAME = 2**16
"""Maximum size of an extended header, in bytes; a larger one is damaged."""

MOST_DIGITS = 20

FILES, LINKS, WITHOUT_DATA = b"0\x007", b"12", b"123456"
LONG_NAME, LONG_LINK, EXTENDED, GLOBAL, SPARSE = b"L", b"K", b"xX", b"g", b"S"
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
}
"""First bytes of compressed files."""


@dataclass(frozen=True, slots=True)
class TarEntry:
    """A file or link in an archive.

    Attributes:
        name: name as valid UTF-8, with other bytes escaped, and without a leading ``./``.
        offset: first byte of its content in the archive.
        size: size of its content in bytes.
        is_link: whether it is a link, which has no content.
    """

    name: str
    offset: int
    size: int
    is_link: bool = False


def tar_entries(file: BinaryIO, path: Path) -> Iterator[TarEntry]:
    """Yield the files and links of an archive in order; the caller may read and seek in between.

    Args:
        file: the opened archive.
        path: its path, for messages.

    Raises:
        DataError: the archive is compressed, damaged or truncated, or has a sparse file.
    """
    length = os.fstat(file.fileno()).st_size
    position, name, size = 0, None, None
    while (header := _read(file, position, BLOCK)) != END:
        if position == 0:
            _refuse_compressed(header, path)
        if len(header) < BLOCK:
            raise _truncated(path, position)
        _check_sum(header, path, position)
        kind, start = header[156:157], position + BLOCK
        count = _number(header[124:136], path, position) if size is None else size
        if kind in WITHOUT_DATA:
            count = 0
        if start + count > length:
            raise _truncated(path, position)
        position = start + -(-count // BLOCK) * BLOCK
        if kind in LONG_NAME + LONG_LINK + EXTENDED:
            if count > LONGEST_NAME:
                raise _damaged(path, start, f"an extended header of {count:,} bytes")
            content = _read(file, start, count)
            if kind == LONG_NAME:
                name = content.partition(b"\0")[0]
            elif kind in EXTENDED:
                records = _records(content, path, start)
                name = records.get(b"path", name)
                size = int(records[b"size"]) if b"size" in records else None
            continue
        if kind == SPARSE:
            raise _sparse(path, start)
        if kind in FILES + LINKS and not header[:100].partition(b"\0")[0].endswith(b"/"):
            yield TarEntry(_text(name or _short_name(header)), start, count, kind in LINKS)
        if kind != GLOBAL:
            name = size = None


def _read(file: BinaryIO, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)


def _number(field: bytes, path: Path, position: int) -> int:
    """Return a number field: octal digits, or big-endian after a first byte of 128."""
    try:
        value = int.from_bytes(field[1:]) if field[0] == 128 else int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        value = -1
    if value < 0:
        raise _damaged(path, position, "the size of an entry is not a number")
    return value


def _check_sum(header: bytes, path: Path, position: int) -> None:
    """Raise if a header's checksum, the sum of its bytes with its own field as 8 spaces, does not match."""
    stored = _number(header[148:156], path, position)
    total = sum(header) - sum(header[148:156]) + 8 * 32
    if stored == total:
        return
    negative = sum(byte > 127 for byte in header[:148] + header[156:])
    if stored != total - 256 * negative:  # some old programs added signed bytes
        raise _damaged(path, position, "the checksum of a header does not match")


def _short_name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _records(content: bytes, path: Path, start: int) -> dict[bytes, bytes]:
    """Return the records of a pax header, each of them ``LENGTH KEY=VALUE`` and a line feed."""
    records: dict[bytes, bytes] = {}
    rest = content
    while rest:
        digits, _, _ = rest.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < MOST_DIGITS else 0
        key, equals, value = rest[len(digits) + 1 : length].partition(b"=")
        if length > len(rest) or not equals or not value.endswith(b"\n"):
            raise _damaged(path, start, "an invalid pax header")
        records[key], rest = value[:-1], rest[length:]
    if any(key.startswith(b"GNU.sparse.") for key in records):
        raise _sparse(path, start)
    size = records.get(b"size", b"0")
    if not size.isdigit() or len(size) > MOST_DIGITS:
        raise _damaged(path, start, "the size of an entry is not a number")
    return records


def _text(name: bytes) -> str:
    text = name.decode("utf-8", "surrogateescape").encode("utf-8", "backslashreplace").decode()
    while text.startswith("./"):
        text = text[2:].lstrip("/")
    return text


def _refuse_compressed(header: bytes, path: Path) -> None:
    if not header:
        raise DataError("the shard is empty", str(path), "copy or write the shard again")
    for magic, name in COMPRESSED.items():
        if header.startswith(magic):
            raise DataError(
                f"the shard is compressed with {name}; random access needs plain tar",
                str(path),
                "decompress it, for example with gunzip; images hardly become smaller by it",
            )


def _damaged(path: Path, position: int, why: str) -> DataError:
    hint = "copy or write the shard again" if position else "the file is not a tar archive"
    return DataError(f"the shard is damaged at byte {position:,}: {why}", str(path), hint)


def _truncated(path: Path, position: int) -> DataError:
    return DataError(
        f"the shard is truncated at byte {position:,}: the rest of an entry or the end marker is missing",
        str(path),
        "copy or write the shard again; if only the end marker is missing: truncate -s +1024 FILE",
    )


def _sparse(path: Path, position: int) -> DataError:
    return DataError(
        f"a sparse file at byte {position:,}", str(path), "write the shard again without --sparse"
    )
