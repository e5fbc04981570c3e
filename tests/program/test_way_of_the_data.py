"""The way from the command to an optimizer step is short: a few functions to read, no more."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import mtkd_cli
from mtkd_cli.cli import app
from tests.fixtures.small_runs import SMALL

MOST = 8
"""Functions of mtkd on the stack, the command and the training loop included."""

HOME = Path(mtkd_cli.__file__).parent


def own_functions() -> tuple[str, ...]:
    """Return the functions of mtkd that wait for the present call, from the command on."""
    found, frame = [], sys._getframe(1)
    while frame is not None:
        code, file = frame.f_code, Path(frame.f_code.co_filename)
        if file.is_relative_to(HOME) and not code.co_name.startswith("<"):  # comprehensions
            found.append(f"{file.relative_to(HOME)}:{code.co_name}")
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(reversed(found[: found.index("cli/commands/distill.py:distill") + 1]))


def test_few_functions_lie_between_the_command_and_any_optimizer_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ways: dict[tuple[str, ...], None] = {}
    step = torch.optim.AdamW.step

    def noted(self: Any, *arguments: Any, **named: Any) -> Any:
        ways[own_functions()] = None
        return step(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    result = CliRunner().invoke(app.create(), ["distill", "digits", *SMALL, "--name", "way"])
    assert result.exit_code == 0, result.stderr
    assert len(ways) == 3  # fitted teachers, the distilled student, its baseline
    for way in ways:
        assert way[0] == "cli/commands/distill.py:distill"
        assert way[-1] == "training/loop.py:train"
        assert len(way) <= MOST, "\n".join(way)
