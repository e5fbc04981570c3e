"""A comparison as plain facts: rows of scores over seeds, and a verdict for each method."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtkd_cli.compare.grid import Cell, best_teacher_of, best_teacher_strategy, label_of
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces.significant_digits import rounded, shown
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.stats.paired_test import INCONCLUSIVE, Paired, Verdict, judge, paired

Method = tuple[tuple[str, str], ...]
Seeds = tuple[tuple[str, str], ...]
ALONE = "student alone"


@dataclass(frozen=True)
class Student:
    """A trained student: what it is, the run that made it, and the run's report."""

    cell: Cell
    run: str
    report: Mapping[str, Any]


def comparison_of(
    students: Sequence[Student], failures: Mapping[str, str] | None = None, tuned: Sequence[Any] = ()
) -> dict[str, Any]:
    """Return the facts of a comparison for JSON.

    Args:
        students: every student that was trained.
        failures: by method and seed, why others were not.
        tuned: what was tuned for each method, if anything was.

    Raises:
        DataError: there is nothing to compare, or the runs are not of one task, metric and test split.
    """
    metric, test = _common(students)
    higher = bool(metric["higher_is_better"])
    by_method: dict[Method, dict[Seeds, Student]] = {}
    for student in students:
        by_method.setdefault(student.cell.method, {})[student.cell.seeds] = student
    varying = _varying(list(by_method))
    scores = {method: _scores(found, "student", metric["name"]) for method, found in by_method.items()}
    alone = {method: _scores(found, "alone", metric["name"]) for method, found in by_method.items()}

    def tests(opponents: Mapping[Method, Mapping[Seeds, float]]) -> dict[Method, Verdict]:
        found = {m: _test(scores[m], opponents[m], higher, test) for m in by_method if opponents.get(m)}
        kept = {method: test for method, test in found.items() if test is not None}
        return dict(zip(kept, judge(list(kept.values())), strict=True))

    strategy = best_teacher_strategy()
    best = {m: scores.get(best_teacher_of(m), {}) for m in by_method if dict(m).get("strategy") != strategy}
    against = {ALONE: tests(alone), "best single teacher": tests(best)}
    rows = [
        _row(label_of(method, varying), method, scores[method], by_method[method], against)
        for method in by_method
    ]
    return {
        "task": students[0].report["task"],
        "metric": dict(metric),
        "test_samples": test,
        "seeds": max(len(found) for found in by_method.values()),
        "rows": [*_alone_rows(by_method, alone, varying), *rows],
        "failures": dict(failures or {}),
        "tuned": list(tuned),
        "sentences": [sentence for row in rows for sentence in _sentences(row, spelt(metric["name"]))],
    }


def _common(students: Sequence[Student]) -> tuple[Mapping[str, Any], int]:
    """Return the metric and the number of test samples, which must be everybody's."""
    if not students:
        raise DataError("there is nothing to compare", hint="give runs, or a recipe")
    first = students[0]
    for student in students:
        for key in ("task", "metric"):
            _refuse_other(student, key, student.report[key], first.report[key])
        for key in ("name", "classes", "test"):
            _refuse_other(student, f"data {key}", student.report["data"][key], first.report["data"][key])
    return first.report["metric"], int(first.report["data"]["test"])


def _refuse_other(student: Student, what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise DataError(
            f"the runs differ in {what}: {found} and {wanted}",
            where=student.run,
            hint="compare runs on the same test split",
        )


def _scores(found: Mapping[Seeds, Student], who: str, metric: str) -> dict[Seeds, float]:
    rows = {seeds: student.report["scores"][who] for seeds, student in found.items()}
    return {seeds: float(row[metric]) for seeds, row in rows.items() if row is not None}


def _test(
    mine: Mapping[Seeds, float], theirs: Mapping[Seeds, float], higher: bool, test: int
) -> Paired | None:
    shared = [seeds for seeds in mine if seeds in theirs]
    if not shared:
        return None
    gains = [(mine[s] - theirs[s]) * (1 if higher else -1) for s in shared]
    size = statistics.fmean(abs(theirs[s]) for s in shared)
    return paired(gains, size / max(1, test))


def _row(
    name: str,
    method: Method,
    scores: Mapping[Seeds, float],
    found: Mapping[Seeds, Student],
    against: Mapping[str, Mapping[Method, Verdict]],
) -> dict[str, Any]:
    return {
        **_summary(name, scores),
        "method": dict(method),
        "runs": [student.run for student in found.values()],
        "against": {who: tests[method].as_dict() for who, tests in against.items() if method in tests},
    }


def _summary(name: str, scores: Mapping[Seeds, float]) -> dict[str, Any]:
    values = list(scores.values())
    spread = paired(values)
    several = len(values) > 1
    return {
        "name": name,
        "scores": [rounded(value) for value in values],
        "seeds": [dict(seeds) for seeds in scores],
        "mean": rounded(spread.gain),
        "deviation": rounded(spread.deviation) if several else None,
        "interval": [rounded(spread.low), rounded(spread.high)] if several else None,
    }


def _alone_rows(
    by_method: Mapping[Method, Any], alone: Mapping[Method, Mapping[Seeds, float]], varying: Sequence[str]
) -> list[dict[str, Any]]:
    """Return a row for each different student alone: what is the same in every seed is one."""
    groups: dict[tuple[tuple[Seeds, float], ...], list[Method]] = {}
    for method in by_method:
        if alone[method]:
            groups.setdefault(tuple(sorted(alone[method].items())), []).append(method)
    rows = []
    for scores, methods in groups.items():
        shared = [
            key for key in varying if key != "strategy" and len({dict(m).get(key) for m in methods}) == 1
        ]
        settings = {key: dict(methods[0])[key] for key in shared if key in dict(methods[0])}
        said = ", ".join(f"{key}={value}" for key, value in settings.items()) if len(groups) > 1 else ""
        name = f"{ALONE}, {said}" if said else ALONE
        rows.append({**_summary(name, dict(scores)), "method": settings, "runs": [], "against": {}})
    return rows


def _varying(methods: Sequence[Method]) -> list[str]:
    keys = dict.fromkeys(key for method in methods for key, _ in method)
    return [key for key in keys if len({dict(method).get(key) for method in methods}) > 1]


def _sentences(row: Mapping[str, Any], metric: str) -> list[str]:
    """Return each verdict in words."""
    lines = []
    for who, verdict in row["against"].items():
        known = verdict["low"] is not None
        gain, low, high = (shown(verdict[part], row["mean"], "+") for part in ("gain", "low", "high"))
        interval = f", 95 % interval {low} to {high}" if known else ""
        sure = verdict["word"] != INCONCLUSIVE
        judged = f"{verdict['word']} the {who}" if sure else f"against the {who}: {verdict['word']}"
        said = f"{row['name']} {judged}: gain {gain} {metric}{interval}"
        said += (
            f", p {verdict['p_holm']:.3g} after Holm" if known else ", one seed says nothing of the spread"
        )
        if verdict["seeds_to_settle"]:
            said += f"; about {verdict['seeds_to_settle']} seeds would settle it"
        elif not sure and known:
            said += "; the difference is too small to be settled by 1,000 seeds"
        lines.append(said)
    return lines
