"""Names of a run's files that are needed to use its student."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("runs")
STUDENT, WEIGHTS = "student.json", "student.safetensors"
