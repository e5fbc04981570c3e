"""Names of the files in a run folder that its student needs."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("runs")
STUDENT, WEIGHTS = "student.json", "student.safetensors"
HUB_WEIGHTS = "model.safetensors"
"""Name of the weights in a folder for a model hub, which has no other files of a run."""


def weights_file(folder: Path) -> Path:
    """Return the file with the student's weights in the folder of a run or in one for a model hub."""
    hub = folder / HUB_WEIGHTS
    return hub if hub.is_file() and not (folder / WEIGHTS).exists() else folder / WEIGHTS
