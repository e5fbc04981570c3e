"""The kept index of shards: one pass over the bytes, and random access afterwards."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.store.data_cache import StoreCache
from mtkd_cli.testing import cache_in
from mtkd_data import indexed_images, shard_index
from mtkd_data.indexed_images import IndexedImages, open_images
from mtkd_data.shard_index import ImageRow
from mtkd_data.tar_images import tar_images
from tests.fixtures.shards import encoded, samples, write_tar


@pytest.fixture
def shards() -> list[Path]:
    """Return three shards of five samples each."""
    return [write_tar(Path(f"{n}.tar"), samples(5, 5 * n)) for n in range(3)]


class Reads:
    """Counts which shards are read."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, path: Path) -> Iterator[ImageRow]:
        self.paths.append(path.name)
        return tar_images(path, None, None)


def images(shards: list[Path], reads: Reads | None = None) -> IndexedImages:
    return open_images(cache_in(Path()), shards, reads or Reads(), {"source": "test"}, workers=2)


def labels(found: IndexedImages) -> list[str]:
    return [found.index.labels[number] for number in found.index.entries["label"]]


def test_rows_are_the_samples_in_order(shards: list[Path]) -> None:
    found = images(shards)
    assert list(found.index.ids()) == [f"{n:04}.png" for n in range(15)]
    assert [found.read(row) for row in range(15)] == [encoded(n) for n in range(15)]
    assert labels(found) == [str(n % 2) for n in range(15)]
    assert found.name(7) == "1.tar: 0007.png"


def test_facts_are_checksum_and_size(shards: list[Path]) -> None:
    facts = images(shards).facts()
    assert facts["sha256"][6].tobytes() == hashlib.sha256(encoded(6)).digest()
    assert facts["height"].tolist() == [12] * 15
    assert facts["width"].tolist() == [12 + n % 3 for n in range(15)]


def test_second_start_reads_no_shard(shards: list[Path]) -> None:
    first, second = Reads(), Reads()
    before = images(shards, first)
    after = images(shards, second)
    assert (sorted(first.paths), second.paths) == (["0.tar", "1.tar", "2.tar"], [])
    np.testing.assert_array_equal(before.index.entries, after.index.entries)


def test_only_changed_and_new_shards_are_read(shards: list[Path]) -> None:
    images(shards)
    write_tar(shards[1], samples(4, 5))
    shards.append(write_tar(Path("3.tar"), samples(1, 15)))
    reads = Reads()
    found = images(shards, reads)
    assert sorted(reads.paths) == ["1.tar", "3.tar"]
    assert len(found) == 15
    assert found.read(14) == encoded(15)


def test_interrupted_indexing_keeps_finished_shards(shards: list[Path]) -> None:
    whole = shards[2].read_bytes()
    shards[2].write_bytes(whole[:700])
    with pytest.raises(DataError, match="truncated at byte"):
        images(shards)
    shards[2].write_bytes(whole)
    reads = Reads()
    assert len(images(shards, reads)) == 15
    assert reads.paths == ["2.tar"]


