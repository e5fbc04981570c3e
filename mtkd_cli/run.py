"""The run folder: what one distillation leaves behind, each file written whole or not at all."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtkd_cli import atomic, sealed, strict_yaml, weights
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import Model
from mtkd_cli.recipe import NAME, Recipe

if TYPE_CHECKING:
    from PIL.Image import Image

ROOT = Path("runs")
STUDENT, WEIGHTS = "student.json", "student.safetensors"


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
            raise atomic.disk_error(error, self.folder) from error

    def write_recipe(self, recipe: Recipe) -> None:
        """Keep the resolved recipe."""
        with atomic.disk_errors(self.folder):
            atomic.write_bytes(self.folder / "recipe.yaml", strict_yaml.dump(recipe.as_dict()).encode())

    def write_student(self, model: Model, facts: Mapping[str, Any]) -> None:
        """Keep the student's own weights, and beside them what is needed to use it; it vouches for both."""
        part = self.folder / ".student.partial"
        try:
            with atomic.disk_errors(part):
                weights.write(part, model.module.state_dict(), {"mtkd": json.dumps(facts, sort_keys=True)})
                digest = hashlib.sha256(part.read_bytes()).hexdigest()
                part.replace(self.folder / WEIGHTS)
                sealed.write(self.folder / STUDENT, {**facts, "weights": digest})
        finally:
            part.unlink(missing_ok=True)

    def write_report(self, report: Mapping[str, Any]) -> None:
        """Keep the report's facts; `mtkd_cli.report.files` makes pages of them."""
        with atomic.disk_errors(self.folder):
            atomic.write_json(self.folder / "report.json", report)

    def write_picture(self, picture: Image | None) -> None:
        """Keep the picture of predictions, if there is one."""
        if picture is not None:
            content = io.BytesIO()
            picture.save(content, "PNG")
            with atomic.disk_errors(self.folder):
                atomic.write_bytes(self.folder / "predictions.png", content.getvalue())

    def failed(self, error: BaseException) -> None:
        """Log why a run ended early; where nothing was trained yet, give its name back."""
        if (self.folder / "metrics.jsonl").exists():
            with contextlib.suppress(Exception):
                self.log(f"failed: {type(error).__name__}: {error}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Append one row to ``metrics.jsonl``."""
        self._append("metrics.jsonl", json.dumps(row))

    def log(self, line: str) -> None:
        """Append one line to ``log.txt``."""
        self._append("log.txt", f"{datetime.datetime.now().isoformat(timespec='seconds')} {line}")

    def _append(self, name: str, line: str) -> None:
        path = self.folder / name
        with atomic.disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def default_name(recipe_name: str) -> str:
    """Return a name made of the time and the recipe's name, free at this moment."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in recipe_name)[:60]
    name = f"{stamp}-{plain}"
    number = 2
    while (ROOT / name).exists():
        name, number = f"{stamp}-{plain}-{number}", number + 1
    return name
