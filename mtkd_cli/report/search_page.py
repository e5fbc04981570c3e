"""The page of a search, made from its ``search.json``."""

from __future__ import annotations

from collections.abc import Mapping

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report.cost_plot import CostPoint, cost_plot
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.page import Figure, Grid, Section, Tile, page
from mtkd_cli.report.search_result import Candidate, Search
from mtkd_cli.report.units import bytes_in_words, count_in_words, milliseconds


def search_page(facts: Search, name: str) -> str:
    """Return the page of a search."""
    metric, higher = spelt(facts.metric.name), facts.metric.higher_is_better
    pick = facts.pick
    tiles = [
        Tile("pick", pick.student, f"run {pick.run}"),
        Tile(f"{metric} on test", format_number(pick.score), f"{pick.test_samples:,} samples"),
        Tile("steps", f"{100 * facts.steps / facts.full_steps:.0f} %", "of training each student in full"),
    ]
    sections = [_students(facts, metric), _plots(facts, metric), _rejected(facts), _rungs(facts)]
    subtitle = f"search · {facts.task} · {metric}, {'higher' if higher else 'lower'} is better"
    return page(name, subtitle, facts.lead, tiles, [s for s in sections if s.text or s.grids or s.figures])


def budget_in_words(facts: Search) -> str:
    """Return the budget in words: ``at most 2.00 ms and 1.0 MB``."""
    limits = [
        *([milliseconds(facts.latency_ms)] if facts.latency_ms is not None else []),
        *([bytes_in_words(facts.bytes)] if facts.bytes is not None else []),
    ]
    return f"at most {' and '.join(limits)}" if limits else "no limit"


def student_cells(each: Candidate) -> list[str]:
    """Return the cells of a student in the table of students."""
    score = "-" if each.score is None else format_number(each.score)
    ends = [format_number(end, each.score or 0) for end in each.interval or ()]
    return [
        each.student,
        score,
        " to ".join(ends) if ends else "-",
        "yes" if each.front else "",
        milliseconds(each.latency_ms),
        bytes_in_words(each.bytes),
        count_in_words(each.parameters),
        f"{each.steps:,}" if each.steps else "-",
        each.failed,
    ]


STUDENT_COLUMNS = (
    "student",
    "on validation",
    "95 % interval",
    "front",
    "latency",
    "size",
    "weights",
    "steps",
)


def _students(facts: Search, metric: str) -> Section:
    rows = [student_cells(each) for each in facts.candidates if not each.rejected]
    has_failures = any(row[-1] for row in rows)
    header = [*STUDENT_COLUMNS, *(["failed"] if has_failures else [])]
    engines = " or ".join(sorted({each.engine for each in facts.candidates if each.engine}))
    threads = f"{facts.threads} thread{'s' if facts.threads > 1 else ''}"
    text = (
        f"Budget: {budget_in_words(facts)}. {metric.capitalize() if metric.islower() else metric} on "
        f"{facts.val_samples:,} validation samples after the student's last rung, with its 95 % interval "
        "over samples. Students of earlier rungs were trained for fewer steps. Latency: median of one "
        f"sample in {engines} ({threads}). Front: no other student is as good in score, latency and size."
    )
    return Section("Students", text=[text], grids=[Grid([row[: len(header)] for row in rows], header)])


def _plots(facts: Search, metric: str) -> Section:
    known = [each for each in facts.candidates if each.score is not None]
    costs: dict[str, Mapping[str, float]] = {
        "latency in ms": {each.student: each.latency_ms for each in known if each.latency_ms},
        "size in kB": {each.student: each.bytes / 1000 for each in known if each.bytes},
    }
    figures = [
        _figure(facts, metric, label, known, found)
        for label, found in costs.items()
        if len(known) > 1 and len(found) == len(known)
    ]
    return Section("Score against cost", figures=figures)


def _figure(
    facts: Search, metric: str, label: str, known: list[Candidate], costs: Mapping[str, float]
) -> Figure:
    points = [
        CostPoint(each.student, costs[each.student], each.score, each.interval)
        for each in known
        if each.score is not None
    ]
    title = f"{metric} against {label.partition(' ')[0]}"
    drawing = cost_plot(title, points, label, f"{metric} on validation", facts.metric.higher_is_better)
    line = "the dashed line joins the students that no student of the same or a lower cost beats"
    return Figure(drawing, f"{title} on validation, with 95 % intervals over samples; {line}.")


def _rejected(facts: Search) -> Section:
    rows = [
        [each.student, each.rejected, milliseconds(each.latency_ms), bytes_in_words(each.bytes)]
        for each in facts.candidates
        if each.rejected
    ]
    grid = Grid(rows, ["student", "reason", "latency", "size"])
    return Section("Rejected before training", grids=[grid] if rows else [])


def _rungs(facts: Search) -> Section:
    rows = [
        [str(number), str(rung.students), f"{rung.until:,}"]
        for number, rung in enumerate(facts.rungs, start=1)
    ]
    grid = Grid(rows, ["rung", "students", "steps of each at its end"])
    return Section("Rungs", grids=[grid] if rows else [])
