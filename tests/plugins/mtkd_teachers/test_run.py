"""Provider `run`: the student of an earlier run as a teacher."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.inference.student import load_student
from mtkd_cli.teachers.prepare import prepare_teachers
from tests.fixtures.small_runs import Contexts

CHAIN = "teachers=[{name: before, model: 'run:first'}]"


@pytest.fixture
def first(distill: Callable[..., dict[str, Any]]) -> Path:
    distill(name="first")
    return Path("runs/first")


def test_outputs_equal_those_of_the_run(first: Path, context: Contexts) -> None:
    made = context(CHAIN)
    (teacher,) = prepare_teachers(made, 1)
    test = made.data.test.samples
    rows = test.inputs[:] if test.rows is None else test.inputs[test.rows]
    torch.testing.assert_close(
        teacher.recorded_outputs("test", 0), load_student("first").answer(rows), atol=4e-3, rtol=4e-3
    )
    assert teacher.own_classes == [[str(digit)] for digit in range(10)]


def test_trains_chain_of_students(first: Path, distill: Callable[..., dict[str, Any]]) -> None:
    report = distill(CHAIN, name="second")
    assert report["scores"]["teachers"]["before"]["accuracy"] == pytest.approx(
        report["scores"]["ensemble"]["accuracy"]
    )


def test_rejects_modified_weights(first: Path, context: Contexts) -> None:
    prepare_teachers(context(CHAIN), 1)
    weights = first / "student.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        prepare_teachers(context(CHAIN), 1)


def test_rejects_missing_run(context: Contexts) -> None:
    with pytest.raises(UsageError, match="no run 'first'"):
        prepare_teachers(context(CHAIN), 1)
