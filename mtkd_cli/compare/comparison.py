"""A comparison as plain facts: rows of scores over seeds, and a verdict for each method."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mtkd_cli.compare.grid import Cell, best_teacher_of, best_teacher_strategy, label_of
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces.significant_digits import rounded, shown, significant
from mtkd_cli.report.baseline_names import ALL_LABELS, ALONE, PSEUDO_LABELS
from mtkd_cli.report.comparison_lead import best_of, lead_of, opponents_of
from mtkd_cli.report.comparison_result import Against, Comparison, Row, Tuned
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_result import PrimaryMetric, RunResult
from mtkd_cli.stats.paired_test import INCONCLUSIVE, Paired, Verdict, judge, paired

Method = tuple[tuple[str, str], ...]
Seeds = tuple[tuple[str, str], ...]
OPPONENTS = {ALONE: "student alone", PSEUDO_LABELS: "student with pseudo-labels"}
"""Fair baselines, by kind: what each method is compared with."""
REFERENCE = "student with all labels (reference)"


@dataclass(frozen=True)
class Student:
    """A trained student: what it is, the run that made it, and the run's report."""

    cell: Cell
    run: str
    report: RunResult


def comparison_of(
    students: Sequence[Student], failures: Mapping[str, str] | None = None, tuned: Sequence[Tuned] = ()
) -> Comparison:
    """Return the facts of a comparison.

    Args:
        students: every student that was trained.
        failures: by method and seed, why others were not.
        tuned: what was tuned for each method, if anything was.

    Raises:
        DataError: there is nothing to compare, or the runs are not of one task, metric and test split.
    """
    metric, test = _common(students)
    higher = metric.higher_is_better
    by_method: dict[Method, dict[Seeds, Student]] = {}
    for student in students:
        by_method.setdefault(student.cell.method, {})[student.cell.seeds] = student
    varying = _varying(list(by_method))
    scores = {method: _scores(found, None, metric.name) for method, found in by_method.items()}
    baselines = {
        kind: {method: _scores(found, kind, metric.name) for method, found in by_method.items()}
        for kind in (*OPPONENTS, ALL_LABELS)
    }

    def tests(opponents: Mapping[Method, Mapping[Seeds, float]]) -> dict[Method, Verdict]:
        found = {m: _test(scores[m], opponents[m], higher, test) for m in by_method if opponents.get(m)}
        kept = {method: test for method, test in found.items() if test is not None}
        return dict(zip(kept, judge(list(kept.values())), strict=True))

    strategy = best_teacher_strategy()
    best = {m: scores.get(best_teacher_of(m), {}) for m in by_method if dict(m).get("strategy") != strategy}
    against = {name: tests(baselines[kind]) for kind, name in OPPONENTS.items()}
    against["best single teacher"] = tests(best)
    rows = [
        _row(label_of(method, varying), method, scores[method], by_method[method], against, metric)
        for method in by_method
    ]
    without_teachers = [
        row for kind, found in baselines.items() for row in _baseline_rows(kind, by_method, found, varying)
    ]
    everyone = (*without_teachers, *rows)
    return Comparison(
        task=students[0].report.task,
        metric=metric,
        test_samples=test,
        seeds=max(len(found) for found in by_method.values()),
        rows=everyone,
        best=best_of(everyone, metric),
        lead=lead_of(everyone, metric),
        opponents=opponents_of(everyone),
        failures=dict(failures or {}),
        tuned=tuple(tuned),
    )


def _common(students: Sequence[Student]) -> tuple[PrimaryMetric, int]:
    """Return the metric and the number of test samples, which must be everybody's."""
    if not students:
        raise DataError("there is nothing to compare", hint="give runs, or a recipe")
    first = students[0]
    for student in students:
        for (what, found), (_, wanted) in zip(_basis(student), _basis(first), strict=True):
            if found != wanted:
                raise DataError(
                    f"the runs differ in {what}: {found} and {wanted}",
                    where=student.run,
                    hint="compare runs on the same test split",
                )
    return first.report.metric, first.report.data.test


def _basis(student: Student) -> Iterator[tuple[str, object]]:
    """Yield what must be the same in all runs, by name."""
    report = student.report
    direction = "higher" if report.metric.higher_is_better else "lower"
    yield "task", report.task
    yield (
        "metric",
        f"{report.metric.name}, {direction} is better",
    )
    yield "data name", report.data.name
    yield "data classes", list(report.data.classes)
    yield "data test", report.data.test


