"""The page of a comparison, made from its ``comparison.json``."""

from __future__ import annotations

from collections.abc import Mapping

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report.comparison_columns import earlier_look, latency_column, standing
from mtkd_cli.report.comparison_result import Against, Comparison, Opponent, Row
from mtkd_cli.report.cost_plot import CostPoint, cost_plot
from mtkd_cli.report.costs import Costs
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.page import Figure, Grid, Section, Tile, page
from mtkd_cli.report.strip_plot import strips
from mtkd_cli.report.units import bytes_in_words, milliseconds
from mtkd_cli.stats.verdict import BEATS

WORTH_A_PLOT = 1.2
"""Ratio of costs that is plotted. Measured latencies of equal students differ by less."""


def comparison_page(facts: Comparison, name: str) -> str:
    """Return the page of a comparison."""
    metric, higher = spelt(facts.metric.name), facts.metric.higher_is_better
    best = facts.rows[facts.best]
    tiles = [
        Tile("best mean", format_number(best.mean), best.name),
        *_best_set(facts),
        *map(_list_beaten, facts.opponents),
        Tile("seeds", str(facts.seeds), f"{facts.test_samples:,} test samples"),
    ]
    sections = [
        _scores(facts, metric),
        _costs(facts, metric),
        _verdicts(facts),
        _seeds(facts),
        _tuning_section(facts),
        Section("Failed", text=[f"{cell}: {why}" for cell, why in facts.failures.items()]),
    ]
    subtitle = f"comparison · {facts.task} · {metric}, {'higher' if higher else 'lower'} is better"
    kept = [s for s in sections if s.text or s.grids or s.figures]
    return page(name, subtitle, facts.lead, tiles, kept)


def _best_set(facts: Comparison) -> list[Tile]:
    if not facts.best_set:
        return []
    candidates = sum(not row.reference for row in facts.rows)
    return [Tile("not surely worse than the best", f"{len(facts.best_set)} of {candidates}")]


def _list_beaten(opponent: Opponent) -> Tile:
    others = [f"{count} {word}" for word, count in opponent.words.items() if word != BEATS]
    beaten = f"{opponent.words.get(BEATS, 0)} of {opponent.tested}"
    return Tile(f"surely beat the {opponent.name}", beaten, ", ".join(others))


def _scores(facts: Comparison, metric: str) -> Section:
    header = ["student", f"mean {metric}", "among the best", "95 % interval", "seeds", "steps", "size"]
    values = {row.name: row.mean for row in facts.rows}
    spans = {row.name: row.interval for row in facts.rows if row.interval}
    seeds = {row.name: row.scores for row in facts.rows}
    best = {facts.rows[index].name for index in facts.best_set or (facts.best,)}
    chart = strips(f"{metric} of each student", seeds, values, spans, best)
    color = "Students that are not surely worse than the best are" if facts.best_set else "The best mean is"
    note = "on the test split: a point per seed, a bar at the mean, and Student's 95 % interval over seeds."
    figure = Figure(chart, f"{metric} {note} {color} in color. The axis may not start at 0.")
    cells = [_cells(facts, index, row) for index, row in enumerate(facts.rows)]
    return Section("Scores", grids=[Grid(cells, [*header, latency_column(facts)])], figures=[figure])


def _cells(facts: Comparison, index: int, row: Row) -> list[str]:
    costs = row.costs or Costs()
    return [
        row.name,
        format_number(row.mean),
        standing(facts, index),
        "\u00a0to\u00a0".join(format_number(end, row.mean) for end in row.interval) if row.interval else "-",
        str(len(row.scores)),
        "-" if row.steps is None else f"{row.steps:,}",
        bytes_in_words(costs.bytes),
        milliseconds(costs.latency_ms),
    ]


def _verdicts(facts: Comparison) -> Section:
    opponents = [opponent.name for opponent in facts.opponents]
    rows = [
        [row.name, *(_verdict(row.against.get(who), row.mean) for who in opponents)]
        for row in facts.rows
        if row.against
    ]
    grid = Grid(rows, ["student", *(f"against the {who}" for who in opponents)])
    text = list(filter(None, [earlier_look(facts), *facts.sentences]))
    return Section("Verdicts", text=text, grids=[grid] if rows else [])


def _verdict(test: Against | None, mean: float) -> str:
    return "" if test is None else f"{format_number(test.gain, mean, '+')} {test.word}"


def _costs(facts: Comparison, metric: str) -> Section:
    """Return plots of the score against size and latency, if students differ."""
    rows = [(row, row.costs) for row in facts.rows if row.costs is not None]
    if not facts.students_differ or len(rows) < len(facts.rows):
        return Section("Score against cost")
    sizes = {row.name: costs.bytes / 1000 for row, costs in rows if costs.bytes}
    latencies = {row.name: costs.latency_ms for row, costs in rows if costs.latency_ms}
    if len({costs.measured_on for _, costs in rows}) > 1:
        latencies = {}
    plots = {"size in kB": sizes, "latency in ms": latencies}
    figures = [
        _cost_figure(facts, metric, label, costs)
        for label, costs in plots.items()
        if len(costs) == len(facts.rows) and max(costs.values()) >= WORTH_A_PLOT * min(costs.values())
    ]
    return Section("Score against cost", figures=figures)


def _cost_figure(facts: Comparison, metric: str, label: str, costs: Mapping[str, float]) -> Figure:
    points = [CostPoint(row.name, costs[row.name], row.mean, row.interval) for row in facts.rows]
    title = f"{metric} against {label.partition(' ')[0]}"
    drawing = cost_plot(title, points, label, f"mean {metric}", facts.metric.higher_is_better)
    line = "the dashed line joins the students whose mean no student of the same or a lower cost exceeds"
    better = line if facts.metric.higher_is_better else line.replace("exceeds", "is below")
    return Figure(drawing, f"{title}, with 95 % intervals over seeds; {better}.")


def _seeds(facts: Comparison) -> Section:
    rows = [
        [row.name, _settings(seed), format_number(score)]
        for row in facts.rows
        for seed, score in zip(row.seeds, row.scores, strict=True)
    ]
    return Section("Every student", grids=[Grid(rows, ["student", "seeds", spelt(facts.metric.name)])])


def _tuning_section(facts: Comparison) -> Section:
    rows = [
        [
            _settings(found.method),
            _settings(found.settings),
            format_number(found.score),
            format_number(found.loss),
            str(len(found.trials)),
        ]
        for found in facts.tuned
    ]
    header = ["method", "settings", "score", "loss", "trials"]
    return Section("Tuned on validation", grids=[Grid(rows, header, words=True)] if rows else [])


def _settings(given: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in given.items()) or "-"
