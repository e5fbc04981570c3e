"""Pages of audits and comparisons: what the facts hold is on them, and names are never markup."""

from __future__ import annotations

import copy
import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.report import results
from mtkd_cli.report.audit_page import audit_page
from mtkd_cli.report.audit_result import Finding
from mtkd_cli.report.comparison_page import comparison_page
from mtkd_cli.report.files import write_pages

from .conftest import AUDIT, COMPARISON, EVIL, VERDICT, audit_result, comparison_result, row
from .test_run_page import Tags

PAGES = {"audit": audit_page(audit_result(), "a"), "comparison": comparison_page(comparison_result(), "c")}


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
        "Findings",
        "Teachers",
        "Strategies",
        "Pairs of teachers",
        "Teachers by class",
        "Leaving a teacher out",
        "Not measured",
    ]
    assert "0.3000, confidently wrong" in PAGES["audit"]
    assert "+0.1000 (0.0000 to 0.2000)" in PAGES["audit"]


def test_a_finding_has_a_severity_an_action_and_an_override_to_copy() -> None:
    finding = Finding("error", "one answer", f"`{EVIL}` is wrong.", "Leave out `it`.", override=f"a=[{EVIL}]")
    page = audit_page(replace(audit_result(), findings=(finding,), reason="it is better"), "a")
    (card,) = re.findall(r'<div class="finding error"><b>error</b>(.*?)</div>', page, re.DOTALL)
    assert '<p class="action">Leave out <code>it</code>.</p>' in card
    assert f"'a=[{EVIL}]'" in html.unescape(card), "quoted for a shell"
    assert "<code>best</code> is recommended: it is better." in page
    assert not [tag for tag, _ in Tags(page).seen if tag == "img"]


def test_the_recommended_strategy_is_marked_in_table_and_plot() -> None:
    page = audit_page(replace(audit_result(), recommended="mean"), "a").partition("Strategies</h2>")[2]
    assert '<th scope="row">mean</th><td>recommended</td>' in page
    kinds = re.findall(r'class="(bar[ a-z]*)"', page)
    assert kinds == ["bar", "bar best", "bar"], "best, mean, median"


def test_three_teachers_are_shown_beside_each_other_in_a_square() -> None:
    facts = copy.deepcopy(AUDIT)
    facts["teachers"].append({**facts["teachers"][0], "name": "third"})
    facts["pairs"] += [
        {"teachers": [name, "third"], "agreement": share, "error_correlation": None}
        for name, share in (("good", 0.8125), (EVIL, 0.25))
    ]
    page = html.unescape(audit_page(audit_result(facts), "a"))
    for pair in ("good, third: 0.812", "third, good: 0.812", f"third, {EVIL}: 0.25"):
        assert page.count(pair) == 1
    assert "third, third" not in page
    assert "Correlation of the errors of two teachers" not in page, "no coefficient is known"
    assert "predict the same class." not in PAGES["audit"], "two teachers are one pair"


def test_strategies_are_ranked_in_the_metrics_direction() -> None:
    lower = copy.deepcopy(AUDIT) | {"higher_is_better": False}
    for facts, first in ((AUDIT, "best"), (lower, "median")):
        ranked = audit_page(audit_result(facts), "a").partition("Strategies</h2>")[2]
        assert re.findall(r'<th scope="row">(\w+)</th>', ranked)[0] == first


def test_an_audit_of_values_has_no_classes_and_no_reliability() -> None:
    facts = copy.deepcopy(AUDIT)
    for teacher in facts["teachers"]:
        teacher["classes"], teacher["reliability"] = [], []
    page = audit_page(audit_result(facts), "a")
    assert "Teachers by class" not in page
    assert "overconfident" not in page


def test_what_a_task_does_not_have_is_not_invented() -> None:
    facts = copy.deepcopy(AUDIT) | {"oracle": None}
    facts["teachers"][0]["classes"][1]["samples"] = None
    page = audit_page(audit_result(facts), "a")
    assert "oracle</span>" not in page
    assert '<th scope="row">b</th><td>-</td>' in page


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
    for each in facts["rows"]:
        each["interval"] = None
    assert "<td>-</td>" in comparison_page(comparison_result(facts), "c")


