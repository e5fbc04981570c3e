"""Pipes and devices as files of a user: refused at once, where reading them would wait or never end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtkd_cli.errors import DataError, missing_path
from mtkd_cli.files import checksummed_json, hashing, parallel_read
from mtkd_cli.files.regular_file import SPECIAL, open_regular, read_regular, require_regular
from mtkd_cli.reading import images, tables
from mtkd_cli.reading.class_names import read_class_names
from mtkd_cli.reading.text_file import open_text, read_text
from mtkd_teachers.predictions import PredictionsProvider
from tests.fixtures.command_line import mtkd


@pytest.fixture(autouse=True)
def no_test_waits() -> Iterator[None]:
    def fail(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(params=["pipe", "link", "/dev/zero", "/dev/null", "socket"])
def special(request: pytest.FixtureRequest) -> Path:
    """The path of something that is not a file."""
    path = Path("special.csv")
    if request.param.startswith("/"):
        path.symlink_to(request.param)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    else:
        os.mkfifo("pipe")
        path.symlink_to("pipe")
    return path


def describe(path: Path) -> Any:
    return list(parallel_read.read_each([path], np.array([0]), lambda *_: None))


@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_text(path, "hint"),
        lambda path: open_text(path).__enter__(),
        read_class_names,
        tables.read,
        describe,
        checksummed_json.read,
    ],
    ids=["text", "lines", "classes", "table", "images", "facts"],
)
def test_readers_refuse_special_files(read: Callable[[Path], Any], special: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(special)
    assert "special.csv" in f"{caught.value.what} {caught.value.where}"


def test_predictions_of_a_teacher(special: Path) -> None:
    with pytest.raises(DataError, match="not a file"):
        PredictionsProvider().files(str(special))


@pytest.mark.parametrize(
    ("change", "recipe"),
    [
        ("data={name: coco, annotations: special.csv, images: '.'}", "digit-scenes-det"),
        ("data={name: table, path: special.csv, target: y}", "diabetes"),
        ("data={name: yolo, path: special.csv}", "digit-scenes-det"),
        ("teachers=[{model: 'mlp:4', pretrained: true, classes: special.csv}]", "digits"),
        ("teachers=[{model: 'predictions:special.csv'}]", "digits"),
        ("student={model: 'mlp:4', checkpoint: special.csv}", "digits"),
    ],
)
def test_commands_refuse_special_files(change: str, recipe: str) -> None:
    os.mkfifo("special.csv")
    done = mtkd("distill", recipe, change, "--dry-run")
    assert done.exit_code in (2, 3), done.output
    assert "special.csv" in done.stderr


@pytest.mark.parametrize("read", [open_regular, read_regular, require_regular, hashing.file_sha256])
def test_functions_refuse_special_files(read: Callable[[Path], Any], special: Path) -> None:
    with pytest.raises(OSError) as caught:
        read(special)
    if not special.is_socket():
        assert caught.value.strerror == SPECIAL


@pytest.mark.parametrize("read", [images.upright_size, lambda path: images.decode(path, 8, 3)])
def test_images_refuse_special_files(read: Callable[[Path], Any], special: Path) -> None:
    with pytest.raises(OSError, match="not a file"):
        read(special)


def test_files_and_links_to_files_are_read() -> None:
    Path("file").write_bytes(b"content")
    Path("link").symlink_to("file")
    assert read_regular("link") == b"content"
    require_regular(Path("link"))
    with pytest.raises(IsADirectoryError):
        open_regular(Path())
    with pytest.raises(FileNotFoundError):
        open_regular("missing")


def test_missing_path_says_what_is_there_instead(special: Path) -> None:
    assert missing_path(special, "x").what == "special.csv is a pipe, a socket or a device, not a file"
    assert missing_path(".", "x").what == ". is a folder, not a file"
    for impossible in ("a\0b", "a" * 5000):
        assert missing_path(impossible, "x").what == f"no file {impossible}"
