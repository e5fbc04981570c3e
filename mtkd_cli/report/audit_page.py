"""The page of an audit, made of its ``audit.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mtkd_cli.interfaces.significant_digits import shown
from mtkd_cli.report import by_chance
from mtkd_cli.report.calibration_column import with_temperatures
from mtkd_cli.report.charts import bars, diagonal, matrix
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.page import Figure, Grid, Section, Tile, page

MOST_CLASSES = 40
"""Classes up to which strengths are shown class by class."""


def audit_page(facts: Mapping[str, Any], name: str) -> str:
    """Return the page of an audit; ``facts``: what ``audit.json`` holds."""
    metric, recipe = spelt(facts["metric"]), facts["recipe"]
    ranked, oracle = _ranked(facts, "strategies"), facts["oracle"]
    best = next((s for s in ranked if s["name"] == facts["recommended"]), ranked[0])
    tiles = [
        Tile("recommended strategy", facts["recommended"], f"{metric} {_number(best['score']['value'])}"),
        Tile("best teacher", *_best_teacher(facts)),
        *([Tile("oracle", _number(oracle["value"]), "the right teacher each time")] if oracle else []),
        Tile("validation samples", f"{facts['samples']:,}", "all numbers here are of these"),
    ]
    sections = [
        Section("Advice", text=[advice["sentence"] for advice in facts["advice"]]),
        _teachers(facts, metric),
        _strategies(facts, ranked, metric),
        _pairs(facts),
        _classes(facts),
        _changes(facts, "left_out", "Leaving a teacher out", metric),
        _changes(facts, "added", "Adding a teacher to the best one", metric),
        Section("Not measured", text=[f"{n}: {why}" for n, why in facts["not_measured"].items()]),
    ]
    subtitle = f"audit · {facts['task']} on {recipe['data']['name']} · {len(facts['teachers'])} teachers"
    lead = facts["advice"][0]["sentence"] if facts["advice"] else ""
    return page(name, subtitle, lead, tiles, [s for s in sections if s and (s.text or s.grids or s.figures)])


def _ranked(facts: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return teachers or strategies, the best first; equal scores by loss."""
    sign = -1 if facts["higher_is_better"] else 1
    return sorted(facts[key], key=lambda s: (sign * _whole(s)["value"], s["loss"]["value"]))


def _whole(row: Mapping[str, Any]) -> Mapping[str, float]:
    """Return a teacher's score on every label, or a strategy's."""
    found: Mapping[str, float] = row.get("on_every_label") or row["score"]
    return found


def _best_teacher(facts: Mapping[str, Any]) -> tuple[str, str]:
    best = _ranked(facts, "teachers")[0]
    return _number(_whole(best)["value"]), best["name"]


def _teachers(facts: Mapping[str, Any], metric: str) -> Section:
    teachers = facts["teachers"]
    others = [name for name in teachers[0]["metrics"] if name != facts["metric"]]
    rows = [
        [
            t["name"],
            _number(t["score"]["value"]),
            _span(t["score"]),
            *(by_chance.cell(name, t["metrics"][name], t.get("by_chance") or {}) for name in others),
            t["labels_seen"],
        ]
        for t in teachers
    ]
    header = ["teacher", metric, "95 % interval", *map(spelt, others), "labels of this data that it saw"]
    if any(t.get("on_every_label") for t in teachers):
        header = [*header, f"{metric} if unknown classes are wrong"]
        rows = [[*row, _number(_whole(t)["value"])] for row, t in zip(rows, teachers, strict=True)]
    header, rows = with_temperatures(header, rows, teachers)
    figures = [_bars(f"{metric} of each teacher", teachers, facts)]
    curves = {t["name"]: [(c, right) for c, right, _ in t["reliability"]] for t in teachers}
    if any(curves.values()):
        drawn = diagonal(
            "reliability of each teacher", curves, "confidence", "share that is right", dots=False
        )
        figures.append(
            Figure(drawn, "Below the dashed line: surer than right. Above it: less sure than right.")
        )
    note = by_chance.note(teachers[0].get("by_chance") or {})
    return Section("Teachers", grids=[Grid(rows, header, note)], figures=figures)


