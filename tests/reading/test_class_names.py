"""Class names in files: lines or JSON, with any byte order mark."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.reading.class_names import read_class_names


def read(text: str, name: str = "classes.txt", encoding: str = "utf-8") -> tuple[str, ...]:
    Path(name).write_text(text, encoding=encoding, newline="")
    return read_class_names(Path(name))


@pytest.mark.parametrize(
    "text",
    [
        "cat\ndög\n",
        "\n cat \r\n\r\ndög",
        '["cat", "dög"]',
        ' ["cat",\n "dög"]\n',
        '{"1": "dög", "0": "cat"}',
        '{"dög": 1, "cat": 0}',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_reads_lines_and_json(text: str, encoding: str) -> None:
    assert read(text, encoding=encoding) == ("cat", "dög")


def test_numbers_are_names() -> None:
    assert read("[7, 12]") == read("7\n12\n") == ("7", "12")
    assert read("", "classes.txt") == ()
    assert read("[]", "c.json") == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('["cat", "dog"', "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"0": "cat", "2": "dog"}', "not a list of class names"),
        ('{"0": ["n01", "cat"], "1": ["n02", "dog"]}', "not a list of class names"),
        ('{"cat": 0, "dog": 0}', "not a list of class names"),
        ('{"cat": 0, "dog": "1"}', "not a list of class names"),
        ('[["cat"]]', "not a list of class names"),
        ("[true, null]", "not a list of class names"),
        ("{}", "not a list of class names"),
    ],
)
def test_refuses_other_json(text: str, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        read(text)
    assert (caught.value.where, "one name per line" in caught.value.hint) == ("classes.txt", True)


def test_json_file_is_json() -> None:
    with pytest.raises(DataError, match="not valid JSON"):
        read("cat\ndog\n", "classes.json")
    with pytest.raises(DataError, match="not a list"):
        read('"cat"', "classes.json")


def test_names_file_that_cannot_be_read() -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_class_names(Path("gone.txt"))
    Path("c.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read_class_names(Path("c.txt"))
