"""The report card of a run: its ``report.json`` as a page."""

from __future__ import annotations

import math
from pathlib import Path

from mtkd_cli.interfaces.significant_digits import shown
from mtkd_cli.report import by_chance
from mtkd_cli.report.baseline_names import FAIR, phrase_of, title_of
from mtkd_cli.report.calibration_column import with_temperatures
from mtkd_cli.report.charts import bars, diagonal, lines, matrix
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.page import Figure, Grid, Section, Tile, embedded, page
from mtkd_cli.report.run_result import Answers, Margin, RunResult
from mtkd_cli.report.units import bytes_in_words, count_in_words, latency_title, measured_on, milliseconds

MOST_CLASSES = 40
"""Classes up to which a confusion matrix is drawn."""


def run_page(report: RunResult, recipe: str, picture: Path | None) -> str:
    """Return the page of a run.

    Args:
        report: the facts of the run.
        recipe: the text of the resolved recipe.
        picture: the file with predictions beside their labels, if there is one.
    """
    sections = [
        _scores(report),
        _seeds(report),
        _learning(report),
        _calibration(report),
        _classes(report),
        _points(report),
        _weights(report),
        _pictures(picture),
        _teachers(report),
        _repeat(report, recipe),
    ]
    data = report.data
    subtitle = (
        f"{report.task} on {data.name} · strategy {report.strategy} · "
        f"{len(report.teachers)} teachers · "
        f"{data.train_labelled} of {data.train} training samples labelled"
    )
    return page(report.run, subtitle, report.verdict.sentence, _tiles(report), [s for s in sections if s])


def _tiles(report: RunResult) -> list[Tile]:
    scores, name = report.scores, report.metric.name
    student, beside = scores.student, report.against_teachers
    tiles = [Tile(f"{spelt(name)}, test", shown(student[name]), f"{report.data.test} samples")]
    tiles += [_gain(k, margin, student[name]) for k, margin in report.verdict.against.items() if k in FAIR]
    costs = report.costs.student
    tiles += [
        Tile("of the ensemble's quality", _percent(beside.of_ensemble), shown(scores.ensemble[name])),
        Tile("of the best teacher's", _percent(beside.of_best_teacher), beside.best_teacher),
        Tile("smaller than the teachers", _times(beside.times_smaller), bytes_in_words(costs.bytes)),
        Tile(
            "faster than the teachers",
            _times(beside.times_faster),
            f"{milliseconds(costs.latency_ms)} a sample ({measured_on(costs)})",
        ),
    ]
    return tiles


def _gain(kind: str, margin: Margin, student: float) -> Tile:
    ends = [shown(end, student, "+") for end in margin.interval or () if math.isfinite(end)]
    below = f"95 %: {' to '.join(ends)}" if ends else "no interval"
    return Tile(f"against {phrase_of(kind)}", shown(margin.difference, student, "+"), below)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:,.1f} ×"


def _scores(report: RunResult) -> Section:
    metric, metrics, chances = report.metric, list(report.scores.student), by_chance.of_everyone(report)
    scores, costs = report.scores.titled(report.strategy), report.costs.titled(report.strategy)
    latency = latency_title(costs.values(), "latency p50")
    header = ["", *(spelt(name) for name in metrics), "weights", "size", latency, "p95"]
    cells = [
        [
            who,
            *(by_chance.cell(m, row[m], chances[who]) for m in metrics),
            count_in_words(costs[who].parameters),
            bytes_in_words(costs[who].bytes),
            milliseconds(costs[who].latency_ms),
            milliseconds(costs[who].latency_p95_ms),
        ]
        for who, row in scores.items()
    ]
    direction = "higher" if metric.higher_is_better else "lower"
    name = spelt(metric.name)
    chart = bars(
        f"{name} on the test split",
        {who: row[metric.name] for who, row in scores.items()},
        higher_is_better=metric.higher_is_better,
    )
    note = "Latency is that of one sample on this machine; an ensemble's is the sum of its teachers'."
    if chance := by_chance.note(report.details.student.by_chance):
        note += f" {chance}."
    return Section(
        "Scores and costs",
        grids=[Grid(cells, header, f"Test split; {name} decides ({direction} is better).", True)],
        figures=[Figure(chart, f"{name}, {direction} is better; the best is in colour. {note}")],
    )


def _seeds(report: RunResult) -> Section | None:
    """Return the scores of each seed, if there are several."""
    found = report.seeds
    if not found:
        return None
    columns = {"student, distilled": found.student}
    columns |= {title_of(kind): scores for kind, scores in found.baselines.items()}
    rows = [
        [str(seed), *(shown(scores[row]) for scores in columns.values()), found.runs[row]]
        for row, seed in enumerate(found.seeds)
    ]
    text = [f"Everything else on this page is of seed {found.shipped}, the median on validation."]
    return Section("Seeds", text=text, grids=[Grid(rows, ["seed", *columns, "run"])])


