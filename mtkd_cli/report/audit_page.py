"""The page of an audit, from its ``audit.json``."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Protocol

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report import by_chance
from mtkd_cli.report.audit_result import Audit, Change, Estimate
from mtkd_cli.report.calibration_column import with_temperatures
from mtkd_cli.report.charts import bars, diagonal, matrix
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.page import Figure, FindingCard, Grid, Section, Tile, page

MOST_CLASSES = 40
"""Number of classes up to which the page has a table of classes."""


class Scored(Protocol):
    """A teacher or a strategy: a name and a score."""

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
        Tile(*_find_recommendation(facts), f"{metric} {_number(use.score.value)}"),
        Tile("best teacher", _number(best.whole.value), best.name),
        *([Tile("oracle", _number(oracle.value), "the right teacher for each sample")] if oracle else []),
        Tile("validation samples", f"{facts.samples:,}", "for all numbers here"),
    ]
    sections = [
        Section(
            "Findings",
            findings=[
                FindingCard(f.severity, f.sentence, f.action, shlex.quote(f.override) if f.override else "")
                for f in facts.findings
            ],
        ),
        _teachers(facts, metric),
        _strategies(facts, metric),
        _pairs(facts),
        _classes(facts),
        _changes(facts.left_out, "Leaving a teacher out", facts),
        _changes(facts.added, "Adding a teacher to the best one", facts),
        _budget(facts, metric),
        Section("Not measured", text=[f"{n}: {why}" for n, why in facts.not_measured.items()]),
    ]
    subtitle = f"audit · {facts.task} on {facts.recipe['data']['name']} · {len(facts.teachers)} teachers"
    lead = facts.findings[0].sentence if facts.findings else ""
    shown_ = [s for s in sections if s and (s.findings or s.text or s.grids or s.figures)]
    return page(name, subtitle, lead, tiles, shown_)


def _find_recommendation(facts: Audit) -> tuple[str, str]:
    """Return the title and the name of the recommendation."""
    if facts.recommended_teacher:
        return "recommended: one teacher", facts.recommended_teacher
    return "recommended strategy", facts.recommended


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
    header = [
        "teacher",
        metric,
        "95 % interval",
        *map(spelt, others),
        "labels of this data it was trained on",
    ]
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
        figures.append(Figure(drawn, "Below the dashed line: overconfident. Above it: underconfident."))
    note = by_chance.note(teachers[0].by_chance)
    return Section("Teachers", grids=[Grid(rows, header, note)], figures=figures)


def _strategies(facts: Audit, metric: str) -> Section:
    names = [t.name for t in facts.teachers]
    rows = [
        [
            s.name,
            s.verdict or ("recommended" if s.name == facts.recommended else "-"),
            _number(s.score.value),
            _span(s.score),
            _number(s.loss.value),
            "yes" if s.cross_fitted else "-",
        ]
        for s in facts.strategies
    ]
    header = ["strategy", "verdict", metric, "95 % interval", "loss", "cross-fitted"]
    title = f"{metric} of each strategy's ensemble"
    figures = [_bars(title, facts.strategies, facts, facts.recommended)]
    weighing = [s for s in facts.strategies if s.weights]
    if weighing:
        values = [s.weights for s in weighing]
        drawn = matrix("weights of each strategy", [s.name for s in weighing], names, values)
        figures.append(
            Figure(drawn, "Mean weight that each strategy (rows) gives to each teacher (columns).")
        )
    text = [f"`{facts.recommended}` is recommended: {facts.reason}."] if facts.reason else []
    note = "as good: not surely worse than another strategy, by score and loss"
    return Section("Strategies", text=text, grids=[Grid(rows, header, note)], figures=figures)


def _bars(title: str, rows: Sequence[Scored], facts: Audit, chosen: str = "") -> Figure:
    values = {row.name: row.score.value for row in rows}
    spans = {row.name: (row.score.low, row.score.high) for row in rows}
    known = {name: span for name, span in spans.items() if all(map(math.isfinite, span))}
    drawn = bars(title, values, known, facts.higher_is_better, chosen)
    note = f"with its 95 % interval. The {'recommended' if chosen else 'best'} one is colored."
    return Figure(drawn, f"{spelt(facts.metric)}, {note}")


def _pairs(facts: Audit) -> Section | None:
    if not facts.pairs:
        return None
    rows = [[" + ".join(p.teachers), _number(p.agreement), _number(p.error_correlation)] for p in facts.pairs]
    agreement = {frozenset(p.teachers): p.agreement for p in facts.pairs}
    correlation = {frozenset(p.teachers): p.error_correlation for p in facts.pairs}
    drawn = [
        _interval_text(facts, agreement, "How often two teachers predict the same class."),
        _interval_text(facts, correlation, "Correlation of the errors of two teachers."),
    ]
    return Section(
        "Pairs of teachers",
        text=["Teachers with uncorrelated errors gain most from each other."],
        grids=[Grid(rows, ["teachers", "same prediction", "correlation of errors"])],
        figures=[figure for figure in drawn if figure],
    )


def _interval_text(
    facts: Audit, values: Mapping[frozenset[str], float | None], caption: str
) -> Figure | None:
    """Return values of pairs as a matrix of teachers; None with fewer than three, or without values."""
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
        cells = [_number(c.strength) + (", confidently wrong" if c.surely_wrong else "") for c in each]
        rows.append([each[0].name, "-" if each[0].samples is None else f"{each[0].samples:,}", *cells])
    return Section("Teachers by class", grids=[Grid(rows, header)])


def _changes(changes: Sequence[Change], title: str, facts: Audit) -> Section:
    rows = [
        [c.teacher, c.strategy, *map(_signed_text, c.as_measured(facts.higher_is_better))] for c in changes
    ]
    header = ["teacher", "strategy", f"change of {spelt(facts.metric)}", "change of the loss"]
    return Section(title, grids=[Grid(rows, header, "with 95 % intervals")] if rows else [])


def _budget(facts: Audit, metric: str) -> Section:
    """Return the teachers that keep nearly the score of all, with what they cost."""
    rows = []
    for subset in facts.teacher_budget:
        change = subset.gain if facts.higher_is_better else -subset.gain
        cost = f"{subset.latency_ms:.2f} ms" if subset.latency_ms else "-"
        score, share = _number(subset.score.value), f"{100 * subset.share:.1f} %"
        rows.append([", ".join(subset.teachers), score, share, _signed_text(change), cost])
    header = ["teachers", metric, "share of all", "change (95 % interval)", "cost per sample and view"]
    text = (
        f"Fewer teachers that keep at least 99 % of the {metric} of `{facts.recommended}`, found by leaving "
        "out the most expensive one first. The cost is the latency of one sample, which recording pays for "
        "each view."
    )
    return Section("Teacher budget", text=[text] if rows else [], grids=[Grid(rows, header)] if rows else [])


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return format_number(value) if abs(value) < 100 else f"{value:,.1f}"


def _span(found: Estimate) -> str:
    return "\u00a0to\u00a0".join(_number(end) for end in (found.low, found.high))


def _signed_text(found: Estimate) -> str:
    ends = (found.low, found.high)
    if not math.isfinite(found.value):
        return "-"
    size = max(abs(each) for each in (found.value, *ends) if math.isfinite(each))
    written = " to ".join(format_number(end, size) if math.isfinite(end) else "-" for end in ends)
    return f"{format_number(found.value, size, '+')} ({written})"
