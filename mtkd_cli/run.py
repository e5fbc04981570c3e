"""The run folder: what one distillation leaves behind, each file written whole or not at all."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_cli import atomic, strict_yaml, weights
from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import Model
from mtkd_cli.recipe import NAME, Recipe

ROOT = Path("runs")


class Run:
    """One run folder, open for writing.

    Raises:
        UsageError: the name is taken or is no plain name.
        DataError: the folder cannot be made.
    """

    def __init__(self, name: str) -> None:
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name for a run", where="--name", hint="use letters, digits, '.', '_' and '-'"
            )
        self.folder = ROOT / name
        try:
            self.folder.mkdir(parents=True)
        except FileExistsError as error:
            raise UsageError(
                f"the run {self.folder} exists", where="--name", hint="choose another name"
            ) from error
        except OSError as error:
            raise DataError(f"the run folder cannot be made: {error}", where=str(self.folder)) from error

    def write_recipe(self, recipe: Recipe) -> None:
        """Keep the resolved recipe."""
        atomic.write_bytes(self.folder / "recipe.yaml", strict_yaml.dump(recipe.as_dict()).encode())

    def write_student(self, model: Model, facts: Mapping[str, Any]) -> None:
        """Keep the student's own weights, and beside them what is needed to use it."""
        part = self.folder / ".student.partial"
        text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
        weights.write(part, model.module.state_dict(), {"format": "pt", **text})
        part.replace(self.folder / "student.safetensors")
        atomic.write_json(self.folder / "student.json", facts)

    def write_report(self, report: Mapping[str, Any]) -> None:
        """Keep the report."""
        atomic.write_json(self.folder / "report.json", report)

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Append one row to ``metrics.jsonl``."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def log(self, line: str) -> None:
        """Append one line to ``log.txt``."""
        with (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{datetime.datetime.now().isoformat(timespec='seconds')} {line}\n")


def default_name(recipe_name: str) -> str:
    """Return a name made of the time and the recipe's name, free at this moment."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in recipe_name)[:60]
    name = f"{stamp}-{plain}"
    number = 2
    while (ROOT / name).exists():
        name, number = f"{stamp}-{plain}-{number}", number + 1
    return name
