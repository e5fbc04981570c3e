"""Bring result files of earlier versions, which have no format number, into today's layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from mtkd_cli.report.against_teachers import against_teachers
from mtkd_cli.report.baseline_names import ALONE
from mtkd_cli.report.comparison_lead import best_of, lead_of, opponents_of
from mtkd_cli.report.comparison_result import Row
from mtkd_cli.report.costs import Costs
from mtkd_cli.report.run_result import Everyone, PrimaryMetric, Scores

Facts = Mapping[str, Any]

COSTS = ("parameters", "bytes", "latency_ms", "latency_p95_ms")
"""Keys that stood among the metrics. Latencies were measured on the CPU, whatever the run's device."""


def run_of_before(facts: Facts) -> dict[str, Any]:
    """Return the facts of a ``report.json`` of versions 0.1 and 0.2 as `RunResult` has them.

    Raises:
        KeyError, TypeError, AttributeError: something is missing or of another kind.
    """
    scores, costs = (_everyone(facts["scores"], part) for part in (_metrics, _costs))
    metric = PrimaryMetric(**facts["metric"])
    beside = against_teachers(
        metric,
        TypeAdapter(Everyone[Scores]).validate_python(scores),
        TypeAdapter(Everyone[Costs]).validate_python(costs),
    )
    alone, curves = facts["scores"]["alone"], facts["curves"]
    verdict = {**facts["verdict"], "baseline": None if alone is None else ALONE}
    if alone is not None:
        margin = {name: verdict[name] for name in ("difference", "interval")}
        verdict["against"] = {ALONE: {"score": alone[metric.name], **margin}}
    return {
        **dict.fromkeys(("views", "kd_ratio", "augment", "batch_size")),
        **facts,
        "verdict": verdict,
        "scores": scores,
        "costs": costs,
        "details": _everyone(facts["details"], dict),
        "against_teachers": asdict(beside),
        "student": {**facts["student"], "curve": curves["student"]},
        "baselines": {ALONE: {**(facts.get("alone") or {}), "curve": curves["alone"]}}
        if alone is not None
        else {},
    }


def upgrade_audit(facts: Facts) -> dict[str, Any]:
    """Return the facts of an ``audit.json`` of formats 1 (mtkd 0.1 and 0.2) and 2 as `Audit` has them.

    Raises:
        KeyError, TypeError, AttributeError: something is missing or of another kind.
    """
    notes = [{"severity": "note", **line} for line in facts["advice"]]
    facts = {**facts, "findings": notes}
    if "format" in facts:
        return facts
    sign = -1 if facts["higher_is_better"] else 1

    def rank(row: Facts) -> tuple[float, float]:
        return sign * (row.get("on_every_label") or row["score"])["value"], row["loss"]["value"]

    return {
        **facts,
        "strategies": sorted(facts["strategies"], key=rank),
        "best_teacher": min(facts["teachers"], key=rank)["name"],
        "left_out": [_with_p(change) for change in facts["left_out"]],
        "added": [_with_p(change) for change in facts["added"]],
    }


def _with_p(change: Facts) -> dict[str, Any]:
    """Return a change whose p values are undefined where they were not written."""
    return {**change, **{part: {"p": None, **change[part]} for part in ("gain", "loss_gain")}}


def comparison_of_before(facts: Facts) -> dict[str, Any]:
    """Return the facts of a ``comparison.json`` of versions 0.1 and 0.2 as `Comparison` has them.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: something is missing or of another kind.
    """
    sentences = iter(facts["sentences"])
    rows = [{**row, "against": dict(_with_sentences(row, sentences))} for row in facts["rows"]]
    typed, metric = TypeAdapter(tuple[Row, ...]).validate_python(rows), PrimaryMetric(**facts["metric"])
    return {
        **facts,
        "rows": rows,
        "best": best_of(typed, metric),
        "lead": lead_of(typed, metric),
        "opponents": [asdict(opponent) for opponent in opponents_of(typed)],
    }


def _with_sentences(row: Facts, sentences: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the tests of a row; their sentences stood together, in the order of rows and opponents."""
    for opponent, test in row["against"].items():
        yield opponent, {**test, "sentence": next(sentences, "")}


def _everyone(facts: Facts, part: Any) -> dict[str, Any]:
    """Return what stood under student, alone, ensemble and teachers, each by ``part``."""
    alone = facts.get("alone")
    return {
        "student": part(facts["student"]),
        "baselines": {} if alone is None else {ALONE: part(alone)},
        "ensemble": part(facts["ensemble"]),
        "teachers": {name: part(row) for name, row in facts["teachers"].items()},
    }


def _metrics(row: Facts) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in COSTS}


def _costs(row: Facts) -> dict[str, Any]:
    measured = row.get("latency_ms") is not None
    return {name: row.get(name) for name in COSTS} | {"device": "cpu" if measured else None}
