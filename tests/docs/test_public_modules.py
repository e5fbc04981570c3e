"""The modules that plugins may import: the page, the linter's contract and what we show agree."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text()
PUBLIC = set(re.findall(r"^\| `mtkd_cli\.(\w+)` \|", PAGE, flags=re.MULTILINE))
ENTRIES = {"__main__", "pytest_plugin"}
"""Modules that are started or named, and not imported."""

IMPORT = re.compile(
    r"^\s*(?:from mtkd_cli\.(\w+)\S* import|import mtkd_cli\.(\w+)|from mtkd_cli import (\w+))", re.M
)


def contracts() -> dict[str, dict[str, list[str]]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {contract["name"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def test_every_package_is_public_or_private() -> None:
    layers = contracts()["Rooms import from lower rooms only"]["layers"]
    rooms = {room for layer in layers for room in layer.split(" | ")}
    forbidden = contracts()["Plugins import the public modules only"]["forbidden_modules"]
    private = {name.removeprefix("mtkd_cli.") for name in forbidden}
    assert not private & PUBLIC
    assert private | PUBLIC | ENTRIES == rooms


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_modules_are_documented(name: str) -> None:
    assert importlib.import_module(f"mtkd_cli.{name}").__doc__


def shown() -> list[Path]:
    """Return the code that authors start from: pages, examples and what `mtkd plugins new` writes."""
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "plugins").rglob("*.py")]
    return sorted([*pages, *(ROOT / "mtkd_cli" / "plugin" / "templates").glob("*.txt")])


def test_templates_import_public_modules_only() -> None:
    found = {
        (file.name, name)
        for file in shown()
        for names in IMPORT.findall(file.read_text())
        for name in names
        if name
    }
    assert ("task.py.txt", "interfaces") in found
    assert {(file, name) for file, name in found if name not in PUBLIC} == set()
