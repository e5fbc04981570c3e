"""The samples of a WebDataset shard: entries of a tar archive with the same name up to the first dot."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from mtkd_cli.errors import DataError
from mtkd_cli.reading.images import ENDINGS
from mtkd_data.shard_index import ImageRow
from mtkd_data.tar_entries import TarEntry, tar_entries

FOLDER = "folder"
"""Value of the option ``label``: the class is the first folder of an entry's name."""

JSON_FIELDS = ("label", "cls", "class")
"""Fields of the ``.json`` that may contain the class, the first one first."""

LONGEST_LABEL, LONGEST_JSON = 2**12, 2**24
"""Maximum size of an entry with a label, in bytes."""

META = re.compile(r"__[^/]*__($|/)")
"""Names that WebDataset reserves for facts about the shard."""


@dataclass
class _Sample:
    """A sample while its entries are read.

    Attributes:
        key: name up to the first dot.
        first: its first entry.
        image: its image, and the content.
        texts: contents of its other small entries by extension.
    """

    key: str
    first: TarEntry
    image: TarEntry | None = None
    content: bytes = b""
    texts: dict[str, TarEntry] = field(default_factory=dict)


def tar_images(path: Path, label: str | None, image: str | None) -> Iterator[ImageRow]:
    """Yield the images of a shard; a sample's name is that of its image, as an image in a folder has it.

    Hidden files and folders, and entries without an extension are ignored.

    Args:
        path: an uncompressed tar archive.
        label: extension or field of the ``.json`` that contains the class, or `FOLDER`; None: ``cls``, or one
            of `JSON_FIELDS`.
        image: extension of the images; None: that of any image.

    Raises:
        DataError: the archive is damaged, a sample has several images, a name is a duplicate, or a label is
            not a class.
    """
    seen: dict[str, str] = {}
    with path.open("rb", buffering=2**20) as file:
        sample: _Sample | None = None
        for entry in tar_entries(file, path):
            split = _split_name(entry.name, whole=label == FOLDER)
            if split is None:
                continue
            key, extension = split
            if sample is None or key != sample.key:
                if sample is not None:
                    yield _row(sample, file, path, label)
                if key in seen:
                    raise _duplicate(path, seen[key], entry.name)
                seen[key] = entry.name
                sample = _Sample(key, entry)
            _add(sample, entry, extension, file, path, image)
        if sample is not None:
            yield _row(sample, file, path, label)


def _split_name(name: str, whole: bool) -> tuple[str, str] | None:
    """Return key and extension of an entry's name; None if the entry is not a part of a sample.

    Args:
        name: the name.
        whole: whether each entry is a sample of its own, whose key is its name.
    """
    folder, _, file = name.rpartition("/")
    is_hidden = any(part.startswith(".") and part != ".." for part in name.split("/"))
    stem, dot, extension = file.partition(".")
    if is_hidden or not stem or not dot or META.match(name):
        return None
    if whole:
        return name, extension.lower()
    return (f"{folder}/{stem}" if folder else stem), extension.lower()


def _add(
    sample: _Sample, entry: TarEntry, extension: str, file: BinaryIO, path: Path, image: str | None
) -> None:
    is_image = extension == image if image else f".{extension}".endswith(ENDINGS)
    if entry.is_link:
        raise DataError(
            f"{entry.name} is a link, which has no content",
            str(path),
            "write the shard again, with tar --dereference --hard-dereference",
        )
    if extension in sample.texts or (sample.image is not None and sample.image.name == entry.name):
        raise _duplicate(path, entry.name, entry.name)
    if not is_image:
        sample.texts[extension] = entry
        return
    if sample.image is not None:
        raise DataError(
            f"the sample {sample.key} has two images: {sample.image.name} and {entry.name}",
            str(path),
            f"set data.image to the extension of the images, for example data.image: {extension}",
        )
    file.seek(entry.offset)
    sample.image, sample.content = entry, file.read(entry.size)


def _row(sample: _Sample, file: BinaryIO, path: Path, label: str | None) -> ImageRow:
    if sample.image is None:
        return ImageRow(sample.first.name, "", None)
    name = sample.image.name
    text = name.partition("/")[0] if label == FOLDER and "/" in name else ""
    if label != FOLDER:
        text = _label(sample, file, path, label)
    return ImageRow(name, text, sample.content, sample.image.offset)


def _label(sample: _Sample, file: BinaryIO, path: Path, label: str | None) -> str:
    """Return the label of a sample as text; ``''`` if it has none."""
    entry = sample.texts.get(label or "cls")
    if entry is not None:
        return _text(entry, file, path, LONGEST_LABEL).strip()
    entry = sample.texts.get("json")
    if entry is None:
        return ""
    where = f"{path}: {entry.name}"
    try:
        values = json.loads(_text(entry, file, path, LONGEST_JSON))
    except (ValueError, RecursionError) as error:
        raise DataError("the entry is not valid JSON", where, "fix the entry") from error
    names = (label,) if label else JSON_FIELDS
    value: Any = next((values[n] for n in names if n in values), None) if isinstance(values, dict) else None
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | str)):
        raise DataError(
            f"the label {json.dumps(value)[:40]} is not a class number or name",
            where,
            "fix the entry, or set data.label to the field that contains the class",
        )
    return "" if value is None else str(value).strip()


def _text(entry: TarEntry, file: BinaryIO, path: Path, longest: int) -> str:
    where = f"{path}: {entry.name}"
    if entry.size > longest:
        raise DataError(f"{entry.size:,} bytes are too many for a label", where, "fix the entry")
    file.seek(entry.offset)
    try:
        return file.read(entry.size).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("the label is not UTF-8 text", where, "fix the entry") from error


def _duplicate(path: Path, first: str, second: str) -> DataError:
    return DataError(
        f"two samples have the same name: {first} and {second}",
        str(path),
        "rename one; entries of one sample must be next to each other, as tar --sort=name writes them",
    )
