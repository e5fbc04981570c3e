"""Curves for TensorBoard, by tensorboardX."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError

LABELS = ("phase", "candidate", "step")
"""Where a row stands; everything else is a number to draw."""


class TensorBoard:
    """Writes every number of a row as a scalar, by step, into ``tensorboard/`` of the run folder.

    Each training (a teacher that is fitted, the student, each learning rate that is tried) is a curve of
    its own: a folder that TensorBoard shows as one run.
    """

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        """Keep the recipe as text."""
        try:
            import tensorboardX  # noqa: F401  # said now, not after the first epoch
        except ImportError as error:
            raise DataError(
                "tensorboardX is not installed",
                where="trackers",
                hint="pip install 'mtkd[tensorboard]'",
            ) from error
        self._folder, self._writers = folder / "tensorboard", dict[str, Any]()
        self._of("recipe").add_text("recipe", f"```json\n{json.dumps(recipe, indent=2)}\n```")
        self._of("recipe").flush()

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Write one row's numbers."""
        curve = " ".join(str(row[label]) for label in LABELS[:2] if label in row)
        writer = self._of(re.sub(r"[^A-Za-z0-9._-]+", "-", curve))
        for name, value in row.items():
            if name not in LABELS and isinstance(value, int | float) and not isinstance(value, bool):
                writer.add_scalar(name, value, row["step"])
        writer.flush()

    def run_finished(self, report: Mapping[str, Any]) -> None:
        """Close the event files."""
        for writer in self._writers.values():
            writer.close()

    def _of(self, curve: str) -> Any:
        from tensorboardX import SummaryWriter

        if curve not in self._writers:
            self._writers[curve] = SummaryWriter(str(self._folder / curve))
        return self._writers[curve]
