"""The report card of a run: its ``report.json`` as a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtkd_cli.interfaces.significant_digits import shown
from mtkd_cli.report import by_chance
from mtkd_cli.report.calibration_column import with_temperatures
from mtkd_cli.report.charts import bars, diagonal, lines, matrix
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.page import Figure, Grid, Section, Tile, embedded, page
from mtkd_cli.report.summary import count_in_words
from mtkd_cli.report.units import COSTS, bytes_in_words, milliseconds

MOST_CLASSES = 40
"""Classes up to which a confusion matrix is drawn."""


def run_page(report: Mapping[str, Any], recipe: str, picture: Path | None) -> str:
    """Return the page of a run.

    Args:
        report: what ``report.json`` holds.
        recipe: the text of the resolved recipe.
        picture: the file with predictions beside their labels, if there is one.
    """
    sections = [
        _scores(report),
        _learning(report),
        _calibration(report),
        _classes(report),
        _points(report),
        _weights(report),
        _pictures(picture),
        _teachers(report),
        _repeat(report, recipe),
    ]
    data = report["data"]
    subtitle = (
        f"{report['task']} on {data['name']} · strategy {report['strategy']} · "
        f"{len(report['teachers'])} teachers · "
        f"{data['train_labelled']} of {data['train']} training samples labelled"
    )
    return page(
        report["run"], subtitle, report["verdict"]["sentence"], _tiles(report), [s for s in sections if s]
    )


def everyone(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return everybody's scores by how they are called, the student first."""
    scores = report["scores"]
    rows = {
        "student, distilled": scores["student"],
        "student, alone": scores["alone"],
        f"ensemble ({report['strategy']})": scores["ensemble"],
        **{f"teacher {name}": row for name, row in scores["teachers"].items()},
    }
    return {name: row for name, row in rows.items() if row is not None}


def kept(report: Mapping[str, Any], of: Mapping[str, Any]) -> float:
    """Return the student's quality as a share of another's, 1: the same, more is better."""
    name, higher = report["metric"]["name"], report["metric"]["higher_is_better"]
    mine, theirs = report["scores"]["student"][name], of[name]
    above, below = (mine, theirs) if higher else (theirs, mine)
    return above / below if below else math.nan


def best_teacher(report: Mapping[str, Any]) -> str:
    """Return the name of the best teacher on the test split."""
    metric = report["metric"]
    sign = 1 if metric["higher_is_better"] else -1
    scores: dict[str, Any] = report["scores"]["teachers"]
    return max(scores, key=lambda name: sign * scores[name][metric["name"]])


def _tiles(report: Mapping[str, Any]) -> list[Tile]:
    scores, name = report["scores"], report["metric"]["name"]
    student, ensemble = scores["student"], scores["ensemble"]
    best = best_teacher(report)
    tiles = [Tile(f"{spelt(name)}, test", shown(student[name]), f"{report['data']['test']} samples")]
    if scores["alone"]:
        low, high = report["verdict"]["interval"]
        gain = report["verdict"]["difference"]
        gain, low, high = (shown(value, student[name], "+") for value in (gain, low, high))
        tiles.append(Tile("against the student alone", gain, f"95 %: {low} to {high}"))
    tiles += [
        Tile("of the ensemble's quality", _percent(kept(report, ensemble)), shown(ensemble[name])),
        Tile("of the best teacher's", _percent(kept(report, scores["teachers"][best])), best),
        Tile(
            "smaller than the teachers",
            _times(ensemble["bytes"], student["bytes"]),
            bytes_in_words(student["bytes"]),
        ),
        Tile(
            "faster than the teachers",
            _times(ensemble["latency_ms"], student["latency_ms"]),
            f"{milliseconds(student['latency_ms'])} a sample on the CPU",
        ),
    ]
    return tiles


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"


def _times(theirs: float | None, mine: float | None) -> str:
    return f"{theirs / mine:,.1f} ×" if mine and theirs else "-"


def _scores(report: Mapping[str, Any]) -> Section:
    rows, metric, chances = everyone(report), report["metric"], by_chance.of_everyone(report)
    metrics = [name for name in report["scores"]["student"] if name not in COSTS]
    header = ["", *(spelt(name) for name in metrics), "weights", "size", "CPU latency p50", "p95"]
    cells = [
        [
            who,
            *(by_chance.cell(m, row[m], chance) for m in metrics),
            count_in_words(row["parameters"]),
            bytes_in_words(row["bytes"]),
            milliseconds(row["latency_ms"]),
            milliseconds(row["latency_p95_ms"]),
        ]
        for (who, row), chance in zip(rows.items(), chances, strict=True)
    ]
    direction = "higher" if metric["higher_is_better"] else "lower"
    name = spelt(metric["name"])
    chart = bars(
        f"{name} on the test split",
        {who: row[metric["name"]] for who, row in rows.items()},
        higher_is_better=metric["higher_is_better"],
    )
    note = "Latency is that of one sample on this machine; an ensemble's is the sum of its teachers'."
    note += f" {by_chance.note(chances[0])}." if chances[0] else ""
    return Section(
        "Scores and costs",
        grids=[Grid(cells, header, f"Test split; {name} decides ({direction} is better).", True)],
        figures=[Figure(chart, f"{name}, {direction} is better; the best is in colour. {note}")],
    )


