"""Write a student as a folder that is ready for a model hub: configuration, weights and model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.files import atomic
from mtkd_cli.inference.export import describe_export
from mtkd_cli.inference.run_files import HUB_WEIGHTS, STUDENT, weights_file
from mtkd_cli.inference.student import LoadedStudent, load_student
from mtkd_cli.interfaces import sides

USAGE = """import mtkd

for answer in mtkd.predict("{folder}", ["{file}"]):
    print(answer)
"""
CONFIG, CARD = "config.json", "README.md"


@dataclass(frozen=True)
class Description:
    """How the student in a folder is loaded.

    Attributes:
        library: name of the library that loads it, as model hubs have it.
        config: content of ``config.json``.
        usage: Python code that loads it.
    """

    library: str
    config: Mapping[str, Any]
    usage: str


def description(student: LoadedStudent, folder: Path) -> Description:
    """Return how a student is loaded: by its own library if that is possible, or else by mtkd."""
    own = student.model.hub
    # Outputs in standard units mean something else to a library that does not know the scale.
    if own is not None and student.model.scale is None:
        config = own.config(student.model.input, student.classes)
        if config is not None:
            return Description(own.library, config, own.usage.format(folder=folder.name))
    file = "rows.csv" if student.takes == "table" else "photo.jpg"
    return Description("mtkd", describe_export(student), USAGE.format(folder=folder.name, file=file))


def write(student: LoadedStudent, folder: Path, described: Description, card: str) -> list[Path]:
    """Write ``config.json``, ``model.safetensors``, ``README.md`` and ``student.json``; return their paths.

    mtkd loads the folder as it loads a run. The folder appears complete or not at all.

    Args:
        student: student of a run.
        folder: folder to create.
        described: see `description`.
        card: model card in Markdown.

    Raises:
        UsageError: the folder exists.
        DataError: the disk cannot be written, or the written student answers differently.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists", where="--output", hint="give another folder, or remove it")
    with atomic.disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic.workplace(folder) as temporary, atomic.disk_errors(folder):
        part = temporary / folder.name
        part.mkdir()
        (part / CONFIG).write_text(json.dumps(described.config, indent=2) + "\n", encoding="utf-8")
        (part / CARD).write_text(card, encoding="utf-8")
        shutil.copyfile(weights_file(student.folder), part / HUB_WEIGHTS)
        shutil.copyfile(student.folder / STUDENT, part / STUDENT)
        _check(student, part)
        names = sorted(path.name for path in part.iterdir())
        for name in names:
            atomic.sync_file(part / name)
        part.rename(folder)
        atomic.sync_folder(folder.parent)
    return [folder / name for name in names]


def _check(student: LoadedStudent, folder: Path) -> None:
    """Raise `DataError` if the student in a folder does not answer exactly as the student of the run."""
    reads = student.facts["reads"]
    table = student.takes == "table"
    shape = (2, len(reads["columns"])) if table else (2, reads["channels"], *sides(reads["size"]))
    inputs = np.arange(np.prod(shape)).reshape(shape).astype(np.float64 if table else np.uint8)
    expected = student.answer(inputs)
    found = load_student(folder, trust_code=student.trust_code).answer(inputs)
    if not torch.equal(torch.nan_to_num(expected), torch.nan_to_num(found)):
        raise DataError("the written student answers differently", str(folder), "nothing was written; retry")
