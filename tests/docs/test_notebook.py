"""The notebook in the documentation runs from top to bottom, offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def cells(kind: str) -> list[str]:
    found: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in found["cells"] if cell["cell_type"] == kind]


def test_the_notebook_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    for number, cell in enumerate(cells("code")):  # a kernel would need Jupyter's packages and sockets
        exec(compile(cell, f"{NOTEBOOK.name}, code cell {number}", "exec"), names)
    printed = capsys.readouterr().out
    for said in ("baseline alone", "digit-0.png", "95 % interval", "did you mean 'epochs'?"):
        assert said in printed
    assert Path("runs/notebook/report.html").is_file()


def test_the_notebook_has_no_outputs() -> None:
    found: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in found["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert found["nbformat"] == 4
