"""Pages of audits and comparisons: what the facts hold is on them, and names are never markup."""

from __future__ import annotations

import copy
import html
import json
import re
from pathlib import Path

import pytest

from mtkd_cli.report.audit_page import audit_page
from mtkd_cli.report.comparison_page import comparison_page
from mtkd_cli.report.files import write_pages

from .conftest import AUDIT, COMPARISON
from .test_run_page import Tags

PAGES = {"audit": audit_page(AUDIT, "a"), "comparison": comparison_page(COMPARISON, "c")}


def parts(page: str) -> list[str]:
    return [html.unescape(title) for title in re.findall(r"<h2[^>]*>(.*?)</h2>", page)]


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
def test_names_are_shown_and_never_run(page: str) -> None:
    tags = Tags(page).seen
    assert not [tag for tag, _ in tags if tag in ("script", "img", "iframe")]
    assert not [key for _, given in tags for key in given if key.startswith("on")]
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") > 2


def test_an_audit_shows_everything_it_found() -> None:
    assert parts(PAGES["audit"]) == [
        "Advice",
        "Teachers",
        "What each strategy's ensemble answers",
        "Pairs of teachers",
        "Strength by class",
        "Leaving a teacher out",
        "Not measured",
    ]
    assert "0.3000, surely wrong" in PAGES["audit"]
    assert "+0.1000 (0.0000 to 0.2000)" in PAGES["audit"]


def test_strategies_are_ranked_in_the_metrics_direction() -> None:
    lower = copy.deepcopy(AUDIT) | {"higher_is_better": False}
    for facts, first in ((AUDIT, "best"), (lower, "median")):
        ranked = audit_page(facts, "a").partition("ensemble answers</h2>")[2]
        assert re.findall(r'<th scope="row">(\w+)</th>', ranked)[0] == first


def test_an_audit_of_values_has_no_classes_and_no_reliability() -> None:
    facts = copy.deepcopy(AUDIT)
    for teacher in facts["teachers"]:
        teacher["classes"], teacher["reliability"] = [], []
    page = audit_page(facts, "a")
    assert "Strength by class" not in page
    assert "surer than right" not in page


def test_a_comparison_shows_verdicts_seeds_and_failures() -> None:
    assert parts(PAGES["comparison"]) == [
        "Scores",
        "Verdicts",
        "Every student",
        "Tuned on validation",
        "Failed",
    ]
    assert "+0.1000 BEATS" in PAGES["comparison"]
    assert PAGES["comparison"].count("train.seed=1") == 2


def test_one_seed_has_no_interval() -> None:
    facts = copy.deepcopy(COMPARISON)
    for row in facts["rows"]:
        row["interval"] = None
    assert "<td>-</td>" in comparison_page(facts, "c")


@pytest.mark.parametrize(("name", "facts"), [("audit", AUDIT), ("comparison", COMPARISON)])
def test_a_folder_makes_its_own_page(name: str, facts: object, tmp_path: Path) -> None:
    (tmp_path / f"{name}.json").write_text(json.dumps(facts))
    assert [path.name for path in write_pages(tmp_path)] == [f"{name}.html"]
