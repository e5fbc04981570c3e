"""Curves for TensorBoard, by tensorboardX."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_cli.errors import DataError


class TensorBoard:
    """Writes every number of a row as a scalar, by step, into ``tensorboard/`` of the run folder."""

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        """Open the event file and keep the recipe as text."""
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise DataError(
                "tensorboardX is not installed",
                where="trackers",
                hint="pip install 'mtkd[tensorboard]'",
            ) from error
        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._writer.add_text("recipe", f"```json\n{json.dumps(recipe, indent=2)}\n```")

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Write one row's numbers."""
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float) and not isinstance(value, bool):
                self._writer.add_scalar(name, value, row["step"])
        self._writer.flush()

    def run_finished(self, report: Mapping[str, Any]) -> None:
        """Close the event file."""
        self._writer.close()
