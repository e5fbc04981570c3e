"""Log curves and scores to Weights & Biases."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_trackers.rows import curve_name, flatten, numbers_of, require


class WeightsAndBiases:
    """Logs the numbers of each row, and the final scores as the summary.

    The mode is that of ``WANDB_MODE``; without it ``online`` if an API key is stored, otherwise ``offline``.
    Files are in ``wandb/`` of the run folder; ``wandb sync`` uploads an offline run.

    Args:
        project: project that the run belongs to.
        entity: user or team; None takes the default of the account.
    """

    def __init__(self, project: str, entity: str | None) -> None:
        self.project, self.entity = project, entity

    def run_started(self, recipe: Mapping[str, Any], folder: Path) -> None:
        """Start a run, or continue that of a resumed one. The recipe is its configuration.

        Raises:
            DataError: wandb is not installed.
        """
        require("wandb", "wandb", "wandb")
        import wandb

        mode: Any = os.environ.get("WANDB_MODE") or (
            "online" if wandb.login(prompt=False, verify=False) else "offline"
        )
        self._curves = set[str]()
        self._run = wandb.init(
            project=self.project,
            entity=self.entity,
            name=folder.name,
            id=_stored_id(folder / "wandb" / "run-id"),
            resume="allow",
            mode=mode,
            dir=str(folder),
            config=dict(recipe),
            settings=wandb.Settings(silent=True, console="off"),
        )

    def epoch_finished(self, row: Mapping[str, Any]) -> None:
        """Log the numbers of one row as ``CURVE/NAME``, by the step of its training."""
        curve = curve_name(row)
        if curve not in self._curves:
            # wandb counts one step for the whole run; each training has its own.
            self._run.define_metric(f"{curve}/*", step_metric=f"{curve}/step")
            self._curves.add(curve)
        numbers = {f"{curve}/{name}": value for name, value in numbers_of(row).items()}
        self._run.log({f"{curve}/step": row["step"], **numbers})

    def run_finished(self, report: Mapping[str, Any]) -> None:
        """Write the scores and the verdict to the summary, and finish."""
        self._run.summary.update({f"scores.{name}": value for name, value in flatten(report["scores"])})
        self._run.summary["verdict"] = report["verdict"]["sentence"]
        self._run.finish()


def _stored_id(path: Path) -> str:
    """Return the id in a file; write a new one first if the file is missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(uuid.uuid4().hex)
    return path.read_text()
