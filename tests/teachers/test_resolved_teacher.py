"""A resolved teacher has its entry, its provider and its key; the key's files are read once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mtkd_cli.teachers import identity, resolved_teacher
from mtkd_cli.teachers.resolved_teacher import resolved_teachers
from mtkd_cli.training.context import Context


def test_entry_part_and_key_of_each_teacher_belong_together(
    context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    teacher_key = identity.teacher_key

    def counted(*arguments: object) -> object:
        computed.append(arguments[0])
        return teacher_key(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(resolved_teacher, "teacher_key", counted)
    run = context()
    teachers = resolved_teachers(run)
    assert not computed
    for teacher, entry, part in zip(teachers, run.recipe.teachers, run.parts.teachers, strict=True):
        assert (teacher.entry, teacher.part, teacher.name) == (entry, part, entry.name)
        assert teacher.fit_key == teacher.key["fit"]
        assert teacher.fit_key is not None
        assert teacher.key["model"]["model"] == part.model
    assert len({teacher.hash for teacher in teachers}) == 3
    assert computed == list(run.recipe.teachers)


def test_the_identity_of_the_student_has_the_fields_that_stores_have(context: Callable[..., Context]) -> None:
    run = context()
    student = identity.student_identity(run.parts.student, run.recipe.student)
    teacher = resolved_teachers(run)[0].key["model"]
    assert set(student) == set(teacher)
    assert (student["classes"], student["outputs"], student["fit"]) == (None, None, None)
