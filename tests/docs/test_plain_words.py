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

NOT_YET: tuple[str, ...] = ()


def test_matches_words(text: str, is_stilted: bool) -> None:
    assert bool(WORDS.search(text)) == is_stilted