def _scores(found: Mapping[Seeds, Student], baseline: str | None, metric: str) -> dict[Seeds, float]:
    """Return the scores of students by their seeds, or of a kind of baseline where it was trained."""
    everyone = {seeds: student.report.scores for seeds, student in found.items()}
    if baseline is None:
        return {seeds: scores.student[metric] for seeds, scores in everyone.items()}
    return {seeds: s.baselines[baseline][metric] for seeds, s in everyone.items() if baseline in s.baselines}


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
    metric: PrimaryMetric,
) -> Row:
    row = replace(
        _summary(name, scores), method=dict(method), runs=tuple(student.run for student in found.values())
    )
    tests = {who: verdicts[method] for who, verdicts in against.items() if method in verdicts}
    said = {who: _against(row, who, verdict, spelt(metric.name)) for who, verdict in tests.items()}
    return replace(row, against=said)


def _summary(name: str, scores: Mapping[Seeds, float]) -> Row:
    values = list(scores.values())
    spread = paired(values)
    several = len(values) > 1
    row = Row(
        name=name,
        scores=tuple(values),
        seeds=tuple(dict(seeds) for seeds in scores),
        mean=spread.gain,
        deviation=spread.deviation if several else None,
        interval=(spread.low, spread.high) if several else None,
    )
    found: Row = significant(row)
    return found


def _baseline_rows(
    kind: str,
    by_method: Mapping[Method, Any],
    found: Mapping[Method, Mapping[Seeds, float]],
    varying: Sequence[str],
) -> list[Row]:
    """Return a row for each different baseline of a kind: what is the same in every seed is one."""
    title = OPPONENTS.get(kind, REFERENCE)
    groups: dict[tuple[tuple[Seeds, float], ...], list[Method]] = {}
    for method in by_method:
        if found[method]:
            groups.setdefault(tuple(sorted(found[method].items())), []).append(method)
    rows = []
    for scores, methods in groups.items():
        shared = [
            key for key in varying if key != "strategy" and len({dict(m).get(key) for m in methods}) == 1
        ]
        settings = {key: dict(methods[0])[key] for key in shared if key in dict(methods[0])}
        said = ", ".join(f"{key}={value}" for key, value in settings.items()) if len(groups) > 1 else ""
        name = f"{title}, {said}" if said else title
        summary = _summary(name, dict(scores))
        rows.append(replace(summary, method=settings, reference=kind not in OPPONENTS))
    return rows


def _varying(methods: Sequence[Method]) -> list[str]:
    keys = dict.fromkeys(key for method in methods for key, _ in method)
    return [key for key in keys if len({dict(method).get(key) for method in methods}) > 1]


def _against(row: Row, opponent: str, verdict: Verdict, metric: str) -> Against:
    """Return a test of a method with its verdict in words."""
    test = verdict.paired
    found = Against(
        word=verdict.word,
        seeds=test.seeds,
        gain=significant(test.gain),
        p_holm=significant(verdict.p_holm),
        sentence="",
        deviation=rounded(test.deviation),
        low=rounded(test.low),
        high=rounded(test.high),
        p=rounded(test.p),
        seeds_to_settle=verdict.seeds_to_settle,
    )
    return replace(found, sentence=_sentence(row, opponent, found, metric))


def _sentence(row: Row, opponent: str, test: Against, metric: str) -> str:
    known = test.low is not None
    gain, low, high = (shown(part, row.mean, "+") for part in (test.gain, test.low, test.high))
    interval = f", 95 % interval {low} to {high}" if known else ""
    sure = test.word != INCONCLUSIVE
    judged = f"{test.word} the {opponent}" if sure else f"against the {opponent}: {test.word}"
    said = f"{row.name} {judged}: gain {gain} {metric}{interval}"
    said += f", p {test.p_holm:.3g} after Holm" if known else ", one seed says nothing of the spread"
    if test.seeds_to_settle:
        said += f"; about {test.seeds_to_settle} seeds would settle it"
    elif not sure and known:
        said += "; the difference is too small to be settled by 1,000 seeds"
    return said
