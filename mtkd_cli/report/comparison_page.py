"""The page of a comparison, made of its ``comparison.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtkd_cli.interfaces.significant_digits import shown
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.page import Figure, Grid, Section, Tile, page
from mtkd_cli.report.strip_plot import strips
from mtkd_cli.stats.paired_test import BEATS


def comparison_page(facts: Mapping[str, Any], name: str) -> str:
    """Return the page of a comparison; ``facts``: what ``comparison.json`` holds."""
    metric, higher = spelt(facts["metric"]["name"]), facts["metric"]["higher_is_better"]
    rows = facts["rows"]
    best = best_row(rows, higher)
    tiles = [
        Tile("best mean", shown(best["mean"]), best["name"]),
        *(_beaten(rows, who) for who in _opponents(rows)),
        Tile("seeds", str(facts["seeds"]), f"{facts['test_samples']:,} test samples"),
    ]
    sections = [
        _scores(facts, metric),
        Section("Verdicts", text=facts["sentences"]),
        _seeds(facts),
        _tuned(facts),
        Section("Failed", text=[f"{cell}: {why}" for cell, why in facts["failures"].items()]),
    ]
    subtitle = f"comparison · {facts['task']} · {metric}, {'higher' if higher else 'lower'} is better"
    lead = _lead(facts, best, metric)
    return page(name, subtitle, lead, tiles, [s for s in sections if s and (s.text or s.grids or s.figures)])


def best_row(rows: Sequence[Mapping[str, Any]], higher_is_better: bool) -> Mapping[str, Any]:
    """Return the row of the best mean, students alone included; the first of equal ones."""
    return (max if higher_is_better else min)(rows, key=lambda row: row["mean"])


def _lead(facts: Mapping[str, Any], best: Mapping[str, Any], metric: str) -> str:
    """Return what matters most: whether anything has a better mean than the student alone, how surely."""
    alone = not best["runs"]
    methods = [row for row in facts["rows"] if row["runs"]]
    first = best_row(methods, facts["metric"]["higher_is_better"]) if alone else best
    verdict = next((f"{said}." for row, said in _said(facts) if row is first), "")
    if alone:
        return f"Nothing has a better mean {metric} than the {best['name']}, {shown(best['mean'])}. {verdict}"
    return verdict or f"{best['name']} has the best mean {metric}; no student alone was trained."


def _said(facts: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield each verdict in words with its row: sentences stand in the order of rows and opponents."""
    rows = (row for row in facts["rows"] for _ in row["against"])
    return zip(rows, facts["sentences"], strict=True)


def _opponents(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(who for row in rows for who in row["against"]))


def _beaten(rows: Sequence[Mapping[str, Any]], who: str) -> Tile:
    words = [row["against"][who]["word"] for row in rows if who in row["against"]]
    others = [f"{words.count(word)} {word}" for word in dict.fromkeys(words) if word != BEATS]
    return Tile(f"surely beat the {who}", f"{words.count(BEATS)} of {len(words)}", ", ".join(others))


def _scores(facts: Mapping[str, Any], metric: str) -> Section:
    rows = facts["rows"]
    opponents = _opponents(rows)
    cells = [
        [
            row["name"],
            shown(row["mean"]),
            *(_verdict(row["against"].get(who), row["mean"]) for who in opponents),
            "\u00a0to\u00a0".join(shown(end, row["mean"]) for end in row["interval"])
            if row["interval"]
            else "-",
            str(len(row["scores"])),
        ]
        for row in rows
    ]
    header = ["student", f"mean {metric}", *(f"against the {w}" for w in opponents), "95 % interval", "seeds"]
    values = {row["name"]: row["mean"] for row in rows}
    spans = {row["name"]: tuple(row["interval"]) for row in rows if row["interval"]}
    seeds = {row["name"]: row["scores"] for row in rows}
    chart = strips(f"{metric} of each student", seeds, values, spans, facts["metric"]["higher_is_better"])
    note = "on the test split: every seed a point, the mean a bar, with Student's 95 % interval over seeds."
    figure = Figure(chart, f"{metric} {note} The best mean is in colour. The axis need not begin at 0.")
    return Section("Scores", grids=[Grid(cells, header)], figures=[figure])


def _verdict(verdict: Mapping[str, Any] | None, mean: float) -> str:
    return "" if verdict is None else f"{shown(verdict['gain'], mean, '+')} {verdict['word']}"


def _seeds(facts: Mapping[str, Any]) -> Section:
    rows = [
        [row["name"], ", ".join(f"{k}={v}" for k, v in seed.items()) or "-", shown(score)]
        for row in facts["rows"]
        for seed, score in zip(row["seeds"], row["scores"], strict=True)
    ]
    return Section("Every student", grids=[Grid(rows, ["student", "seeds", spelt(facts["metric"]["name"])])])


def _tuned(facts: Mapping[str, Any]) -> Section:
    rows = [[str(value) for value in found.values()] for found in facts["tuned"]]
    header = list(facts["tuned"][0]) if rows else []
    return Section("Tuned on validation", grids=[Grid(rows, header, words=True)] if rows else [])
