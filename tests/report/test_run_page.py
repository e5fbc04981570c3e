"""The report card of a run: everything is in it, nothing of the user's runs in it."""

from __future__ import annotations

import hashlib
import html.parser
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from rich.console import Console
from rich.table import Table

from mtkd_cli.errors import DataError
from mtkd_cli.files import checksummed_json
from mtkd_cli.report import results
from mtkd_cli.report.against_teachers import against_teachers
from mtkd_cli.report.costs import Costs, together
from mtkd_cli.report.files import write_pages
from mtkd_cli.report.model_card import model_card
from mtkd_cli.report.run_page import run_page
from mtkd_cli.report.run_result import PROCESS_CHANGES, Everyone
from mtkd_cli.report.summary import table
from mtkd_cli.report.units import latency_title

from .conftest import EVIL, run_result

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63606060f80f0001040100"
    "5fe5c34b0000000049454e44ae426082"
)


class Tags(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_names_are_shown_and_never_run(facts: dict[str, Any]) -> None:
    page = run_page(run_result(facts), f"task: {EVIL}", None)
    tags = Tags(page).seen
    assert not [tag for tag, _ in tags if tag in ("script", "img", "iframe", "object")]
    assert not [key for _, given in tags for key in given if key.startswith("on")]
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") > 5


def test_nothing_is_loaded_from_anywhere(facts: dict[str, Any], tmp_path: Path) -> None:
    picture = tmp_path / "predictions.png"
    picture.write_bytes(PNG)
    sources = [
        given[k] or ""
        for _, given in Tags(run_page(run_result(facts), "", picture)).seen
        for k in given
        if k in ("src", "href")
    ]
    assert len(sources) == 2
    assert all(source.startswith("data:") for source in sources)


def test_every_part_is_there(facts: dict[str, Any]) -> None:
    facts["details"]["student"]["points"] = {"price": [[1.0, 1.5], [2.0, 1.9]]}
    page = run_page(run_result(facts), "task: classification", None)
    parts = re.findall(r"<h2[^>]*>(.*?)</h2>", page)
    assert parts == [
        "Scores and costs",
        "Training",
        "Calibration",
        "Classes",
        "Answers",
        "How much each teacher counted",
        "Teachers",
        "Repeat it",
    ]


def test_what_a_task_does_not_have_is_left_out(facts: dict[str, Any]) -> None:
    empty = {"per_class": {}, "confusion": [], "reliability": [], "points": {}}
    facts["details"] = {"student": empty, "alone": None, "ensemble": empty, "teachers": {}}
    facts["weights"] = facts["scores"]["alone"] = facts["curves"]["alone"] = None
    page = run_page(run_result(facts), "", None)
    assert "Calibration" not in page
    assert "student alone" not in page


def test_page_claims_no_bits_after_a_change_of_the_number_of_processes(facts: dict[str, Any]) -> None:
    assert "it gives the same bits" in run_page(run_result(facts), "", None)
    facts["engine"][PROCESS_CHANGES] = "continued with 1 process"
    page = run_page(run_result(facts), "", None)
    assert "It does not give the same bits" in page
    assert "it gives the same bits" not in page
    assert "continued with 1 process" in page


def test_quality_kept_is_more_when_it_is_better(facts: dict[str, Any]) -> None:
    assert run_result(facts).against_teachers.of_ensemble == pytest.approx(0.8)
    facts["metric"] = {"name": "nll", "higher_is_better": False}
    facts["scores"]["student"]["nll"] = 0.2
    assert run_result(facts).against_teachers.of_ensemble == pytest.approx(0.5)


def test_the_best_teacher_goes_by_the_metrics_direction(facts: dict[str, Any]) -> None:
    assert run_result(facts).against_teachers.best_teacher == "good"
    facts["metric"] = {"name": "accuracy", "higher_is_better": False}
    assert run_result(facts).against_teachers.best_teacher == EVIL


def test_a_teacher_that_cannot_be_run_has_no_latency(facts: dict[str, Any]) -> None:
    facts["scores"]["teachers"]["good"] |= {"latency_ms": None, "latency_p95_ms": None}
    assert "<td>-</td>" in run_page(run_result(facts), "", None)


def test_a_latency_says_where_it_was_measured() -> None:
    measured = Costs(1, 1, 0.2, 0.3, "cpu", 2)
    assert latency_title([measured, Costs()]) == "latency (cpu, 2 threads, 1 sample)"
    other = replace(measured, device="cuda", threads=None)
    assert latency_title([measured, other]) == "latency (cpu, 2 threads or cuda, 1 sample)"
    result = run_result()
    costs = replace(result.costs, student=other)
    page = run_page(replace(result, costs=costs), "", None)
    assert "Latency (cuda or cpu, 1 sample)" in page
    assert "0.20 ms a sample (cuda)" in page


def test_latencies_of_different_places_are_not_compared() -> None:
    metric, scores = run_result().metric, run_result().scores
    one, other = Costs(1, 8, 0.5, 1.0, "cpu", 1), Costs(1, 8, 4.0, 9.0, "cuda")
    same = Everyone(one, {}, together([one, one]), {"a": one, "b": one})
    assert same.ensemble == Costs(2, 16, 1.0, 2.0, "cpu", 1)
    scores = replace(scores, teachers={"a": {"accuracy": 0.5}, "b": {"accuracy": 0.4}})
    assert against_teachers(metric, scores, same).times_faster == 2.0
    mixed = Everyone(one, {}, together([one, other]), {"a": one, "b": other})
    assert mixed.ensemble.device is None
    found = against_teachers(metric, scores, mixed)
    assert (found.times_faster, found.times_smaller) == (None, 2.0)
    assert together([one, Costs()]).latency_ms is None


def test_the_model_card_has_metadata_and_escapes_names(facts: dict[str, Any]) -> None:
    card = model_card(run_result(facts))
    assert card.startswith("---\nlibrary_name: mtkd\n")
    assert "\\<img src=x onerror=alert(1)\\>" in card
    assert "| student, distilled | 0.80 |" in card


def test_huggingface_hub_reads_the_model_card(facts: dict[str, Any], tmp_path: Path) -> None:
    scores = facts["scores"]
    for row in (scores["student"], scores["alone"], scores["ensemble"], *scores["teachers"].values()):
        row["ece"] = None
    (tmp_path / "card.md").write_text(model_card(run_result(facts)), encoding="utf-8")
    found = ModelCard.load(tmp_path / "card.md").data
    assert (found.pipeline_tag, found.model_name, found.metrics) == (
        "image-classification",
        "try",
        ["accuracy"],
    )
    results = {result.metric_type: result for result in found.eval_results}
    assert {name: r.metric_value for name, r in results.items()} == {"accuracy": 0.8, "nll": 0.1}
    assert (results["nll"].metric_name, results["nll"].dataset_name) == ("NLL", "mine")
    assert {result.task_type for result in results.values()} == {"image-classification"}


@pytest.mark.parametrize(
    ("task", "data", "tag"),
    [
        ("classification", "table", "tabular-classification"),
        ("detection", "coco", "object-detection"),
        ("regression", "table", "tabular-regression"),
        ("regression", "image-table", None),
        ("python:my.py:Mine", "table", None),
        ("missing-task", "python:my.py:Data", None),
    ],
)
def test_model_card_has_the_pipeline_tag_of_the_task(
    facts: dict[str, Any], task: str, data: str, tag: str | None
) -> None:
    facts["task"], facts["data"]["name"] = task, data
    assert ModelCard(model_card(run_result(facts))).data.pipeline_tag == tag


def test_pages_are_made_of_the_facts_and_the_recipe(facts: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("task: classification\n")
    names = [path.name for path in write_pages(tmp_path, run_result(facts))]
    assert names == ["report.html", "MODEL_CARD.md"]
    assert "task: classification" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"scores": 3}', "not json"])
def test_a_report_that_cannot_be_used_is_named(damage: str, tmp_path: Path) -> None:
    if damage:
        (tmp_path / "report.json").write_text(damage)
    digest = hashlib.sha256(damage.encode()).hexdigest()
    checksummed_json.write(tmp_path / "manifest.json", {"finished": {"report.json": digest}})
    with pytest.raises(DataError) as error:
        write_pages(tmp_path, results.read(tmp_path))
    assert "report" in str(error.value.what)
    assert not (tmp_path / "report.html").exists()


def test_a_calibration_error_stands_beside_that_of_a_calibrated_model(facts: dict[str, Any]) -> None:
    for who in ("student", "alone", "ensemble"):
        facts["scores"][who]["ece"] = 0.021
        facts["details"][who]["by_chance"] = {"ece": 0.0157}
    for teacher in facts["scores"]["teachers"].values():
        teacher["ece"] = 0.3  # an older run kept no more of it
    result = run_result(facts)
    for text in (run_page(result, "", None), model_card(result), shown(table(result, 200))):
        assert text.count("0.021 (0.016)") == 3
        assert "0.30 (" not in text
        assert "what a perfectly calibrated model" in " ".join(text.split())


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_summary_breaks_no_word(facts: dict[str, Any], width: int) -> None:
    result = run_result(facts)
    lines = shown(table(result, width), width).splitlines()
    assert max(map(len, lines)) <= width
    assert any("student, distilled" in line for line in lines)
    (first,) = (line for line in lines if "student, distilled" in line)
    assert re.search(r"\d\.\d", first), "the score stands beside the name"


def test_summary_folds_long_names(facts: dict[str, Any]) -> None:
    teachers = facts["scores"]["teachers"]
    teachers["a" * 100] = teachers.pop(next(iter(teachers)))
    lines = shown(table(run_result(facts), 60), 60).splitlines()
    assert max(map(len, lines)) <= 60
    assert sum("aaaa" in line for line in lines) > 1


def shown(rows: Table, width: int = 200) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(rows)
    return console.export_text()
