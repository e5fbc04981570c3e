"""The page of a comparison, made of its ``comparison.json``."""

from __future__ import annotations

from collections.abc import Mapping

from mtkd_cli.interfaces.significant_digits import shown
from mtkd_cli.report.comparison_result import Against, Comparison, Opponent
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.page import Figure, Grid, Section, Tile, page
from mtkd_cli.report.strip_plot import strips
from mtkd_cli.stats.paired_test import BEATS


def comparison_page(facts: Comparison, name: str) -> str:
    """Return the page of a comparison."""
    metric, higher = spelt(facts.metric.name), facts.metric.higher_is_better
    best = facts.rows[facts.best]
    tiles = [
        Tile("best mean", shown(best.mean), best.name),
        *map(_beaten, facts.opponents),
        Tile("seeds", str(facts.seeds), f"{facts.test_samples:,} test samples"),
    ]
    sections = [
        _scores(facts, metric),
        Section("Verdicts", text=facts.sentences),
        _seeds(facts),
        _tuned(facts),
        Section("Failed", text=[f"{cell}: {why}" for cell, why in facts.failures.items()]),
    ]
    subtitle = f"comparison · {facts.task} · {metric}, {'higher' if higher else 'lower'} is better"
    kept = [s for s in sections if s.text or s.grids or s.figures]
    return page(name, subtitle, facts.lead, tiles, kept)


def _beaten(opponent: Opponent) -> Tile:
    others = [f"{count} {word}" for word, count in opponent.words.items() if word != BEATS]
    beaten = f"{opponent.words.get(BEATS, 0)} of {opponent.tested}"
    return Tile(f"surely beat the {opponent.name}", beaten, ", ".join(others))


def _scores(facts: Comparison, metric: str) -> Section:
    cells = [
        [
            row.name,
            shown(row.mean),
            *(_verdict(row.against.get(opponent.name), row.mean) for opponent in facts.opponents),
            "\u00a0to\u00a0".join(shown(end, row.mean) for end in row.interval) if row.interval else "-",
            str(len(row.scores)),
        ]
        for row in facts.rows
    ]
    against = [f"against the {opponent.name}" for opponent in facts.opponents]
    header = ["student", f"mean {metric}", *against, "95 % interval", "seeds"]
    values = {row.name: row.mean for row in facts.rows}
    spans = {row.name: row.interval for row in facts.rows if row.interval}
    seeds = {row.name: row.scores for row in facts.rows}
    chart = strips(f"{metric} of each student", seeds, values, spans, facts.metric.higher_is_better)
    note = "on the test split: every seed a point, the mean a bar, with Student's 95 % interval over seeds."
    figure = Figure(chart, f"{metric} {note} The best mean is in colour. The axis need not begin at 0.")
    return Section("Scores", grids=[Grid(cells, header)], figures=[figure])


def _verdict(test: Against | None, mean: float) -> str:
    return "" if test is None else f"{shown(test.gain, mean, '+')} {test.word}"


def _seeds(facts: Comparison) -> Section:
    rows = [
        [row.name, _settings(seed), shown(score)]
        for row in facts.rows
        for seed, score in zip(row.seeds, row.scores, strict=True)
    ]
    return Section("Every student", grids=[Grid(rows, ["student", "seeds", spelt(facts.metric.name)])])


def _tuned(facts: Comparison) -> Section:
    rows = [
        [
            _settings(found.method),
            _settings(found.settings),
            shown(found.score),
            shown(found.loss),
            str(len(found.trials)),
        ]
        for found in facts.tuned
    ]
    header = ["method", "settings", "score", "loss", "trials"]
    return Section("Tuned on validation", grids=[Grid(rows, header, words=True)] if rows else [])


def _settings(given: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in given.items()) or "-"
