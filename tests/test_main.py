"""How the program starts."""

from __future__ import annotations

import os

import pytest

from mtkd_cli import __main__
from mtkd_cli.cli import app


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, __main__.SPIN_COUNT),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, None),
    ],
)
def test_threads_spin_for_a_short_time_unless_the_user_says_otherwise(
    given: dict[str, str], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(app, "run", lambda: None)
    __main__.main()
    assert os.environ.get("GOMP_SPINCOUNT") == found