def _learning(report: Mapping[str, Any]) -> Section | None:
    curves = {"distilled": report["curves"]["student"], "alone": report["curves"]["alone"] or []}
    curves = {name: rows for name, rows in curves.items() if rows}
    metric = report["metric"]["name"]
    series = {name: [(row["step"], row[metric]) for row in rows] for name, rows in curves.items()}
    drawn = [
        Figure(
            lines(f"{spelt(metric)} on validation while training", series, "optimizer step", spelt(metric)),
            f"{spelt(metric)} on validation. Both students have the same labels, steps and search.",
        )
    ]
    losses = {
        "task loss": [(row["step"], row["task_loss"]) for row in curves["distilled"]],
        "distillation loss": [(row["step"], row["kd_loss"]) for row in curves["distilled"]],
    }
    drawn.append(
        Figure(
            lines("losses of the distilled student", losses, "optimizer step", "loss"),
            "The distilled student's losses.",
        )
    )
    return Section("Learning", figures=drawn)


def _calibration(report: Mapping[str, Any]) -> Section | None:
    found = {
        name: [(confidence, right) for confidence, right, _ in details["reliability"]]
        for name, details in _detailed(report).items()
        if details["reliability"]
    }
    if not found:
        return None
    drawn = diagonal("reliability", found, "confidence", "share that is right", dots=False)
    return Section(
        "Calibration",
        figures=[Figure(drawn, "Below the dashed line: surer than right. Above it: less sure than right.")],
    )


def _detailed(report: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    details = report["details"]
    found = {
        "student": details["student"],
        "alone": details["alone"],
        "ensemble": details["ensemble"],
    }
    return {name: each for name, each in found.items() if each}


def _classes(report: Mapping[str, Any]) -> Section | None:
    classes, found = report["data"]["classes"], _detailed(report)
    student = found["student"]
    if not student["per_class"]:
        return None
    names = list(student["per_class"])
    header = ["class", *(f"{spelt(name)}, {who}" for name in names for who in found)]
    rows = [
        [label, *(_score(each["per_class"][name][place]) for name in names for each in found.values())]
        for place, label in enumerate(classes)
    ]
    figures = []
    if student["confusion"] and len(classes) <= MOST_CLASSES:
        drawn = matrix("confusions of the student", classes, classes, student["confusion"], whole=True)
        figures = [Figure(drawn, "The student's answers (columns) by label (rows), on the test split.")]
    return Section("Classes", grids=[Grid(rows, header)], figures=figures)


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _points(report: Mapping[str, Any]) -> Section | None:
    points = report["details"]["student"]["points"]
    figures = [
        Figure(
            diagonal(f"answers by label: {name}", {"student": pairs}, "label", "answer", dots=True),
            f"{name}: the student's answers by label, on the test split.",
        )
        for name, pairs in points.items()
    ]
    return Section("Answers", figures=figures) if figures else None


def _weights(report: Mapping[str, Any]) -> Section | None:
    weights = report["weights"]
    if not weights:
        return None
    names = [teacher["name"] for teacher in report["teachers"]]
    chart = bars("mean weight of each teacher", dict(zip(names, weights["mean"], strict=True)))
    figures = [Figure(chart, "How much each teacher counts on validation, by the trained strategy.")]
    curve = [row for row in report["curves"]["student"] if f"weight/{names[0]}" in row]
    if len(curve) > 1:
        series = {name: [(row["step"], row[f"weight/{name}"]) for row in curve] for name in names}
        drawn = lines("weights while training", series, "optimizer step", "weight")
        figures.append(
            Figure(drawn, "Mean weight of each teacher in the training batch before each evaluation.")
        )
    if weights["per_class"] and len(weights["per_class"]) <= MOST_CLASSES:
        rows = list(weights["per_class"].values())
        drawn = matrix("weight of each teacher by class", list(weights["per_class"]), names, rows)
        figures.append(
            Figure(drawn, "Mean weight of each teacher (columns) on validation samples of a class (rows).")
        )
    return Section("How much each teacher counted", figures=figures)


def _pictures(picture: Path | None) -> Section | None:
    if picture is None:
        return None
    drawn = embedded(picture.read_bytes(), "predictions beside their labels")
    return Section("Predictions", figures=[Figure(drawn, "Test samples: labels, and what each answers.")])


def _teachers(report: Mapping[str, Any]) -> Section:
    rows = [[t["name"], t["model"], t["labels_seen"], t["hash"]] for t in report["teachers"]]
    header = ["teacher", "model", "labels of this data that it saw", "content hash"]
    header, rows = with_temperatures(header, rows, report["teachers"])
    text = [f"{t['name']}: {warning}." for t in report["teachers"] for warning in t.get("warnings", ())]
    return Section("Teachers", text=text, grids=[Grid(rows, header, words=True)])


def _repeat(report: Mapping[str, Any], recipe: str) -> Section:
    facts = {**report["versions"], **{key: value for key, value in report["engine"].items() if key != "mtkd"}}
    rows = [[name, str(value)] for name, value in facts.items()]
    return Section(
        "Repeat it",
        text=[
            "With the same versions, machine and number of threads it gives the same bits.",
            *(
                [f"Augmentation: {report['augment']}; batch size {report['batch_size']}."]
                if "augment" in report
                else []
            ),
        ],
        code=[report["repeat"], recipe],
        grids=[Grid(rows, caption=report["machine"], words=True)],
    )
