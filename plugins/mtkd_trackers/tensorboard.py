"""Write curves for TensorBoard with tensorboardX."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_trackers.rows import curve_name, numbers_of, require


class TensorBoard:
    """Writes the numbers of each row as scalars, by step, to ``tensorboard/`` in the run folder.

    Each training (of a teacher, of the student, of each candidate learning rate) has its own subfolder,
    which TensorBoard shows as a run.
    """

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        """Write the recipe as text.

        Raises:
            DataError: tensorboardX is not installed.
        """
        require("tensorboardX", "tensorboardX", "tensorboard")
        self._folder, self._writers = folder / "tensorboard", dict[str, Any]()
        self._writer("recipe").add_text("recipe", f"```json\n{json.dumps(recipe, indent=2)}\n```")
        self._writer("recipe").flush()

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Write the numbers of one row."""
        writer = self._writer(curve_name(row))
        for name, value in numbers_of(row).items():
            writer.add_scalar(name, value, row["step"])
        writer.flush()

    def run_finished(self, report: Mapping[str, Any]) -> None:
        """Close the event files."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, curve: str) -> Any:
        """Return the writer of a curve; create it on first use."""
        from tensorboardX import SummaryWriter

        if curve not in self._writers:
            self._writers[curve] = SummaryWriter(str(self._folder / curve))
        return self._writers[curve]
