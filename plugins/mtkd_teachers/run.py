"""The student of an earlier run as a teacher: chains of students, born-again networks."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mtkd_cli import sealed
from mtkd_cli.interfaces import Model, ModelRequest
from mtkd_cli.run import STUDENT, WEIGHTS
from mtkd_cli.trained import UNFINISHED, folder_of, load_student, local_code


class RunProvider:
    """Loads ``run:FOLDER`` or ``run:NAME`` from the run's folder alone; its checksums must hold."""

    def build(self, request: ModelRequest) -> Model:
        """Return the student, with its own preprocessing and classes."""
        facts = sealed.read(folder_of(request.model) / STUDENT, UNFINISHED)
        for name in local_code(facts):
            logging.getLogger("mtkd").warning("the student of %s runs local code: %s", request.model, name)
        student = load_student(request.model)
        return replace(
            student.model,
            classes=student.classes,
            trained=True,
            shaped=None,
            outputs=None,
            has_background=False,  # it was trained here, where classes count from 0
        )

    def files(self, model: str) -> Iterable[Path]:
        """Return the files that decide what the student answers."""
        folder = folder_of(model)
        return [folder / STUDENT, folder / WEIGHTS]
