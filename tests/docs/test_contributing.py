"""What CONTRIBUTING.md says a change costs is true of all that is built in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mtkd_cli.plugin.registry import Registry
from mtkd_cli.specs import KINDS

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "CONTRIBUTING.md").read_text().partition("## What a change costs")[2].partition("\n## ")[0]
ROWS = [line.strip("|").split("|") for line in TABLE.splitlines() if line.startswith("| ")][2:]
NAMED_IN = {
    "strategies": "choosing-a-strategy.md",
    "tasks": "recipes.md",
    "losses": "write-a-loss.md",
    "teachers": "teachers.md",
    "data": "recipes.md",
    "recipes": "recipes.md",
    "trackers": "write-a-tracker.md",
}


def test_the_table_has_a_row_for_each_kind_of_plugin_and_more() -> None:
    assert len(ROWS) > len(KINDS)


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip() for row in ROWS])
def test_every_path_is_where_such_things_are(row: list[str]) -> None:
    paths = [path for cell in row[1:4] for path in re.findall(r"`((?:plugins|mtkd_cli|tests)/[^`]*)`", cell)]
    assert paths
    for path in paths:
        assert list(ROOT.glob(path.replace("NAME", "*"))), path


@pytest.mark.parametrize("kind", KINDS)
def test_everything_built_in_is_named_in_its_page(kind: str, registry: Registry) -> None:
    page = (ROOT / "docs" / NAMED_IN[kind]).read_text()
    assert [name for name in registry.names(kind) if f"`{name}`" not in page] == []
