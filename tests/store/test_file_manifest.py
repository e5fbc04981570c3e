"""A manifest is the one that was written, or it is none."""

from __future__ import annotations

import errno
import fcntl
import threading
from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.files.file_listing import name_hashes
from mtkd_cli.store import content_store, file_manifest
from mtkd_cli.store.file_manifest import Manifest

FIELDS = np.dtype([("sha256", np.uint8, 4), ("width", np.int32)])
KEY = file_manifest.key_of("", "1", FIELDS)


def make(count: int, width: int = 7) -> Manifest:
    names = b"".join(b"some/class/%08d.jpg\0" % number for number in range(count))
    records = np.zeros(count, FIELDS)
    records["width"] = width
    return Manifest(names, np.arange(3 * count).reshape(count, 3), records)


def load() -> Manifest | None:
    return file_manifest.load(content_store.folder_of(file_manifest.KIND, KEY))


@pytest.mark.parametrize("count", [0, 1, 100_000])
def test_loads_what_was_saved(count: int) -> None:
    assert load() is None
    file_manifest.save(KEY, make(count))
    found, expected = load(), make(count)
    assert found is not None
    assert found.names == expected.names
    assert np.array_equal(found.times, expected.times)
    assert np.array_equal(found.records, expected.records)
    rows = np.arange(count)[::-1]
    wanted = [f"some/class/{row:08}.jpg" for row in rows]
    assert np.array_equal(found.find(name_hashes(wanted)), rows)
    assert found.find(name_hashes(["other"])).tolist() == [-1]


def test_any_damage_makes_it_none() -> None:
    file_manifest.save(KEY, make(3))
    path = content_store.folder_of(file_manifest.KIND, KEY) / file_manifest.NAME
    good = path.read_bytes()
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 16]) + good[position + 1 :])
        assert load() is None
    for size in range(len(good)):
        path.write_bytes(good[:size])
        assert load() is None
    path.write_bytes(good + b"\0")
    assert load() is None
    path.write_bytes(good)
    assert load() is not None


def test_readers_never_see_half_of_a_manifest_without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    file_manifest.save(KEY, make(500))
    stop, seen = threading.Event(), set()

    def write(width: int) -> None:
        while not stop.is_set():
            file_manifest.save(KEY, make(500, width))

    writers = [threading.Thread(target=write, args=(width,)) for width in (8, 9)]
    for writer in writers:
        writer.start()
    for _ in range(200):
        found = load()
        assert found is not None
        (width,) = set(found.records["width"].tolist())
        seen.add(width)
    stop.set()
    for writer in writers:
        writer.join()
    assert seen <= {7, 8, 9}
    folder = content_store.folder_of(file_manifest.KIND, KEY)
    assert sorted(path.name for path in folder.iterdir()) == ["key.json", file_manifest.NAME]


def test_others_are_existing_files_of_other_names() -> None:
    for name in ("a", "b"):
        Path(name).touch()
    manifest = Manifest(b"a\0b\0gone\0", np.arange(9).reshape(3, 3), np.zeros(3, FIELDS))
    others = manifest.others("", name_hashes(["a", "new"]))
    assert (others.names, others.times.tolist(), len(others)) == (b"b\0", [[3, 4, 5]], 1)
    assert len(manifest.others("", name_hashes(["a", "b"]))) == 0
