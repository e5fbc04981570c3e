"""Code, messages and documentation are free of words from a style that the project has given up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("mtkd_cli", "plugins", "docs", "tests")
SUFFIXES = (".py", ".md", ".txt", ".toml", ".yaml", ".html", ".json")

WORDS = re.compile(
    r"\b(mend(s|ed|ing)?|(un)?heed(s|ed|ing)?|nobody|whoever|vouch(es|ed|ing)?)\b"
    r"|(?<!there )\b(is no|are none)\b(?! longer)|\b(goes on with|went on with|stands twice)\b",
    re.IGNORECASE,
)
"""Plain words for them: fix, respect, no one, the user, check, is not a, are missing, resumes, duplicate."""

ALLOWED = ("CHANGELOG.md", "tests/docs/test_plain_words.py")
"""Released entries of the changelog, and this list."""


def files() -> list[str]:
    paths = [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    names = sorted(str(path.relative_to(ROOT)) for path in paths if path.suffix in SUFFIXES)
    return [name for name in names if name not in ALLOWED]


def stilted_lines(name: str) -> list[str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [f"{name}:{number}: {line.strip()}" for number, line in enumerate(lines, 1) if WORDS.search(line)]


def test_no_stilted_words() -> None:
    found = [line for name in files() for line in stilted_lines(name)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "is_stilted"),
    [
        ("mend the cell", True),
        ("'x' is no number", True),
        ("the id stands twice", True),
        ("recommended amendments", False),
        ("it is no longer used", False),
        ("there is no such file", False),
    ],
)
def test_matches_words(text: str, is_stilted: bool) -> None:
    assert bool(WORDS.search(text)) == is_stilted
