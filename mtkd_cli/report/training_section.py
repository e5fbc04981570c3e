"""The training of a report: learning curves, and the settings that were tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.report.baseline_names import title_of
from mtkd_cli.report.charts import lines
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.page import Figure, Grid, Section
from mtkd_cli.report.run_result import RunResult


def training_section(report: RunResult) -> Section:
    """Return the section."""
    curve, metric = report.student.curve, report.metric.name
    curves = {"distilled": curve, **{kind: each.curve for kind, each in report.baselines.items()}}
    series = {name: [(row["step"], row[metric]) for row in rows] for name, rows in curves.items() if rows}
    scores = Figure(
        lines(f"{spelt(metric)} on validation while training", series, "optimizer step", spelt(metric)),
        f"{spelt(metric)} on validation. All students have the same number of steps.",
    )
    losses = {
        "task loss": [(row["step"], row["task_loss"]) for row in curve],
        "distillation loss": [(row["step"], row["kd_loss"]) for row in curve],
    }
    drawn = lines("losses of the distilled student", losses, "optimizer step", "loss")
    notes = [f"{title_of(kind)}: {each.note}." for kind, each in report.baselines.items() if each.note]
    grids = [_trials(report)] if report.student.trials else []
    text = [*filter(None, [_describe_chosen(report)]), *notes]
    return Section("Training", text, grids, [scores, Figure(drawn, "Losses of the distilled student.")])


def _describe_chosen(report: RunResult) -> str:
    """Return the chosen settings of all students, and the seed, in words."""
    students = {"distilled": report.student, **report.baselines}
    rates = [f"{name} {each.chosen['lr']:g}" for name, each in students.items() if "lr" in each.chosen]
    seed = "" if report.seed is None else f" Seed: {report.seed}."
    return f"Chosen learning rates: {', '.join(rates)}.{seed}" if rates else seed.strip()


def _trials(report: RunResult) -> Grid:
    """Return a row for each setting that was tried, of all students."""
    metric, rows = report.metric.name, []
    for name, student in {"distilled": report.student, **report.baselines}.items():
        for trial in student.trials:
            is_chosen = all(trial.get(key) == value for key, value in student.chosen.items())
            rows.append(
                [
                    name,
                    *_settings(trial),
                    *_result(trial, metric, report.data.val),
                    "yes" if is_chosen else "",
                ]
            )
    header = [
        "student",
        "learning rate",
        "weight decay",
        f"{spelt(metric)}, validation",
        "loss, validation",
        "chosen",
    ]
    note = f"All settings that were tried. Validation: {report.data.val:,} labels."
    return Grid(rows, header, note)


def _settings(trial: Mapping[str, Any]) -> list[str]:
    return [f"{trial[key]:g}" if key in trial else "-" for key in ("lr", "weight_decay")]


def _result(trial: Mapping[str, Any], metric: str, samples: int) -> list[str]:
    """Return metric and loss on validation, or why the trial failed."""
    if "failed" in trial:
        return [f"failed: {trial['failed']}", "-"]
    values = [trial.get(metric), trial.get("val_loss")]
    return ["-" if value is None else format_number(value, samples=samples) for value in values]
