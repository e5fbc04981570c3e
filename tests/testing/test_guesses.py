"""`plugins check` calls the functions that recognize files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtkd_cli.interfaces import DataGuess
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.specs import DataSpec, TeacherSpec
from mtkd_cli.testing.broken import BrokenRuleError
from mtkd_cli.testing.guesses import check_guess


def everything(path: Path, task: str) -> list[DataGuess]:
    return [DataGuess({}, "anything", ())]


def text(path: Path, task: str) -> list[str]:
    return ["cat"]


def fails(path: Path, task: str) -> list[str]:
    raise ZeroDivisionError


@pytest.mark.parametrize("name", ["everything", "text", "fails", "absent"])
def test_wrong_guess_is_named(name: str) -> None:
    with pytest.raises(BrokenRuleError, match="guess"):
        check_guess("the data source 'd'", DataSpec("d", "D.", "a:b", guess=f"{__name__}:{name}"))


def test_built_in_guesses_are_valid(registry: Registry) -> None:
    specs = [entry.spec for entry in registry.entries]
    checked = [spec for spec in specs if isinstance(spec, DataSpec | TeacherSpec) and spec.guess]
    assert len(checked) > 10
    for spec in checked:
        check_guess(spec.name, spec)
