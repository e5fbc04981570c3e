"""Find the files of each split of a data set of the library `datasets`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError, first_line
from mtkd_data.split_files import NAMES, list_files, split_files

ENDINGS = (".parquet", ".arrow")
SPLITS, STATE = "dataset_dict.json", "state.json"
"""Files in a folder that `datasets` saved: with several splits, and with one."""


def split_tables(path: str) -> dict[str, list[Path]]:
    """Return the files of each split: of a saved data set, or as `split_files` finds them.

    Args:
        path: folder that `datasets` saved, or folder, file or pattern.

    Raises:
        DataError: there are no files, or those of a saved data set are not valid.
    """
    folder = Path(path)
    if (folder / STATE).is_file():
        return {"train": _saved_files(folder)}
    if not (folder / SPLITS).is_file():
        return split_files(path, ENDINGS)
    names = _read(folder / SPLITS, "splits")
    splits = {split: _saved_files(folder / name) for name in names for split in NAMES if name in NAMES[split]}
    if "train" not in splits:
        raise DataError(
            f"the saved splits are {', '.join(names)}; none is train",
            where=str(folder / SPLITS),
            hint="set data.path to the folder of the split to train on",
        )
    if ignored := [name for name in names if all(name not in words for words in NAMES.values())]:
        logging.getLogger("mtkd").warning("%s: not used: the splits %s", path, ", ".join(ignored))
    return splits


def split_table_files(path: str, key: str) -> list[Path]:
    """Return the files of one split: a folder that `datasets` saved, or folder, file or pattern.

    Args:
        path: the path.
        key: recipe key of the path, for messages.
    """
    if (Path(path) / STATE).is_file():
        return _saved_files(Path(path))
    return list_files(path, ENDINGS, key)


def _saved_files(folder: Path) -> list[Path]:
    file = folder / STATE
    if _read(file, "_indices_data_files", required=False):
        raise DataError(
            "the saved data set has an index of selected rows",
            str(file),
            "load and save it with datasets >= 2",
        )
    files = [folder / name for name in _read(file, "_data_files")]
    for data in files:
        if not data.is_file():
            raise DataError(f"no file {data}", str(file), "copy or save the data set again")
    return files


def _read(file: Path, key: str, required: bool = True) -> list[str]:
    """Return a list of file names in a JSON file; an entry may be a mapping with the key ``filename``."""
    try:
        document: Any = json.loads(file.read_text("utf-8"))
        names = document[key] if required else document.get(key) or []
        names = [str(name["filename"] if isinstance(name, dict) else name) for name in names]
        if outside := [name for name in names if Path(name).name != name]:
            raise ValueError(f"{outside[0]!r} leads outside the folder")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(
            f"the saved data set cannot be read: {first_line(error)}", str(file), "save the data set again"
        ) from error
    return names
