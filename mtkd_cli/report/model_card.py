"""A model card of the student, in Markdown with the metadata that model hubs read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mtkd_cli.errors import UsageError
from mtkd_cli.plugin.registry import installed
from mtkd_cli.report import by_chance
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_page import everyone
from mtkd_cli.report.summary import count_in_words
from mtkd_cli.report.units import COSTS, bytes_in_words, milliseconds
from mtkd_cli.specs import DataSpec, Spec, TaskSpec


def model_card(report: Mapping[str, Any]) -> str:
    """Return the card of a run's student."""
    data, chances = report["data"], by_chance.of_everyone(report)
    metrics = [name for name in report["scores"]["student"] if name not in COSTS]
    lines = [
        f"---\n{_metadata(report, metrics)}\n---",
        f"# {_plain(report['run'])}",
        f"A student ({_plain(report['student']['model'])}) distilled from {len(report['teachers'])} teachers "
        f"by the strategy {_plain(report['strategy'])}, with mtkd {report['versions']['mtkd']}.",
        report["verdict"]["sentence"],
        "## Scores and costs",
        _table(
            ["", *map(spelt, metrics), "weights", "size", "CPU latency"],
            [
                [
                    name,
                    *(by_chance.cell(m, row[m], chance) for m in metrics),
                    count_in_words(row["parameters"]),
                    bytes_in_words(row["bytes"]),
                    milliseconds(row["latency_ms"]),
                ]
                for (name, row), chance in zip(everyone(report).items(), chances, strict=True)
            ],
        ),
        f"Test split, {data['test']} samples; latency of one sample on the CPU of the machine of the run."
        + (f" {by_chance.note(chances[0])}." if chances[0] else ""),
        "## Training data",
        f"{_plain(data['name'])}: {data['train']} training samples, of which {data['train_labelled']} have "
        f"a label; {data['val']} validation samples. "
        f"Classes or values: {_plain(', '.join(data['classes'][:50]))}.",
        "## Teachers",
        _table(
            ["teacher", "model", "labels of this data that it saw"],
            [[t["name"], t["model"], t["labels_seen"]] for t in report["teachers"]],
        ),
        "## Repeat it",
        f"    {report['repeat']}",
    ]
    return "\n\n".join(lines) + "\n"


def _metadata(report: Mapping[str, Any], metrics: list[str]) -> str:
    """Return the metadata as YAML, with the student's test scores as a ``model-index``."""
    from huggingface_hub import EvalResult, ModelCardData

    tag, data = _hub_task(report), str(report["data"]["name"])
    scores = {name: report["scores"]["student"][name] for name in metrics}
    results = [
        EvalResult(
            task_type=tag or report["task"],
            dataset_type=data,
            dataset_name=data,
            dataset_split="test",
            metric_type=name,
            metric_name=spelt(name),
            metric_value=value,
        )
        for name, value in scores.items()
        if value is not None and math.isfinite(value)
    ]
    card = ModelCardData(
        model_name=report["run"],
        eval_results=results or None,
        library_name="mtkd",
        metrics=[report["metric"]["name"]],
        pipeline_tag=tag,
        tags=["knowledge-distillation", "multi-teacher", report["task"]],
    )
    return str(card.to_yaml()).strip()


def _hub_task(report: Mapping[str, Any]) -> str | None:
    """Return the name of the run's task on model hubs, or None."""
    task = _spec("tasks", report["task"])
    data = _spec("data", report["data"]["name"])
    inputs = data.inputs if isinstance(data, DataSpec) else DataSpec.inputs
    return dict(task.hub_tasks).get(inputs) if isinstance(task, TaskSpec) else None


def _spec(kind: str, name: str) -> Spec | None:
    try:
        return installed().find(kind, name).spec
    except UsageError:  # local code, or a plugin that is no longer installed
        return None


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_plain(cell) for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in kept)
