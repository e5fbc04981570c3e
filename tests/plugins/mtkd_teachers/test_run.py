"""A run's student as the teacher of the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.inference.student import load_student
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.training.context import Context

Contexts = Callable[..., Context]
CHAIN = "teachers=[{name: before, model: 'run:first'}]"


@pytest.fixture
def first(distil: Callable[..., dict[str, Any]]) -> Path:
    distil(name="first")
    return Path("runs/first")


def test_a_students_answers_are_those_that_it_gave_in_its_run(first: Path, context: Contexts) -> None:
    made = context(CHAIN)
    (teacher,) = prepare_teachers(made, 1)
    test = made.data.test.samples
    rows = test.inputs[:] if test.rows is None else test.inputs[test.rows]
    torch.testing.assert_close(
        teacher.recorded("test", 0), load_student("first").answer(rows), atol=4e-3, rtol=4e-3
    )
    assert teacher.own_classes == [[str(digit)] for digit in range(10)]


def test_a_chain_of_students_is_trained(first: Path, distil: Callable[..., dict[str, Any]]) -> None:
    report = distil(CHAIN, name="second")
    assert report["scores"]["teachers"]["before"]["accuracy"] == pytest.approx(
        report["scores"]["ensemble"]["accuracy"]
    )


def test_weights_that_the_run_did_not_write_are_refused(first: Path, context: Contexts) -> None:
    prepare_teachers(context(CHAIN), 1)
    weights = first / "student.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        prepare_teachers(context(CHAIN), 1)


def test_a_run_that_is_not_there_is_named(context: Contexts) -> None:
    with pytest.raises(UsageError, match="no run 'first'"):
        prepare_teachers(context(CHAIN), 1)
