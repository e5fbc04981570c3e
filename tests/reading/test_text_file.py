"""Encodings of text files: marked, told, or refused with the row."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.reading.text_file import is_utf8, open_text

TEXT = "a,Zürich\r\n"


def read(content: bytes, encoding: str | None = None) -> str:
    Path("t.csv").write_bytes(content)
    with open_text(Path("t.csv"), encoding) as opened:
        return opened.read()


@pytest.mark.parametrize("name", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_mark_states_encoding(name: str) -> None:
    assert read(TEXT.encode(name)) == TEXT
    assert read("\ufeff".encode("utf-16-be") + TEXT.encode("utf-16-be"), "cp1252") == TEXT
    assert is_utf8(Path("t.csv"))


@pytest.mark.parametrize("name", ["cp1252", "latin-1", "utf-16-le"])
def test_reads_told_encoding(name: str) -> None:
    assert read(TEXT.encode(name), name) == TEXT
    assert not is_utf8(Path("t.csv"))


@pytest.mark.parametrize(
    ("content", "encoding", "where"),
    [
        (b"a\nb\nZ\xfcrich\n", None, "t.csv, row 3"),
        (b"a\nb\x81\n", "cp1252", "t.csv, row 2"),
        (b"a", "utf-16", "t.csv"),
    ],
)
def test_names_row_in_another_encoding(content: bytes, encoding: str | None, where: str) -> None:
    with pytest.raises(DataError, match="the file is not ") as caught:
        read(content, encoding)
    assert caught.value.where == where
    assert "data.encoding" in caught.value.hint


@pytest.mark.parametrize("name", ["utf-99", "rot13", "zip", ""])
def test_refuses_unknown_encoding(name: str) -> None:
    with pytest.raises(UsageError, match="unknown encoding"):
        read(b"a", name or "\0")
