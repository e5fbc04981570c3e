"""What is generated of the documentation is current and complete."""

from __future__ import annotations

import importlib.util
import inspect
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from mtkd_cli import hookspecs
from mtkd_cli.specs import KINDS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The script that writes the pages."""
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_current(generate: ModuleType) -> None:
    pages = generate.pages()
    names = {path.name for path in pages}
    assert names >= {
        "commands.md",
        "hooks.md",
        "report-format.md",
        "write-a-strategy.md",
        "write-a-teacher.md",
        "write-a-loss.md",
        "write-a-tracker.md",
    }
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"run python docs/generate.py ({path.name})"


def test_reference_is_complete() -> None:
    page = (DOCS / "hooks.md").read_text()
    hooks = [name for name, value in vars(hookspecs).items() if hasattr(value, "mtkd_spec")]
    assert len(hooks) >= 7
    for name in hooks:
        assert f"## `{name}(" in page
        summary = (inspect.getdoc(getattr(hookspecs, name)) or "").partition("\n")[0]
        assert summary.replace("``", "`") in page
    for kind in KINDS.values():
        section = page.partition(f"Returns a list of `{kind.__name__}`")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", section, re.MULTILINE)
        assert [name for name, _ in rows] == [field.name for field in fields(kind)]
        assert all(len(meaning) > 10 for _, meaning in rows)


def test_links_resolve() -> None:
    pages = [DOCS.parent / "README.md", DOCS.parent / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    assert len(pages) > 30
    broken = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_benchmark_pages_are_listed() -> None:
    listed = (DOCS / "benchmarks" / "README.md").read_text()
    pages = {page.name for page in (DOCS / "benchmarks").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"]({name})" not in listed} == set()
