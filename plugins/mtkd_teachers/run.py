"""The student of an earlier run as a teacher: chains of students, born-again networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mtkd_cli import api
from mtkd_cli.interfaces import Model, ModelRequest


class RunProvider:
    """Loads ``run:FOLDER`` or ``run:NAME`` from the run folder; checks its checksums."""

    def build(self, request: ModelRequest) -> Model:
        """Return the student, with its own preprocessing and classes."""
        student = api.load_student(request.model, trust_code=request.trust_code)
        return replace(
            student.model,
            classes=student.classes,
            trained=True,
            to_task_shape=None,
            outputs=None,
            has_background=False,  # mtkd trained it: classes count from 0
        )

    def files(self, model: str) -> Iterable[Path]:
        """Return the files that determine the student's outputs, including local code; imports none of it."""
        return api.student_files(model)
