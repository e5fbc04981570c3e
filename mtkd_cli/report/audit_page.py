"""The page of an audit, made of its ``audit.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from mtkd_cli.interfaces.significant_digits import shown
from mtkd_cli.report import by_chance
from mtkd_cli.report.audit_result import Audit, Change, Estimate
from mtkd_cli.report.calibration_column import with_temperatures
from mtkd_cli.report.charts import bars, diagonal, matrix
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.page import Figure, Grid, Section, Tile, page

MOST_CLASSES = 40
"""Classes up to which strengths are shown class by class."""


class Scored(Protocol):
    """What has a name and a score."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def score(self) -> Estimate:
        """Its score."""


def audit_page(facts: Audit, name: str) -> str:
    """Return the page of an audit."""
    metric, oracle = spelt(facts.metric), facts.oracle
    use = next((s for s in facts.strategies if s.name == facts.recommended), facts.strategies[0])
    best = next((t for t in facts.teachers if t.name == facts.best_teacher), facts.teachers[0])
    tiles = [
        Tile("recommended strategy", facts.recommended, f"{metric} {_number(use.score.value)}"),
        Tile("best teacher", _number(best.whole.value), best.name),
        *([Tile("oracle", _number(oracle.value), "the right teacher each time")] if oracle else []),
        Tile("validation samples", f"{facts.samples:,}", "all numbers here are of these"),
    ]
    sections = [
        Section("Advice", text=[advice.sentence for advice in facts.advice]),
        _teachers(facts, metric),
        _strategies(facts, metric),
        _pairs(facts),
        _classes(facts),
        _changes(facts.left_out, "Leaving a teacher out", metric),
        _changes(facts.added, "Adding a teacher to the best one", metric),
        Section("Not measured", text=[f"{n}: {why}" for n, why in facts.not_measured.items()]),
    ]
    subtitle = f"audit · {facts.task} on {facts.recipe['data']['name']} · {len(facts.teachers)} teachers"
    lead = facts.advice[0].sentence if facts.advice else ""
    return page(name, subtitle, lead, tiles, [s for s in sections if s and (s.text or s.grids or s.figures)])


def _teachers(facts: Audit, metric: str) -> Section:
    teachers = facts.teachers
    others = [name for name in teachers[0].metrics if name != facts.metric]
    rows = [
        [
            t.name,
            _number(t.score.value),
            _span(t.score),
            *(by_chance.cell(name, t.metrics[name], t.by_chance) for name in others),
            t.labels_seen,
        ]
        for t in teachers
    ]
    header = ["teacher", metric, "95 % interval", *map(spelt, others), "labels of this data that it saw"]
    if any(t.on_every_label for t in teachers):
        header = [*header, f"{metric} if unknown classes are wrong"]
        rows = [[*row, _number(t.whole.value)] for row, t in zip(rows, teachers, strict=True)]
    header, rows = with_temperatures(header, rows, [t.calibration for t in teachers])
    figures = [_bars(f"{metric} of each teacher", teachers, facts)]
    curves = {t.name: [(c, right) for c, right, _ in t.reliability] for t in teachers}
    if any(curves.values()):
        drawn = diagonal(
            "reliability of each teacher", curves, "confidence", "share that is right", dots=False
        )
        figures.append(
            Figure(drawn, "Below the dashed line: surer than right. Above it: less sure than right.")
        )
    note = by_chance.note(teachers[0].by_chance)
    return Section("Teachers", grids=[Grid(rows, header, note)], figures=figures)


def _strategies(facts: Audit, metric: str) -> Section:
    names = [t.name for t in facts.teachers]
    rows = [
        [
            s.name,
            _number(s.score.value),
            _span(s.score),
            _number(s.loss.value),
            "yes" if s.cross_fitted else "-",
        ]
        for s in facts.strategies
    ]
    header = ["strategy", metric, "95 % interval", "loss", "cross-fitted"]
    figures = [_bars(f"{metric} of each strategy's ensemble", facts.strategies, facts)]
    weighing = [s for s in facts.strategies if s.weights]
    if weighing:
        values = [s.weights for s in weighing]
        drawn = matrix("weights of each strategy", [s.name for s in weighing], names, values)
        figures.append(
            Figure(drawn, "Mean weight that each strategy (rows) gives to each teacher (columns).")
        )
    return Section("What each strategy's ensemble answers", grids=[Grid(rows, header)], figures=figures)


def _bars(title: str, rows: Sequence[Scored], facts: Audit) -> Figure:
    values = {row.name: row.score.value for row in rows}
    spans = {row.name: (row.score.low, row.score.high) for row in rows}
    known = {name: span for name, span in spans.items() if all(map(math.isfinite, span))}
    drawn = bars(title, values, known, facts.higher_is_better)
    note = "with its 95 % interval. The best is in colour."
    return Figure(drawn, f"{spelt(facts.metric)}, {note}")


def _pairs(facts: Audit) -> Section | None:
    if not facts.pairs:
        return None
    rows = [[" + ".join(p.teachers), _number(p.agreement), _number(p.error_correlation)] for p in facts.pairs]
    agreement = {frozenset(p.teachers): p.agreement for p in facts.pairs}
    correlation = {frozenset(p.teachers): p.error_correlation for p in facts.pairs}
    drawn = [
        _between(facts, agreement, "How often two teachers give the same answer."),
        _between(facts, correlation, "How the errors of two teachers go together, sample by sample."),
    ]
    return Section(
        "Pairs of teachers",
        text=["Teachers whose errors do not go together have more to give each other."],
        grids=[Grid(rows, ["teachers", "same answer", "correlation of errors"])],
        figures=[figure for figure in drawn if figure],
    )


def _between(facts: Audit, values: Mapping[frozenset[str], float | None], caption: str) -> Figure | None:
    """Return a fact of pairs as a square of all teachers, three or more; None if it is unknown."""
    names = [t.name for t in facts.teachers]
    known = {pair: value for pair, value in values.items() if value is not None}
    if len(names) < 3 or not known:
        return None
    square = [[known.get(frozenset((row, column)), math.nan) for column in names] for row in names]
    return Figure(matrix(caption, names, names, square, across=True), caption)


def _classes(facts: Audit) -> Section | None:
    teachers = facts.teachers
    if not teachers[0].classes or len(facts.classes) > MOST_CLASSES:
        return None
    header = ["class", "labels", *(t.name for t in teachers)]
    rows = []
    for each in zip(*(t.classes for t in teachers), strict=True):
        cells = [_number(c.strength) + (", surely wrong" if c.surely_wrong else "") for c in each]
        rows.append([each[0].name, "-" if each[0].samples is None else f"{each[0].samples:,}", *cells])
    return Section("Strength by class", grids=[Grid(rows, header)])


def _changes(changes: Sequence[Change], title: str, metric: str) -> Section:
    rows = [[c.teacher, c.strategy, *map(_signed, (c.gain, c.loss_gain))] for c in changes]
    header = ["teacher", "strategy", f"gain, {metric}", "loss lowered by"]
    return Section(title, grids=[Grid(rows, header)] if rows else [])


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return shown(value) if abs(value) < 100 else f"{value:,.1f}"


def _span(found: Estimate) -> str:
    return "\u00a0to\u00a0".join(_number(end) for end in (found.low, found.high))


def _signed(found: Estimate) -> str:
    ends = (found.low, found.high)
    if not math.isfinite(found.value):
        return "-"
    size = max(abs(each) for each in (found.value, *ends) if math.isfinite(each))
    written = " to ".join(shown(end, size) if math.isfinite(end) else "-" for end in ends)
    return f"{shown(found.value, size, '+')} ({written})"