def _learning(report: RunResult) -> Section:
    curve, metric = report.student.curve, report.metric.name
    curves = {"distilled": curve, **{kind: each.curve for kind, each in report.baselines.items()}}
    series = {name: [(row["step"], row[metric]) for row in rows] for name, rows in curves.items() if rows}
    scores = Figure(
        lines(f"{spelt(metric)} on validation while training", series, "optimizer step", spelt(metric)),
        f"{spelt(metric)} on validation. Every student has the same steps and search.",
    )
    losses = {
        "task loss": [(row["step"], row["task_loss"]) for row in curve],
        "distillation loss": [(row["step"], row["kd_loss"]) for row in curve],
    }
    drawn = lines("losses of the distilled student", losses, "optimizer step", "loss")
    notes = [f"{title_of(kind)}: {each.note}." for kind, each in report.baselines.items() if each.note]
    figures = [scores, Figure(drawn, "The distilled student's losses.")]
    return Section("Learning", text=notes, figures=figures)


def _calibration(report: RunResult) -> Section | None:
    found = {
        name: [(confidence, right) for confidence, right, _ in details.reliability]
        for name, details in _detailed(report).items()
        if details.reliability
    }
    if not found:
        return None
    drawn = diagonal("reliability", found, "confidence", "share that is right", dots=False)
    return Section(
        "Calibration",
        figures=[Figure(drawn, "Below the dashed line: surer than right. Above it: less sure than right.")],
    )


def _detailed(report: RunResult) -> dict[str, Answers]:
    details = report.details
    fair = {kind: answers for kind, answers in details.baselines.items() if kind in FAIR}
    return {"student": details.student, **fair, "ensemble": details.ensemble}


def _classes(report: RunResult) -> Section | None:
    classes, found = report.data.classes, _detailed(report)
    student = found["student"]
    if not student.per_class:
        return None
    names = list(student.per_class)
    header = ["class", *(f"{spelt(name)}, {who}" for name in names for who in found)]
    rows = [
        [label, *(_score(each.per_class[name][place]) for name in names for each in found.values())]
        for place, label in enumerate(classes)
    ]
    figures = []
    if student.confusion and len(classes) <= MOST_CLASSES:
        drawn = matrix("confusions of the student", classes, classes, student.confusion, whole=True)
        figures = [Figure(drawn, "The student's answers (columns) by label (rows), on the test split.")]
    return Section("Classes", grids=[Grid(rows, header)], figures=figures)


def _score(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _points(report: RunResult) -> Section | None:
    points = report.details.student.points
    figures = [
        Figure(
            diagonal(f"answers by label: {name}", {"student": pairs}, "label", "answer", dots=True),
            f"{name}: the student's answers by label, on the test split.",
        )
        for name, pairs in points.items()
    ]
    return Section("Answers", figures=figures) if figures else None


def _weights(report: RunResult) -> Section | None:
    weights = report.weights
    if not weights:
        return None
    names = [teacher.name for teacher in report.teachers]
    chart = bars("mean weight of each teacher", dict(zip(names, weights.mean, strict=True)))
    figures = [Figure(chart, "How much each teacher counts on validation, by the trained strategy.")]
    curve = [row for row in report.student.curve if f"weight/{names[0]}" in row]
    if len(curve) > 1:
        series = {name: [(row["step"], row[f"weight/{name}"]) for row in curve] for name in names}
        drawn = lines("weights while training", series, "optimizer step", "weight")
        figures.append(
            Figure(drawn, "Mean weight of each teacher in the training batch before each evaluation.")
        )
    if weights.per_class and len(weights.per_class) <= MOST_CLASSES:
        rows = list(weights.per_class.values())
        drawn = matrix("weight of each teacher by class", list(weights.per_class), names, rows)
        figures.append(
            Figure(drawn, "Mean weight of each teacher (columns) on validation samples of a class (rows).")
        )
    return Section("How much each teacher counted", figures=figures)


def _pictures(picture: Path | None) -> Section | None:
    if picture is None:
        return None
    drawn = embedded(picture.read_bytes(), "predictions beside their labels")
    return Section("Predictions", figures=[Figure(drawn, "Test samples: labels, and what each answers.")])


def _teachers(report: RunResult) -> Section:
    rows = [[t.name, t.model, t.labels_seen, t.hash] for t in report.teachers]
    header = ["teacher", "model", "labels of this data that it saw", "content hash"]
    header, rows = with_temperatures(header, rows, [t.calibration for t in report.teachers])
    text = [f"{t.name}: {warning}." for t in report.teachers for warning in t.warnings]
    return Section("Teachers", text=text, grids=[Grid(rows, header, words=True)])


def _repeat(report: RunResult, recipe: str) -> Section:
    facts = {**report.versions, **{key: value for key, value in report.engine.items() if key != "mtkd"}}
    rows = [[name, str(value)] for name, value in facts.items()]
    return Section(
        "Repeat it",
        text=[
            "With the same versions, machine and number of threads it gives the same bits.",
            *(
                [f"Augmentation: {report.augment}; batch size {report.batch_size}."]
                if report.augment is not None
                else []
            ),
        ],
        code=[report.repeat, recipe],
        grids=[Grid(rows, caption=report.machine, words=True)],
    )
