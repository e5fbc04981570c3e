"""The report card of a run: its ``report.json`` as a page."""

from __future__ import annotations

import math
from pathlib import Path

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report import by_chance
from mtkd_cli.report.baseline_names import FAIR, phrase_of, title_of
from mtkd_cli.report.calibration_column import with_temperatures
from mtkd_cli.report.calibration_section import calibration_section
from mtkd_cli.report.charts import diagonal, matrix
from mtkd_cli.report.class_coverage import coverage_section
from mtkd_cli.report.compared_answers import compared_answers
from mtkd_cli.report.gallery_section import gallery_section
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.outcome import HELPED, HURT, outcome_of
from mtkd_cli.report.page import Badge, Figure, Grid, Section, Tile, embed, page
from mtkd_cli.report.run_result import PROCESS_CHANGES, Margin, RunResult
from mtkd_cli.report.score_bars import Bar, score_bars
from mtkd_cli.report.score_cells import score_cells, score_text
from mtkd_cli.report.training_section import training_section
from mtkd_cli.report.units import bytes_in_words, count_in_words, latency_title, measured_on, milliseconds
from mtkd_cli.report.weights_section import weights_section

NO_BREAK = "\N{NON-BREAKING HYPHEN}"
MOST_CLASSES = 40
"""Classes up to which a confusion matrix is drawn."""


def run_page(report: RunResult, recipe: str, picture: Path | None, sheet: Path | None = None) -> str:
    """Return the page of a run.

    Args:
        report: the facts of the run.
        recipe: the text of the resolved recipe.
        picture: file with predictions and labels, or None.
        sheet: file with the pictures of the gallery, or None.
    """
    sections = [
        _scores(report),
        _seeds(report),
        gallery_section(report.gallery, report.metric.name, sheet),
        training_section(report),
        calibration_section(report),
        _classes(report),
        _points(report),
        weights_section(report),
        _pictures(picture),
        coverage_section(report.coverage),
        _teachers(report),
        _repeat(report, recipe),
    ]
    data = report.data
    subtitle = (
        f"{report.task} on {data.name} · strategy {report.strategy} · "
        f"{len(report.teachers)} teachers · "
        f"{data.train_labelled:,} of {data.train:,} training samples labeled"
        + (f" · {report.timing.in_words.replace('-', NO_BREAK)}" if report.timing else "")
    )
    outcome = outcome_of(report.verdict, report.metric)
    badge = Badge(outcome.capitalize(), {HELPED: "good", HURT: "bad"}.get(outcome, "neutral"))
    lead, kept = report.verdict.sentence, [section for section in sections if section]
    return page(report.run, subtitle, lead, _tiles(report), kept, badge)


def _tiles(report: RunResult) -> list[Tile]:
    scores, name = report.scores, report.metric.name
    student, beside = scores.student, report.against_teachers
    own = report.intervals.student if report.intervals else None
    note = f"{report.data.test:,} samples" + (f"; 95 %: {_ends(report, own)}" if own else "")
    tiles = [Tile(f"{spelt(name)}, test", score_text(report, student[name]), note)]
    tiles += [_gain(report, k, margin) for k, margin in report.verdict.against.items() if k in FAIR]
    costs, ensemble = report.costs.student, score_text(report, scores.ensemble[name])
    tiles += [
        Tile("of the ensemble's quality", _percent(report, beside.of_ensemble), ensemble),
        Tile("of the best teacher's", _percent(report, beside.of_best_teacher), beside.best_teacher),
        Tile("smaller than the teachers", _times(beside.times_smaller), bytes_in_words(costs.bytes)),
        Tile(
            "faster than the teachers",
            _times(beside.times_faster),
            f"{milliseconds(costs.latency_ms)} a sample ({measured_on(costs)})",
        ),
    ]
    return tiles


def _gain(report: RunResult, kind: str, margin: Margin) -> Tile:
    below = f"95 %: {_ends(report, margin.interval, '+')}" if margin.interval else "no interval"
    return Tile(f"against {phrase_of(kind)}", score_text(report, margin.difference, "+"), below)


def _ends(report: RunResult, interval: tuple[float, float], sign: str = "") -> str:
    return " to ".join(score_text(report, end, sign) for end in interval)


