"""Data source `fashion-mnist`: reading IDX files, and errors for damaged ones."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mtkd_cli.data.dataset import load
from mtkd_cli.errors import DataError
from mtkd_cli.recipe.schema import Data
from mtkd_cli.testing import cache_in
from mtkd_data.fashion_mnist import CLASSES, FashionMnist, read_idx


def idx(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def zipped(content: bytes) -> bytes:
    """Return a file without a time, which would change the names of tests."""
    return gzip.compress(content, mtime=0)


def images(n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, 28, 28), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the four files, of 40 training and 20 test samples."""
    for prefix, n in (("train", 40), ("t10k", 20)):
        labels = np.arange(n, dtype=np.uint8) % 10
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images(n))))
        (tmp_path / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return tmp_path


def test_reads_images_and_labels(folder: Path) -> None:
    source = FashionMnist(str(folder), None).load(cache_in(folder))
    assert source.classes == CLASSES
    assert np.array_equal(source.train.inputs, images(40)[:, None])
    assert source.train.targets.tolist() == [*range(10)] * 4
    assert source.train.ids[0] == "train-00000"
    assert source.test is not None
    assert np.array_equal(source.test.inputs, images(20)[:, None])
    assert source.test.ids[-1] == "test-00019"


def test_samples_limits_training_set_only(folder: Path) -> None:
    source = FashionMnist(str(folder), 15).load(cache_in(folder))
    assert len(source.train) == 15
    assert np.array_equal(source.train.inputs, images(40)[:15, None])
    assert source.test is not None
    assert len(source.test) == 20


def test_splits_off_validation(folder: Path) -> None:
    data = load(FashionMnist(str(folder), None).load(cache_in(folder)), Data(name="fashion-mnist", val=0.25))
    assert [len(split) for split in data.splits] == [30, 10, 20]


def test_rejects_missing_file(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"no file t10k-labels-idx1-ubyte\.gz") as error:
        FashionMnist(str(folder), None).load(cache_in(folder))
    assert error.value.where == str(folder)
    assert "data.path" in error.value.hint


def test_rejects_different_numbers_of_images_and_labels(folder: Path) -> None:
    short = np.zeros(39, dtype=np.uint8)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(short)))
    with pytest.raises(DataError, match="40 images but 39 labels"):
        FashionMnist(str(folder), None).load(cache_in(folder))


GOOD = idx(np.arange(10, dtype=np.uint8))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain text",
        GOOD,
        zipped(GOOD)[:-9],
        zipped(GOOD)[:-4] + b"wxyz",
        zipped(GOOD)[:12] + b"\xff" * 9,
        zipped(b""),
        zipped(b"\0\0\x08"),
        zipped(b"\0\0\x08\0"),
        zipped(b"\0\0\x08\x03\0\0"),
        zipped(b"\0\0\x0d\x01" + GOOD[4:]),
        zipped(GOOD[:-1]),
        zipped(GOOD + b"\0"),
        zipped(b"\0\0\x08\x02" + b"\xff" * 8 + b"\0" * 16),
    ],
)
def test_rejects_damaged_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_idx(path)
    assert error.value.where == str(path)


def test_reads_valid_file(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(GOOD))
    assert read_idx(path).tolist() == [*range(10)]


def test_failed_download_suggests_data_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", offline)
    with pytest.raises(DataError, match="cannot be downloaded") as error:
        FashionMnist(None, None).load(cache_in(tmp_path))
    assert "data.path" in error.value.hint
