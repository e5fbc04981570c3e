"""Files of data sources are created once, found by their key, and not pruned while they are read."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

from mtkd_cli.files import checksummed_json, sampled_check
from mtkd_cli.interfaces import DataCache, Samples, SourceData
from mtkd_cli.reading.encoded_images import ImageFiles
from mtkd_cli.reading.image_reader import DecodeOptions
from mtkd_cli.specs import DataSpec
from mtkd_cli.store import content_store, inventory
from mtkd_cli.store.data_cache import StoreCache
from mtkd_cli.testing import check_data
from mtkd_data.image_cache import read_images

KEY = {"source": "mine", "format": 1}


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_STORE", str(tmp_path / "store"))


def writer(calls: list[Path]) -> Any:
    def write(folder: Path) -> None:
        calls.append(folder)
        np.save(folder / "rows.npy", np.arange(4))

    return write


def test_writes_each_key_once() -> None:
    calls: list[Path] = []
    first = StoreCache().keep(KEY, writer(calls))
    assert StoreCache().keep(dict(KEY), writer(calls)) == first
    assert len(calls) == 1
    assert StoreCache().keep(KEY | {"format": 2}, writer(calls)) != first
    assert len(calls) == 2


def test_prune_keeps_mapped_arrays() -> None:
    cache = StoreCache()
    rows = cache.mapped(cache.keep(KEY, writer([])) / "rows.npy")
    assert inventory.prune(0, 0)[0] == []
    assert rows.tolist() == [0, 1, 2, 3]
    assert [item.what for item in inventory.list_items()] == ["files of a data source"]


class Older:
    """A source that expects a `Path` as its cache."""

    def load(self, cache: Path) -> SourceData:
        cache.mkdir(parents=True, exist_ok=True)
        (cache / "note.txt").write_text("0 1 1")
        again = Path(cache) / "note.txt"
        assert [file.name for file in cache.iterdir()] == ["note.txt"]
        assert Path(f"{cache}", "note.txt") == again
        targets = np.array([int(part) for part in again.read_text().split()])
        return SourceData(("no", "yes"), Samples(("a", "b", "c"), np.zeros((3, 1, 4, 4), np.uint8), targets))


def test_cache_works_as_path() -> None:
    check_data(Older, DataSpec("older", "", "x:y", inputs="image"))
    assert Older().load(StoreCache()).train.targets.tolist() == [0, 1, 1]  # type: ignore[arg-type]
    assert (content_store.root() / "images" / "note.txt").is_file()
    assert copy.copy(StoreCache()) == StoreCache()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (8, 8), (10, 20, 30)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_finds_previously_decoded_images(picture: Path) -> None:
    cache = StoreCache()
    read_images(cache, ImageFiles([picture], cache), DecodeOptions((8, 8), 3))
    (folder,) = (item.folder for item in inventory.list_items() if item.kind == "images")
    key = json.loads((folder / "key.json").read_text())
    digest = hashlib.sha256(picture.read_bytes()).hexdigest()
    assert key == {
        "images": hashlib.sha256(digest.encode()).hexdigest(),
        "size": 8,
        "channels": 3,
        "decoder": key["decoder"],
        "pillow": PIL.__version__,
    }
    assert folder.name == content_store.digest(key)


def test_sources_use_given_cache(picture: Path, tmp_path: Path) -> None:
    class Elsewhere:
        folder = tmp_path

        def keep(self, key: Any, write: Any) -> Path:
            (tmp_path / "mine").mkdir()
            write(tmp_path / "mine")
            return tmp_path / "mine"

        def mapped(self, path: Path) -> Any:
            return np.load(path, mmap_mode="r")

        def describe_files(self, paths: Any, describe: Any, dtype: Any, version: str) -> Any:
            return np.array([describe(path.read_bytes()) for path in paths], dtype)

    cache: DataCache = Elsewhere()
    images = read_images(cache, ImageFiles([picture], cache), DecodeOptions((8, 8), 3))
    assert images.inputs[0, :, 0, 0].tolist() == [10, 20, 30]
    assert images.rows.tolist() == [0]
    assert not content_store.root().exists()


def large(calls: list[Path]) -> Any:
    def write(folder: Path) -> None:
        calls.append(folder)
        np.save(folder / "rows.npy", np.arange(30_000))

    return write


def flip_without_trace(path: Path) -> None:
    """Flip a bit of a kept file, with the times that are known of it."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    kept = checksummed_json.read(path.with_name(sampled_check.VERIFIED))
    stat = path.stat()
    kept["files"][path.name]["times"] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    checksummed_json.write(path.with_name(sampled_check.VERIFIED), kept)


@pytest.mark.parametrize("how", ["edited", "verify all", "store verify"])
def test_damaged_large_folder_is_written_again(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled_check, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(sampled_check, "SAMPLE_BLOCKS", 0)
    calls: list[Path] = []
    path = StoreCache().keep(KEY, large(calls)) / "rows.npy"
    if how == "edited":
        path.write_bytes(bytes(path.stat().st_size))
    else:
        flip_without_trace(path)
        StoreCache().keep(KEY, large(calls))
        assert len(calls) == 1, "nothing is wrong with its size and times"
    if how == "store verify":
        assert [item.folder for item in inventory.damaged_items()] == [path.parent]
    StoreCache(verify_all=how == "verify all").keep(KEY, large(calls))
    assert len(calls) == 2
    assert np.load(path)[-1] == 29_999
    assert inventory.damaged_items() == []