def _percent(report: RunResult, share: float | None) -> str:
    return "-" if share is None else f"{format_number(100 * share, 100, samples=report.data.test)} %"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:,.1f} ×"


def _scores(report: RunResult) -> Section:
    metric, metrics = report.metric, list(report.scores.student)
    scores, costs = report.scores.titled(report.strategy), report.costs.titled(report.strategy)
    header = ["", *(spelt(name) for name in metrics), "weights", "size", "latency p50", "p95"]
    rows = [
        [
            who,
            *cells,
            count_in_words(costs[who].parameters),
            bytes_in_words(costs[who].bytes or None),
            milliseconds(costs[who].latency_ms),
            milliseconds(costs[who].latency_p95_ms),
        ]
        for who, cells in score_cells(report).items()
    ]
    direction = "higher" if metric.higher_is_better else "lower"
    name = spelt(metric.name)
    caption = f"Test split; {name} decides ({direction} is better). "
    caption += f"{latency_title(costs.values()).capitalize()}."
    values = {who: row[metric.name] for who, row in scores.items()}
    intervals = report.intervals.titled(report.strategy) if report.intervals else {}
    known = {who: interval for who, interval in intervals.items() if interval}
    bars = {
        who.removesuffix(" (reference)"): Bar(value, score_text(report, value), known.get(who))
        for who, value in values.items()
    }
    chart = score_bars(f"{name} on the test split", bars, next(iter(bars)))
    lines_are = " Lines are 95 % intervals over test samples." if known else ""
    note = "Latency is that of one sample on this machine; an ensemble's is the sum of its teachers'."
    if chance := by_chance.note(report.details.student.by_chance):
        note += f" {chance}."
    return Section(
        "Scores and costs",
        grids=[Grid(rows, header, caption, True)],
        figures=[Figure(chart, f"{name}, {direction} is better; the student is in color.{lines_are} {note}")],
    )


def _seeds(report: RunResult) -> Section | None:
    """Return the scores of each seed, if there are several."""
    found = report.seeds
    if not found:
        return None
    columns = {"student, distilled": found.student}
    columns |= {title_of(kind): scores for kind, scores in found.baselines.items()}
    rows = [
        [str(seed), *(score_text(report, scores[row]) for scores in columns.values()), found.runs[row]]
        for row, seed in enumerate(found.seeds)
    ]
    text = [f"All other numbers on this page are of seed {found.shipped}, the median on validation."]
    return Section("Seeds", text=text, grids=[Grid(rows, ["seed", *columns, "run"])])


def _classes(report: RunResult) -> Section | None:
    classes, found = report.data.classes, compared_answers(report)
    student = found["student"]
    if not student.per_class:
        return None
    names = list(student.per_class)
    labels = [sum(row) for row in student.confusion] or [report.data.test] * len(classes)
    header = ["class", *(f"{spelt(name)}, {who}" for name in names for who in found)]
    rows = [
        [
            label,
            *(
                _share(each.per_class[name][index], labels[index])
                for name in names
                for each in found.values()
            ),
        ]
        for index, label in enumerate(classes)
    ]
    figures = []
    if student.confusion:
        header.insert(1, "labels")
        rows = [[row[0], f"{count:,}", *row[1:]] for row, count in zip(rows, labels, strict=True)]
    if student.confusion and len(classes) <= MOST_CLASSES:
        drawn = matrix("confusions of the student", classes, classes, student.confusion, whole=True)
        figures = [Figure(drawn, "The student's answers (columns) by label (rows), on the test split.")]
    return Section("Classes", grids=[Grid(rows, header)], figures=figures)


def _share(value: float, samples: int) -> str:
    return "-" if math.isnan(value) else format_number(value, 1, samples=samples)


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


def _pictures(picture: Path | None) -> Section | None:
    if picture is None:
        return None
    drawn = embed(picture.read_bytes(), "predictions and labels")
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
            "It does not give the same bits, because the run continued in another number of processes."
            if PROCESS_CHANGES in report.engine
            else "With the same versions, machine and number of threads it gives the same bits.",
            *(
                [f"Augmentation: {report.augment}; batch size {report.batch_size}."]
                if report.augment is not None
                else []
            ),
        ],
        code=[report.repeat, recipe],
        grids=[Grid(rows, caption=report.machine, words=True)],
    )
