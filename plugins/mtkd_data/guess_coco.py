"""Recognize COCO annotations, for ``mtkd init --data``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtkd_cli.errors import join_first
from mtkd_cli.interfaces import FILL_IN, DataGuess
from mtkd_cli.reading import read_regular
from mtkd_cli.reading.image_folders import can_be_path, list_folders
from mtkd_data.coco import SECTIONS
from mtkd_data.guess_images import decoding

LARGEST = 320
SAMPLED = 20
SPLIT = re.compile(r"(?<![a-z])(train|val|test)(?:id|idation)?(?![a-z])", re.IGNORECASE)


def guess(path: Path, task: str) -> list[DataGuess]:
    """Return the annotations in a JSON file, or in a folder and its folders."""
    root = _root(path)
    files = [path] if path.is_file() else sorted([*path.glob("*.json"), *path.glob("*/*.json")])
    found = {file: content for file in files if (content := _content(file)) is not None}
    if not found:
        return []
    by_split: dict[str, list[Path]] = {}
    for file in found:
        by_split.setdefault("train" if len(found) == 1 else _split(file, root), []).append(file)
    if "" in by_split or "train" not in by_split:
        by_split = {"train": list(found)}
    options: dict[str, Any] = {}
    why: dict[str, str] = {}
    for split in ("train", "val", "test"):
        if split in by_split:
            _add(options, why, split, by_split[split], found, root)
    content = found[by_split["train"][0]]
    folder = options["images"]
    images = [Path(folder, _file_name(entry)) for entry in content["images"]] if folder != FILL_IN else []
    shape, reasons = decoding(images, LARGEST)
    names = [str(category["name"]) for category in content["categories"]]
    return [
        DataGuess(
            {**options, **shape},
            f"{by_split['train'][0].name} has boxes of {len(names)} classes in {len(content['images']):,} "
            f"images: {join_first(names)}",
            ("detection",),
            why={"task": "the annotations are boxes", **why, **reasons},
            splits=tuple(split for split in ("val", "test") if split in by_split),
            checks=("images without annotations count as images without objects",),
        )
    ]


def _add(
    options: dict[str, Any],
    why: dict[str, str],
    split: str,
    files: Sequence[Path],
    found: Mapping[Path, Any],
    root: Path,
) -> None:
    """Add the annotation file and the folder of images of one split."""
    prefix = "" if split == "train" else f"{split}_"
    names = [file.relative_to(root).as_posix() for file in files]
    options[f"{prefix}annotations"] = str(files[0]) if len(files) == 1 else FILL_IN
    if len(files) > 1:
        why[f"{prefix}annotations"] = f"several files fit: {join_first(names)}"
    folder = _images(found[files[0]], files[0], root)
    options[f"{prefix}images"] = FILL_IN if folder is None else str(folder)
    if folder is None:
        why[f"{prefix}images"] = "folder of the images; those of the annotations were not found"


def _root(path: Path) -> Path:
    if path.is_dir():
        return path
    return path.parent.parent if path.parent.name == "annotations" else path.parent


def _split(file: Path, root: Path) -> str:
    """Return the split in the file's name or its folder's, ``""`` if there is not exactly one."""
    named = {match.lower() for match in SPLIT.findall(file.relative_to(root).as_posix())}
    return named.pop() if len(named) == 1 else ""


def _content(file: Path) -> dict[str, Any] | None:
    """Return the content of a file of boxes, None for other files."""
    try:
        content = json.loads(read_regular(file))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in SECTIONS):
        return None
    has_boxes = any(isinstance(entry, dict) and "bbox" in entry for entry in content["annotations"])
    is_named = all(isinstance(entry, dict) and "name" in entry for entry in content["categories"])
    return content if has_boxes and is_named else None


def _images(content: Mapping[str, Any], file: Path, root: Path) -> Path | None:
    """Return the folder that contains the images of an annotation file."""
    names = [_file_name(entry) for entry in content["images"][:SAMPLED]]
    outer = [root / name for name in list_folders(root)]
    inner = [folder / name for folder in outer for name in list_folders(folder)]
    for folder in (file.parent, root, *outer, *inner):
        if names and all(name and can_be_path(name) and (folder / name).is_file() for name in names):
            return folder
    return None


def _file_name(entry: Any) -> str:
    return str(entry.get("file_name", "")) if isinstance(entry, dict) else ""
