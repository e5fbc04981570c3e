"""Find the files of each split: in split folders, by words in file names, or by patterns."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtkd_cli.errors import DataError, UsageError, missing_path
from mtkd_data.image_folder import SPLITS
from mtkd_data.image_folder import UNLABELED as UNLABELED_FOLDERS

UNLABELED = "unlabeled"
NAMES = {**SPLITS, UNLABELED: UNLABELED_FOLDERS}
"""Words for each split, as the name of a folder or as a word in the name of a file."""

DEEPEST = 4
"""Maximum number of nested folders; links are followed, so there may be loops."""

MOST_FILES = 1_000_000
PATTERN = re.compile(r"[*?\[{]")
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")
REMOTE = re.compile(r"\w+://|pipe:")


def split_files(path: str, endings: Sequence[str], key: str = "data.path") -> dict[str, list[Path]]:
    """Return the files of each split by name: ``train``, ``val``, ``test`` and ``unlabeled``, if present.

    The files of a folder, or of a pattern that matches several splits, belong to the split that a folder or a
    word in the file's name says: ``train/0.tar``, ``photos-train-0.tar``. If no name says a split, all files
    are for training.

    Args:
        path: folder, file, or pattern with ``*``, ``?``, ``[]`` or ``{000..009}``.
        endings: endings of the file names.
        key: recipe key of the path, for messages.

    Raises:
        DataError: there are no such files, or the names contradict each other.
        UsageError: the pattern is invalid.
    """
    files = list_files(path, endings, key)
    words = {file: _split_of(file, Path(path)) for file in files}
    named = [file for file in files if words[file]]
    is_one = not Path(path).is_dir() and len(set(words.values())) == 1
    if not named or is_one:
        return {"train": files}
    if len(named) < len(files):
        unclear = next(file for file in files if not words[file])
        raise DataError(
            f"{unclear.name} does not say its split, but {named[0].name} does",
            where=str(unclear),
            hint="put train, val, test or unlabeled into its name, or set data.path to a pattern",
        )
    splits = {split: [file for file in files if words[file] == split] for split in NAMES}
    if not splits["train"]:
        raise DataError(
            f"{path} has files of {', '.join(s for s in splits if splits[s])}, but none of train",
            where=key,
            hint="name the training files train-*, or set data.path to a pattern that matches only them",
        )
    for split, found in splits.items():
        if other := next((file for file in found if file.parent != found[0].parent), None):
            raise DataError(
                f"files of the {split} split are in two folders: {found[0].parent} and {other.parent}",
                where=key,
                hint="set data.path to one of the data sets, or to a pattern such as train/*/*",
            )
    return {split: found for split, found in splits.items() if found}


def list_files(path: str, endings: Sequence[str], key: str = "data.path") -> list[Path]:
    """Return the files of a folder at any depth, of a pattern or of a single path: see `split_files`."""
    if REMOTE.match(path):
        raise UsageError(f"{path} is not a local file", key, "copy the files to a local or mounted folder")
    if Path(path).is_dir():
        files = _in_folder(Path(path), endings)
        if not files:
            raise DataError(f"no {' or '.join(endings)} files in {path}", key, "fix the path")
        return files
    if not PATTERN.search(path) or Path(path).is_file():
        if not Path(path).is_file():
            raise missing_path(path, key, "file or folder")
        return [Path(path)]
    found: list[Path] = []
    for single in itertools.islice(expand_braces(path, key), MOST_FILES):
        matches = sorted(glob.glob(single)) if PATTERN.search(single) else [single]  # noqa: PTH207
        if not matches or not Path(matches[0]).is_file():
            raise missing_path(single, key)
        found += map(Path, matches)
    return list(dict.fromkeys(found))


def check_disjoint(splits: Mapping[str, Sequence[Path]]) -> None:
    """Raise if a file belongs to two splits.

    Raises:
        DataError: names the file.
    """
    split_of: dict[Path, str] = {}
    for split, files in splits.items():
        for file in files:
            if (other := split_of.setdefault(file.resolve(), split)) != split:
                raise DataError(
                    f"the file belongs to {other} and {split}",
                    where=str(file),
                    hint="set data.path to a pattern without the files of the other splits",
                )


def expand_braces(pattern: str, key: str) -> list[str]:
    """Return the patterns that one with braces stands for: ``{a,b}`` or ``{000..009}``, with leading zeros.

    Raises:
        UsageError: the braces are not valid, or stand for too many files.
    """
    match = BRACES.search(pattern)
    if match is None:
        if "{" in pattern or "}" in pattern:
            raise UsageError(f"unpaired brace in {pattern}", key, "write {000..009} or {a,b}")
        return [pattern]
    numbers = RANGE.fullmatch(match[1])
    if numbers:
        first, last = int(numbers[1]), int(numbers[2])
        if last < first or last - first >= MOST_FILES:
            raise UsageError(f"invalid range {match[0]}", key, "write the smaller number first: {000..009}")
        middle = [str(number).zfill(len(numbers[1])) for number in range(first, last + 1)]
    else:
        middle = match[1].split(",")
    heads = [pattern[: match.start()] + part for part in middle]
    tails = expand_braces(pattern[match.end() :], key)
    if len(heads) * len(tails) > MOST_FILES:
        raise UsageError(f"{pattern} stands for more than {MOST_FILES:,} files", key, "use smaller ranges")
    return [head + tail for head in heads for tail in tails]


def _in_folder(root: Path, endings: Sequence[str]) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(root, followlinks=True):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = [n for n in folders if not n.startswith(".") and depth < DEEPEST]
        found += [Path(folder, n) for n in names if n.endswith(tuple(endings)) and not n.startswith(".")]
    return sorted(file for file in found if file.is_file())


def _split_of(file: Path, root: Path) -> str:
    """Return the split that a folder below ``root`` or a word in the file's name says, or ``''``."""
    folders = file.relative_to(root).parts[:-1] if root.is_dir() else ()
    for name in folders:
        for split, words in NAMES.items():
            if name in words:
                return split
    found = {
        split
        for split, words in NAMES.items()
        if re.search(rf"(?<![a-z0-9])({'|'.join(words)})(?![a-z])", file.stem.lower())
    }
    return found.pop() if len(found) == 1 else ""
