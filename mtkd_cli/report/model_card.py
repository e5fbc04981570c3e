"""A model card of the student, in Markdown with the metadata that model hubs read."""

from __future__ import annotations

import math

from mtkd_cli.errors import UsageError
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.report import by_chance
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.outcome import outcome_of
from mtkd_cli.report.run_result import RunResult
from mtkd_cli.report.score_cells import score_cells
from mtkd_cli.report.units import bytes_in_words, count_in_words, latency_title, milliseconds
from mtkd_cli.specs import DataSpec, Spec, TaskSpec


def model_card(report: RunResult, library: str = "mtkd", usage: str = "") -> str:
    """Return the card of a run's student.

    Args:
        report: result of the run.
        library: name of the library that loads the student, as model hubs have it.
        usage: Python code that loads it; none for the card in the run's folder.
    """
    data, metrics = report.data, list(report.scores.student)
    costs = report.costs.titled(report.strategy)
    lines = [
        f"---\n{_metadata(report, library)}\n---",
        f"# {_plain(report.run)}",
        f"A student ({_plain(report.student.model)}) distilled from {len(report.teachers)} teachers "
        f"by the strategy {_plain(report.strategy)}, with mtkd {report.versions['mtkd']}"
        + (f", on {report.timing.in_words}." if report.timing else "."),
        f"**{outcome_of(report.verdict, report.metric).capitalize()}.** {report.verdict.sentence}",
        *(["## Use it", f"```python\n{usage.strip()}\n```"] if usage else []),
        "## Scores and costs",
        _table(
            ["", *map(spelt, metrics), "weights", "size", latency_title(costs.values())],
            [
                [
                    name,
                    *cells,
                    count_in_words(costs[name].parameters),
                    bytes_in_words(costs[name].bytes or None),
                    milliseconds(costs[name].latency_ms),
                ]
                for name, cells in score_cells(report).items()
            ],
        ),
        f"Test split, {data.test} samples; latency on the machine of the run."
        + (f" {note}." if (note := by_chance.note(report.details.student.by_chance)) else ""),
        "## Training data",
        f"{_plain(data.name)}: {data.train} training samples, of which {data.train_labelled} have "
        f"a label; {data.val} validation samples. "
        f"Classes or values: {_plain(', '.join(data.classes[:50]))}.",
        "## Teachers",
        _table(
            ["teacher", "model", "labels of this data that it saw"],
            [[t.name, t.model, t.labels_seen] for t in report.teachers],
        ),
        "## Repeat it",
        f"    {report.repeat}",
    ]
    return "\n\n".join(lines) + "\n"


def _metadata(report: RunResult, library: str) -> str:
    """Return the metadata as YAML, with the student's test scores as a ``model-index``."""
    from huggingface_hub import EvalResult, ModelCardData

    tag, data = _hub_task(report), report.data.name
    results = [
        EvalResult(
            task_type=tag or report.task,
            dataset_type=data,
            dataset_name=data,
            dataset_split="test",
            metric_type=name,
            metric_name=spelt(name),
            metric_value=value,
        )
        for name, value in report.scores.student.items()
        if math.isfinite(value)
    ]
    card = ModelCardData(
        model_name=report.run,
        eval_results=results or None,
        library_name=library,
        metrics=[report.metric.name],
        pipeline_tag=tag,
        tags=["knowledge-distillation", "multi-teacher", report.task],
    )
    return str(card.to_yaml()).strip()


def _hub_task(report: RunResult) -> str | None:
    """Return the name of the run's task on model hubs, or None."""
    task = _spec("tasks", report.task)
    data = _spec("data", report.data.name)
    inputs = data.inputs if isinstance(data, DataSpec) else DataSpec.inputs
    return dict(task.hub_tasks).get(inputs) if isinstance(task, TaskSpec) else None


def _spec(kind: str, name: str) -> Spec | None:
    try:
        return load_registry().find(kind, name).spec
    except UsageError:  # local code, or a plugin that is no longer installed
        return None


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in kept)
