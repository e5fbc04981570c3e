"""Open text files that other programs wrote: UTF-8, UTF-16 and UTF-32 with a byte order mark, or as told."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from mtkd_cli.errors import DataError, UsageError, first_line
from mtkd_cli.files.regular_file import open_regular

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, and the encodings that skip them."""

HINT = "save it as UTF-8, or set data.encoding, e.g. to cp1252 (Windows, Western Europe) or utf-16-le"


def read_text(file: Path, hint: str) -> str:
    """Return the text in a file that is UTF-8, or says its encoding with a byte order mark.

    Args:
        file: the file.
        hint: what to do about a file that cannot be read.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with open_text(file) as opened:
            return opened.read()
    except DataError as error:
        raise DataError(error.what, error.where, hint) from error


def parse_json(text: str, where: str, hint: str) -> Any:
    """Return the value of a JSON text.

    Args:
        text: the text.
        where: its file.
        hint: what to do about a text that is not JSON.

    Raises:
        DataError: it is not valid JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"not valid JSON: {first_line(error)}", where, hint) from error
    except RecursionError as error:
        raise DataError("the JSON is nested too deeply", where, hint) from error


@contextmanager
def open_text(file: Path, encoding: str | None = None) -> Iterator[TextIO]:
    """Open a text file for reading, with unchanged line breaks. Errors in the block are errors of the file.

    Args:
        file: the file.
        encoding: its encoding, unless it begins with a byte order mark; None: UTF-8.

    Raises:
        DataError: the file cannot be read, or is not in the encoding.
    """
    check_encoding(encoding or "utf-8")
    try:
        encoding_used = marked_encoding(file) or encoding or "utf-8"
        with io.TextIOWrapper(open_regular(file), encoding=encoding_used, newline="") as opened:
            yield opened
    except UnicodeError as error:
        raise DataError(*_undecodable(file, encoding), HINT) from error
    except OSError as error:
        raise _unreadable(file, error) from error


def check_encoding(encoding: str) -> str:
    """Return an encoding that Python knows.

    Raises:
        UsageError: it does not.
    """
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    except (LookupError, ValueError) as error:
        raise UsageError(
            f"unknown encoding {encoding!r}", "data.encoding", "use utf-8, cp1252, latin-1, utf-16-le, ..."
        ) from error
    return encoding


def zero_byte(where: str) -> DataError:
    """Return the error of a text with a zero byte, as the bytes of UTF-16 have when read as UTF-8."""
    return DataError("the text contains a zero byte; the file may be UTF-16", where, HINT)


def is_utf8(file: Path) -> bool:
    """Whether a file is UTF-8, or says its encoding with a byte order mark."""
    try:
        with open_text(file) as opened:
            return all("\0" not in part for part in iter(lambda: opened.read(1 << 20), ""))
    except DataError:
        return False


def marked_encoding(file: Path) -> str | None:
    """Return the encoding that a byte order mark states, or None.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with open_regular(file) as opened:
            start = opened.read(4)
    except OSError as error:
        raise _unreadable(file, error) from error
    return next((encoding for mark, encoding in MARKS if start.startswith(mark)), None)


def _unreadable(file: Path, error: OSError) -> DataError:
    return DataError(
        f"the file cannot be read: {error.strerror or first_line(error)}", str(file), "check its permissions"
    )


def _undecodable(file: Path, encoding: str | None) -> tuple[str, str]:
    """Return what cannot be decoded, and where."""
    name = codecs.lookup(marked_encoding(file) or encoding or "utf-8").name
    if not name.startswith(("utf-16", "utf-32")):  # a line break is one byte
        with open_regular(file) as opened:
            for number, line in enumerate(opened, 1):
                try:
                    line.decode(name)
                except UnicodeDecodeError as error:
                    found = line[max(error.start - 10, 0) : error.end + 10]
                    return f"the file is not {name.upper()}: {found!r}", f"{file}, row {number}"
                except UnicodeError:
                    break
    return f"the file is not {name.upper()}", str(file)