@pytest.mark.parametrize(("name", "facts"), [("audit", AUDIT), ("comparison", COMPARISON)])
def test_a_folder_makes_its_own_page(name: str, facts: object, tmp_path: Path) -> None:
    (tmp_path / f"{name}.json").write_text(json.dumps(facts))
    assert [path.name for path in write_pages(tmp_path, results.read(tmp_path))] == [f"{name}.html"]


def lead(page: str) -> str:
    (found,) = re.findall(r'<p class="verdict">(.*?)</p>', page)
    return html.unescape(found)


def compared(alone: float, higher: bool = True, **methods: float) -> dict[str, Any]:
    """Return a comparison of methods by their means, each with a verdict against the student alone."""
    facts = copy.deepcopy(COMPARISON)
    rows = [row("student alone", {}), *(row(name, {"student alone": VERDICT}) for name in methods)]
    for each, mean in zip(rows, (alone, *methods.values()), strict=True):
        each["mean"] = mean
    said = [f"{name} against the student alone" for name in methods]
    metric = {"name": "accuracy", "higher_is_better": higher}
    return facts | {"rows": rows, "sentences": said, "metric": metric}


@pytest.mark.parametrize(
    ("facts", "best", "mean"),
    [
        (compared(0.9, median=0.7, mean=0.8), "student alone", "0.9000"),
        (compared(0.8, mean=0.8), "student alone", "0.8000"),
        (compared(0.1, higher=False, median=0.3, mean=0.2), "student alone", "0.1000"),
        (compared(0.7, median=0.8, mean=0.9), "mean", "0.9000"),
    ],
)
def test_the_best_mean_is_everyones_the_student_alone_included(
    facts: dict[str, Any], best: str, mean: str
) -> None:
    page = comparison_page(comparison_result(facts), "c")
    assert f'best mean</span><b>{mean}</b><span class="soft">{best}</span>' in page
    said = f"Nothing has a better mean accuracy than the student alone, {mean}. "
    assert lead(page) == (said if best != "mean" else "") + "mean against the student alone."


def test_a_method_whose_name_begins_like_the_best_ones_does_not_speak_for_it() -> None:
    page = comparison_page(comparison_result(compared(0.5, **{"mean, lr=1": 0.6, "mean": 0.7})), "c")
    assert lead(page) == "mean against the student alone."


def test_methods_without_a_student_alone_are_compared_too() -> None:
    facts = compared(0.5, mean=0.7)
    facts |= {"rows": [facts["rows"][1] | {"against": {}}], "sentences": []}
    assert lead(comparison_page(comparison_result(facts), "c")) == (
        "mean has the best mean accuracy; no baseline was trained."
    )


def test_it_is_counted_how_many_methods_beat_each_opponent() -> None:
    facts = compared(0.5, mean=0.7, median=0.6)
    facts["rows"][2]["against"] = {"student alone": VERDICT | {"word": "INCONCLUSIVE"}}
    page = comparison_page(comparison_result(facts), "c")
    assert 'surely beat the student alone</span><b>1 of 2</b><span class="soft">1 INCONCLUSIVE' in page


def test_code_in_a_sentence_is_code_on_the_page_and_still_only_text() -> None:
    facts = copy.deepcopy(AUDIT)
    facts["advice"][0]["sentence"] = f"use `{EVIL}` & not `mean`; a lone ` stays"
    page = audit_page(audit_result(facts), "a")
    assert lead(page).count("<code>") == 2
    assert "<code>mean</code>; a lone ` stays" in page
    assert not [tag for tag, _ in Tags(page).seen if tag == "img"]


def test_a_metric_has_one_name_on_every_page() -> None:
    facts = copy.deepcopy(COMPARISON) | {"metric": {"name": "map", "higher_is_better": True}}
    page = comparison_page(comparison_result(facts), "c")
    assert "mean mAP" in page
    assert not re.search(r"\b(map|MAP)\b", page)