def test_change_that_keeps_size_and_times_is_found(
    shards: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shard_index, "stamp_of", lambda status: (status.st_size,))
    monkeypatch.setattr(indexed_images, "stamp_of", lambda status: (status.st_size,))
    before = images(shards)
    start, size = (int(before.index.entries[0][name]) for name in ("offset", "size"))
    with shards[0].open("r+b") as file:
        file.seek(start + size // 2)
        file.write(b"changed")
    with caplog.at_level(logging.WARNING, "mtkd"):
        after = images(shards)  # 15 images, of which 16 are checked: all
    assert "0.tar: 0000.png changed" in caplog.text
    assert after.facts()["sha256"][0].tobytes() == hashlib.sha256(after.read(0)).digest()
    reads = Reads()
    images(shards, reads)
    assert reads.paths == [], "the new index is kept, and the wrong one is not used again"


def test_all_images_are_read_again_if_asked(
    shards: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shard_index, "stamp_of", lambda status: (status.st_size,))
    monkeypatch.setattr(indexed_images, "stamp_of", lambda status: (status.st_size,))
    monkeypatch.setattr(indexed_images, "CHECKED", 0)
    entry = images(shards).index.entries[12]
    with shards[2].open("r+b") as file:
        file.seek(int(entry["offset"]) + 50)
        file.write(b"x")
    for verify_all, found in ((False, ""), (True, "2.tar: 0012.png changed")):
        said: list[str] = []
        cache = StoreCache(Path(), verify_all, said.append)
        with caplog.at_level(logging.WARNING, "mtkd"):
            open_images(cache, shards, Reads(), {"source": "test"}, workers=2)
        assert found in caplog.text
        assert bool(found) == bool(caplog.text)
    assert said == [
        "15 images in shards, of which 3 of 3 are new or changed; 15 images read again to check them"
    ]


def test_shard_that_changes_while_in_use_is_an_error(shards: list[Path]) -> None:
    found = images(shards)
    indexed_images._open.cache_clear()
    write_tar(shards[0], samples(5, 90))
    with pytest.raises(OSError, match="changed since it was indexed"):
        found.read(0)
    found = images(shards)
    with shards[0].open("r+b") as file:
        file.truncate(600)
    with pytest.raises(OSError, match=r"became shorter: 0.tar: 0094.png"):
        found.read(4)


def test_many_threads_and_a_forked_process_read_the_same(
    shards: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = images(shards)
    wrong: list[int] = []

    def read(seed: int) -> None:
        for row in np.random.default_rng(seed).integers(0, 15, 200):
            if found.read(int(row)) != encoded(int(row)):
                wrong.append(int(row))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child = os.fork()
    if child == 0:
        os._exit(0 if found.read(3) == encoded(3) else 1)
    read(9)
    assert os.waitpid(child, 0)[1] == 0
    assert wrong == []


def test_more_shards_than_files_may_be_open() -> None:
    count = indexed_images.OPEN_FILES + 20
    found = images([write_tar(Path(f"{n:03}.tar"), samples(1, n)) for n in range(count)])
    before = len(list(Path("/proc/self/fd").iterdir()))
    for row in range(count):
        assert found.read(row) == encoded(row)
    assert len(list(Path("/proc/self/fd").iterdir())) - before <= indexed_images.OPEN_FILES


def test_samples_without_an_image_are_named(caplog: pytest.LogCaptureFixture) -> None:
    shard = write_tar(Path("x.tar"), {"0.tif": b"II", "0.cls": "1", **samples(2, 1)})
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "mtkd"):
            assert len(images([shard])) == 2
        assert "left out 1 of 3 samples, which have no image; the first is x.tar: 0.tif" in caplog.text


def test_folder_whose_name_is_not_utf8(shards: list[Path]) -> None:
    folder = Path(b"caf\xe9".decode("utf-8", "surrogateescape"))
    try:
        folder.mkdir()
    except (OSError, UnicodeError):
        return  # the file system does not allow such names
    found = images([shards[0].rename(folder / "0.tar")])
    assert found.read(4) == encoded(4)


def test_images_that_are_not_stored_as_they_are_are_copied(shards: list[Path]) -> None:
    def read(path: Path) -> Iterator[ImageRow]:
        return (ImageRow(row.name, row.label, row.content) for row in tar_images(path, None, None))

    for _ in range(2):
        found = open_images(cache_in(Path()), shards, read, {"source": "copied"}, workers=1)
        assert [found.read(row) for row in range(15)] == [encoded(n) for n in range(15)]


def test_damaged_images_have_size_0(shards: list[Path]) -> None:
    write_tar(shards[0], {"a.png": encoded(0)[:60], "b.jpg": b"no image", "c.png": b""})
    assert images(shards).facts()["height"][:4].tolist() == [0, 0, 0, 12]
