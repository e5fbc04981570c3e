"""Samples of WebDataset shards: which entries belong together, and their labels."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from mtkd_cli.errors import DataError
from mtkd_data.shard_index import ImageRow
from mtkd_data.tar_images import tar_images
from tests.fixtures.shards import encoded, write_tar

A, B = encoded(0), encoded(1)


def rows(
    entries: Mapping[str, bytes | str], label: str | None = None, image: str | None = None
) -> list[ImageRow]:
    return list(tar_images(write_tar(Path("x.tar"), entries), label, image))


def labels(entries: Mapping[str, bytes | str], label: str | None = None) -> list[str]:
    return [row.label for row in rows(entries, label)]


def test_entries_with_the_same_name_up_to_the_first_dot_are_a_sample() -> None:
    entries = {"f/1.cls": "3", "f/1.seg.json": "{}", "f/1.png": A, "f/2.jpg": B, "2.jpeg": B, "2.txt": "x"}
    found = rows(entries)
    assert [(row.name, row.label, row.content) for row in found] == [
        ("f/1.png", "3", A),
        ("f/2.jpg", "", B),
        ("2.jpeg", "", B),
    ]
    data = Path("x.tar").read_bytes()
    for row in found:
        assert row.offset is not None
        assert data[row.offset : row.offset + len(row.content or b"")] == row.content


@pytest.mark.parametrize(
    ("entries", "label", "expected"),
    [
        ({"1.cls": "cat\n"}, None, "cat"),
        ({"1.CLS": " 7 "}, None, "7"),
        ({"1.cls": "\ufeffcat"}, None, "cat"),
        ({"1.cls": ""}, None, ""),
        ({"1.json": '{"label": 3, "class": "dog"}'}, None, "3"),
        ({"1.json": '{"class": "dog"}'}, None, "dog"),
        ({"1.json": '{"label": null}'}, None, ""),
        ({"1.json": '["no", "fields"]'}, None, ""),
        ({"1.json": '{"label": 3}', "1.cls": "4"}, None, "4"),
        ({"1.json": '{"species": "owl"}', "1.cls": "4"}, "species", "owl"),
        ({"1.txt": "owl", "1.cls": "4"}, "txt", "owl"),
        ({"1.json": '"owl"'}, "json", '"owl"'),
    ],
)
def test_labels(entries: dict[str, str], label: str | None, expected: str) -> None:
    assert labels({**entries, "1.png": A}, label) == [expected]
    assert labels({"1.png": A, **entries}, label) == [expected], "the order of entries does not matter"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"label": [1, 2]}', r"label \[1, 2\] is not a class"),
        ('{"label": true}', "label true is not a class"),
        ('{"label": 0.5}', "label 0.5 is not a class"),
    ],
)
def test_invalid_json_labels_name_shard_and_entry(text: str, what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        rows({"1.png": A, "1.json": text})
    assert caught.value.where == "x.tar: 1.json"


def test_labels_that_are_no_text_or_too_long_are_errors() -> None:
    with pytest.raises(DataError, match="not UTF-8"):
        rows({"1.png": A, "1.cls": b"\xff\xfe\x00"})
    with pytest.raises(DataError, match="too many for a label"):
        rows({"1.png": A, "1.cls": "x" * 5000})


def test_the_class_may_be_the_first_folder() -> None:
    entries = {"./cat/a.b.png": A, "./cat/a.c.png": B, "dog/deep/1.jpg": A, "1.png": B, "cat/notes.txt": "x"}
    assert [(row.name, row.label) for row in rows(entries, "folder") if row.content] == [
        ("cat/a.b.png", "cat"),
        ("cat/a.c.png", "cat"),
        ("dog/deep/1.jpg", "dog"),
        ("1.png", ""),
    ]


def test_hidden_files_and_facts_about_the_shard_are_ignored() -> None:
    entries = {".1.png": B, "._1.png": B, ".git/2.png": B, "__meta__/3.png": B, "README": "x", "1.png": A}
    assert [row.name for row in rows(entries)] == ["1.png"]


def test_names_that_lead_outside_are_only_names() -> None:
    entries = {"../1.png": A, "/etc/2.png": B}
    assert [row.name for row in rows(entries)] == ["../1.png", "/etc/2.png"]
    assert list(Path().iterdir()) == [Path("x.tar")]


def test_samples_without_a_supported_image_are_said() -> None:
    assert [row.content for row in rows({"1.tif": b"x", "1.cls": "1", "2.png": A})] == [None, A]


def test_two_images_need_the_option_image() -> None:
    entries = {"1.jpg": A, "1.mask.png": B, "1.cls": "3"}
    with pytest.raises(DataError, match=r"two images: 1.jpg and 1.mask.png") as caught:
        rows(entries)
    assert "data.image" in caught.value.hint
    assert [(row.content, row.label) for row in rows(entries, image="jpg")] == [(A, "3")]
    assert [(row.content, row.label) for row in rows(entries, image="mask.png")] == [(B, "3")]


@pytest.mark.parametrize(
    "names",
    [("1.png", "2.png", "1.cls"), ("1.png", "2.png", "1.png"), ("1.cls", "1.cls", "1.png")],
)
def test_duplicate_names_are_errors_that_name_both(names: tuple[str, ...]) -> None:
    with tarfile.open("x.tar", "w") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            archive.addfile(entry)
    with pytest.raises(DataError, match=rf"same name: {names[0]} and {names[0][:2]}"):
        list(tar_images(Path("x.tar"), None, None))


def test_links_are_refused() -> None:
    with tarfile.open("x.tar", "w") as archive:
        entry = tarfile.TarInfo("1.png")
        entry.type, entry.linkname = tarfile.LNKTYPE, "0.png"
        archive.addfile(entry)
    with pytest.raises(DataError, match=r"1.png is a link") as caught:
        list(tar_images(Path("x.tar"), None, None))
    assert "--hard-dereference" in caught.value.hint


def test_large_json_is_only_read_as_a_label() -> None:
    assert labels({"1.png": A, "1.json": json.dumps({"label": 1, "text": "x" * 100_000})}) == ["1"]
