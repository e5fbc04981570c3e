"""The page of a comparison, made of its ``comparison.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtkd_cli.report.charts import bars
from mtkd_cli.report.page import Figure, Grid, Section, Tile, page
from mtkd_cli.report.summary import said


def comparison_page(facts: Mapping[str, Any], name: str) -> str:
    """Return the page of a comparison; ``facts``: what ``comparison.json`` holds."""
    metric, higher = said(facts["metric"]["name"]), facts["metric"]["higher_is_better"]
    rows = facts["rows"]
    best = (max if higher else min)((row for row in rows if row["against"]), key=lambda row: row["mean"])
    words = [verdict["word"] for row in rows for verdict in row["against"].values()]
    tiles = [
        Tile("best mean", f"{best['mean']:.4f}", best["name"]),
        *(Tile(word, str(words.count(word)), "verdicts") for word in dict.fromkeys(words)),
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
    lead = next((s for s in facts["sentences"] if s.startswith(best["name"])), "")
    return page(name, subtitle, lead, tiles, [s for s in sections if s and (s.text or s.grids or s.figures)])


def _scores(facts: Mapping[str, Any], metric: str) -> Section:
    rows = facts["rows"]
    opponents = list(dict.fromkeys(who for row in rows for who in row["against"]))
    cells = [
        [
            row["name"],
            str(len(row["scores"])),
            f"{row['mean']:.4f}",
            f"{row['interval'][0]:.4f} to {row['interval'][1]:.4f}" if row["interval"] else "-",
            *(_verdict(row["against"].get(who)) for who in opponents),
        ]
        for row in rows
    ]
    header = ["student", "seeds", f"mean {metric}", "95 % interval", *(f"against the {w}" for w in opponents)]
    values = {row["name"]: row["mean"] for row in rows}
    spans = {row["name"]: tuple(row["interval"]) for row in rows if row["interval"]}
    chart = bars(f"mean {metric} of each student", values, spans)
    return Section(
        "Scores",
        grids=[Grid(cells, header)],
        figures=[Figure(chart, f"Mean {metric} on the test split, with Student's 95 % interval over seeds.")],
    )


def _verdict(verdict: Mapping[str, Any] | None) -> str:
    return "" if verdict is None else f"{verdict['gain']:+.4f} {verdict['word']}"


def _seeds(facts: Mapping[str, Any]) -> Section:
    rows = [
        [row["name"], ", ".join(f"{k}={v}" for k, v in seed.items()) or "-", f"{score:.4f}"]
        for row in facts["rows"]
        for seed, score in zip(row["seeds"], row["scores"], strict=True)
    ]
    return Section("Every student", grids=[Grid(rows, ["student", "seeds", said(facts["metric"]["name"])])])


def _tuned(facts: Mapping[str, Any]) -> Section:
    rows = [[str(value) for value in found.values()] for found in facts["tuned"]]
    header = list(facts["tuned"][0]) if rows else []
    return Section("Tuned on validation", grids=[Grid(rows, header, words=True)] if rows else [])
