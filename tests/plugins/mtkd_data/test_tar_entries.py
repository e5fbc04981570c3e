"""Entries of tar archives of every format, and damaged archives."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from mtkd_cli.errors import DataError
from mtkd_data.tar_entries import TarEntry, tar_entries

CONTENTS = {
    "a.txt": b"first",
    "folder/empty.txt": b"",
    f"{'long' * 30}/{'name' * 30}.txt": b"a name of more than 100 characters",
    "ä/ö.txt": b"not ASCII",
    "block.bin": bytes(512),
}


def write(path: Path, contents: dict[str, bytes] = CONTENTS, how: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=how) as archive:
        for number, (name, content) in enumerate(contents.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), number + 0.5  # pax writes fractions into its own header
            archive.addfile(entry, io.BytesIO(content))
    return path


def entries(path: Path) -> list[TarEntry]:
    with path.open("rb") as file:
        return list(tar_entries(file, path))


def contents(path: Path) -> dict[str, bytes]:
    data = path.read_bytes()
    return {entry.name: data[entry.offset : entry.offset + entry.size] for entry in entries(path)}


def failure(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        entries(path)
    assert str(path) in caught.value.where
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("how", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_reads_what_tarfile_writes(tmp_path: Path, how: int) -> None:
    assert contents(write(tmp_path / "x.tar", how=how)) == CONTENTS


def test_reads_ustar_names_with_a_prefix(tmp_path: Path) -> None:
    names = {"a.txt": b"1", f"{'long' * 30}/b.txt": b"2"}
    assert contents(write(tmp_path / "x.tar", names, tarfile.USTAR_FORMAT)) == names


@pytest.mark.parametrize("how", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_reads_what_the_command_tar_writes(tmp_path: Path, how: str) -> None:
    (tmp_path / "d" / "deep").mkdir(parents=True)
    for name in ("b.txt", "a.txt", "deep/c.txt"):
        (tmp_path / "d" / name).write_text(name)
    command = ["tar", f"--format={how}", "--sort=name", "-cf", "x.tar", "-C", "d", "."]
    subprocess.run(command, cwd=tmp_path, check=True)
    names = ["a.txt", "b.txt", "deep/c.txt"]
    assert list(contents(tmp_path / "x.tar").items()) == [(name, name.encode()) for name in names]


def test_content_may_be_read_between_entries(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar")
    with path.open("rb") as file:
        for entry in tar_entries(file, path):
            file.seek(entry.offset)
            assert file.read(entry.size) == CONTENTS[entry.name]


def test_names_are_never_resolved(tmp_path: Path) -> None:
    names = {"../../etc/passwd": b"1", "/root/.ssh/key": b"2", "./././x": b"3"}
    assert list(contents(write(tmp_path / "x.tar", names))) == ["../../etc/passwd", "/root/.ssh/key", "x"]


def test_names_that_are_not_utf8_are_escaped(tmp_path: Path) -> None:
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    for how in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert list(contents(write(tmp_path / "x.tar", {name: b"1"}, how))) == ["caf\\udce9.png"]


def test_links_have_no_content_and_folders_are_skipped(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, kind in (("f", tarfile.DIRTYPE), ("l", tarfile.SYMTYPE), ("p", tarfile.FIFOTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "elsewhere"
            archive.addfile(entry)
    assert [(entry.name, entry.is_link) for entry in entries(tmp_path / "x.tar")] == [("l", True)]


def test_truncation_anywhere_is_an_error(tmp_path: Path) -> None:
    whole = write(tmp_path / "x.tar").read_bytes()
    end = entries(tmp_path / "x.tar")[-1]
    cut = tmp_path / "cut.tar"
    for size in (*range(1, end.offset + end.size, 97), end.offset + end.size, 512):
        cut.write_bytes(whole[:size])
        assert "truncated at byte" in failure(cut).what


def test_missing_end_marker_is_an_error_that_says_how_to_add_it(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar")
    end = entries(path)[-1]
    path.write_bytes(path.read_bytes()[: end.offset + end.size])
    assert "truncate -s +1024" in failure(path).hint
    os.truncate(path, path.stat().st_size + 1024)
    assert contents(path) == CONTENTS


def test_a_flipped_bit_in_any_header_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar", {"a.txt": b"1", "b.txt": b"2"}, tarfile.GNU_FORMAT)
    whole = path.read_bytes()
    for header in (0, 1024):
        for position in range(0, 512, 31):
            data = bytearray(whole)
            data[header + position] ^= 4
            path.write_bytes(data)
            assert f"damaged at byte {header:,}" in failure(path).what


@pytest.mark.parametrize("content", [b"", b"no archive", b"\xff" * 2048])
def test_other_files_are_errors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    failure(tmp_path / "x.tar")


def test_compressed_archives_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tar")
    path.write_bytes(gzip.compress(path.read_bytes()))
    error = failure(path)
    assert "compressed with gzip" in error.what
    assert "gunzip" in error.hint


def test_sparse_files_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "holes").open("wb") as file:
        file.seek(2**20)
        file.write(b"end")
    for how in ("gnu", "posix"):
        subprocess.run(["tar", f"--format={how}", "-Scf", "x.tar", "holes"], cwd=tmp_path, check=True)
        assert "sparse" in failure(tmp_path / "x.tar").what


def header(**fields: bytes) -> bytes:
    """Return a header with a right checksum and raw fields."""
    block = bytearray(tarfile.TarInfo("a").tobuf(tarfile.GNU_FORMAT))
    for name, value in fields.items():
        start = {"size": 124, "type": 156}[name]
        block[start : start + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    "block",
    [
        header(size=b"\xff" * 12),
        header(size=b"-0000000001\0"),
        header(size=b"no number\0\0\0"),
        header(type=b"L", size=b"77777777777\0"),
        header(size=b"\x80" + b"\xff" * 11),
    ],
    ids=["negative", "signed", "text", "long-name", "huge"],
)
def test_impossible_sizes_are_errors(tmp_path: Path, block: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(block + bytes(1024))
    failure(tmp_path / "x.tar")


@pytest.mark.parametrize(
    "records", [b"99 path=x\n", b"path=x\n", b"9 path=x", b"0 path=x\n", b"15 size=banana\n", b"9" * 5000]
)
def test_invalid_extended_headers_are_errors(tmp_path: Path, records: bytes) -> None:
    block = header(type=b"x", size=b"%011o\0" % len(records)) + records
    (tmp_path / "x.tar").write_bytes(block + bytes(-len(block) % 512) + header() + bytes(1024))
    assert "pax header" in (what := failure(tmp_path / "x.tar").what) or "size of an entry" in what