def _strategies(facts: Mapping[str, Any], ranked: Sequence[Mapping[str, Any]], metric: str) -> Section:
    names = [t["name"] for t in facts["teachers"]]
    rows = [
        [
            s["name"],
            _number(s["score"]["value"]),
            _span(s["score"]),
            _number(s["loss"]["value"]),
            "yes" if s["cross_fitted"] else "-",
        ]
        for s in ranked
    ]
    header = ["strategy", metric, "95 % interval", "loss", "cross-fitted"]
    figures = [_bars(f"{metric} of each strategy's ensemble", ranked, facts)]
    weighing = [s for s in ranked if s["weights"]]
    if weighing:
        values = [s["weights"] for s in weighing]
        drawn = matrix("weights of each strategy", [s["name"] for s in weighing], names, values)
        figures.append(
            Figure(drawn, "Mean weight that each strategy (rows) gives to each teacher (columns).")
        )
    return Section("What each strategy's ensemble answers", grids=[Grid(rows, header)], figures=figures)


def _bars(title: str, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> Figure:
    values = {row["name"]: row["score"]["value"] for row in rows}
    spans = {row["name"]: (row["score"]["low"], row["score"]["high"]) for row in rows}
    known = {name: span for name, span in spans.items() if None not in span}
    drawn = bars(title, values, known, facts["higher_is_better"])
    note = "with its 95 % interval. The best is in colour."
    return Figure(drawn, f"{spelt(facts['metric'])}, {note}")


def _pairs(facts: Mapping[str, Any]) -> Section | None:
    pairs = facts["pairs"]
    if not pairs:
        return None
    rows = [
        [" + ".join(p["teachers"]), _number(p["agreement"]), _number(p["error_correlation"])] for p in pairs
    ]
    drawn = [
        _between(facts, "agreement", "How often two teachers give the same answer."),
        _between(facts, "error_correlation", "How the errors of two teachers go together, sample by sample."),
    ]
    return Section(
        "Pairs of teachers",
        text=["Teachers whose errors do not go together have more to give each other."],
        grids=[Grid(rows, ["teachers", "same answer", "correlation of errors"])],
        figures=[figure for figure in drawn if figure],
    )


def _between(facts: Mapping[str, Any], key: str, caption: str) -> Figure | None:
    """Return a fact of pairs as a square of all teachers, three or more; None if it is unknown."""
    names = [t["name"] for t in facts["teachers"]]
    known = {frozenset(p["teachers"]): p[key] for p in facts["pairs"] if p[key] is not None}
    if len(names) < 3 or not known:
        return None
    values = [[known.get(frozenset((row, column)), math.nan) for column in names] for row in names]
    return Figure(matrix(caption, names, names, values, across=True), caption)


def _classes(facts: Mapping[str, Any]) -> Section | None:
    teachers, count = facts["teachers"], len(facts["classes"])
    if not teachers[0]["classes"] or count > MOST_CLASSES:
        return None
    header = ["class", "labels", *(t["name"] for t in teachers)]
    rows = []
    for place, first in enumerate(teachers[0]["classes"]):
        each = [t["classes"][place] for t in teachers]
        cells = [_number(c["strength"]) + (", surely wrong" if c["surely_wrong"] else "") for c in each]
        rows.append([first["name"], "-" if first["samples"] is None else f"{first['samples']:,}", *cells])
    return Section("Strength by class", grids=[Grid(rows, header)])


def _changes(facts: Mapping[str, Any], key: str, title: str, metric: str) -> Section:
    rows = [
        [c["teacher"], c["strategy"], *(_signed(c[part]) for part in ("gain", "loss_gain"))]
        for c in facts[key]
    ]
    header = ["teacher", "strategy", f"gain, {metric}", "loss lowered by"]
    return Section(title, grids=[Grid(rows, header)] if rows else [])


def _number(value: float | None) -> str:
    return "-" if value is None else shown(value) if abs(value) < 100 else f"{value:,.1f}"


def _span(found: Mapping[str, float | None]) -> str:
    return "\u00a0to\u00a0".join(_number(found[end]) for end in ("low", "high"))


def _signed(found: Mapping[str, float | None]) -> str:
    low, value, high = (found[key] for key in ("low", "value", "high"))
    if value is None:
        return "-"
    size = max(abs(each) for each in (low, value, high) if each is not None)
    ends = " to ".join("-" if end is None else shown(end, size) for end in (low, high))
    return f"{shown(value, size, '+')} ({ends})"
