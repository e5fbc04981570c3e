"""Build a comparison from trained students: a row per method and baseline, tests, and the best set."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from mtkd_cli.compare.grid import Method, best_teacher_for, label_of
from mtkd_cli.compare.looks import Seed
from mtkd_cli.compare.pairing import best_set_of, paired_by_seed
from mtkd_cli.compare.row_costs import training_steps, typical_costs
from mtkd_cli.compare.sentences import against
from mtkd_cli.compare.student import Student
from mtkd_cli.errors import DataError
from mtkd_cli.interfaces.significant_digits import round_significant
from mtkd_cli.report.baseline_names import ALL_LABELS, ALONE, PSEUDO_LABELS
from mtkd_cli.report.comparison_lead import best_of, lead_of, opponents_of
from mtkd_cli.report.comparison_result import Comparison, Row, Tuned
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.run_result import PrimaryMetric
from mtkd_cli.stats.paired_test import FEWEST_SEEDS, paired_t_test
from mtkd_cli.stats.sequential import Look
from mtkd_cli.stats.verdict import Verdict, judge

ByMethod = Mapping[Method, Mapping[Seed, Student]]
Scores = Mapping[Method, Mapping[Seed, float]]
OPPONENTS = {ALONE: "student alone", PSEUDO_LABELS: "student with pseudo-labels"}
"""Fair baselines, by kind: the opponents of each method."""
BEST_TEACHER = "best single teacher"
REFERENCE = "student with all labels (reference)"


def comparison_of(
    students: Sequence[Student],
    failures: Mapping[str, str] | None = None,
    tuned: Sequence[Tuned] = (),
    seen: Collection[Seed] = (),
) -> Comparison:
    """Return the facts of a comparison.

    Args:
        students: trained students.
        failures: error message of each student that could not be trained, by its settings.
        tuned: result of tuning each method.
        seen: seeds with which the same methods were compared before, see `looks.seen_before`.

    Raises:
        DataError: there are no students, or their runs differ in task, metric or test split.
    """
    metric, test = _common(students)
    by_method: dict[Method, dict[Seed, Student]] = {}
    for student in students:
        by_method.setdefault(student.cell.method, {})[_seed(student)] = student
    look = Look(len({*map(_seed, students), *seen}), len(frozenset(seen)))
    scores = {method: _scores(found, None, metric.name) for method, found in by_method.items()}
    baselines = {
        kind: {method: _scores(found, kind, metric.name) for method, found in by_method.items()}
        for kind in (*OPPONENTS, ALL_LABELS)
    }
    opponents: dict[str, Scores] = {name: baselines[kind] for kind, name in OPPONENTS.items()}
    opponents[BEST_TEACHER] = {m: scores[best] for m in by_method if (best := _find_reference(m, by_method))}
    verdicts = {name: _judge(scores, found, metric, test, look) for name, found in opponents.items()}
    varying = _varying(list(by_method))
    rows = (
        *(row for kind in baselines for row in _baseline_rows(kind, by_method, baselines[kind], varying)),
        *(
            _row(label_of(method, varying), method, scores[method], found, verdicts, metric, look)
            for method, found in by_method.items()
        ),
    )
    best_set = best_set_of(rows, metric, test, look)
    return Comparison(
        task=students[0].report.task,
        metric=metric,
        test_samples=test,
        seeds=max(len(found) for found in by_method.values()),
        rows=rows,
        best=best_of(rows, metric),
        lead=lead_of(rows, metric, best_set),
        opponents=opponents_of(rows),
        failures=dict(failures or {}),
        tuned=tuple(tuned),
        best_set=best_set,
        level=round_significant(look.level),
        seeds_seen=tuple(dict(seed) for seed in sorted(seen)),
        students_differ=len({student.report.student.model for student in students}) > 1
        or len({student.report.costs.student.bytes for student in students}) > 1,
    )


def _seed(student: Student) -> Seed:
    return tuple(sorted(student.cell.seeds))


def _find_reference(method: Method, methods: Collection[Method]) -> Method | None:
    """Return the best single teacher of a method; None for itself."""
    best = best_teacher_for(method, methods)
    return None if best is None or best[0] == method[0] else best


def _judge(
    scores: Scores, opponents: Scores, metric: PrimaryMetric, test: int, look: Look
) -> dict[Method, Verdict]:
    """Return the verdicts of all methods that have an opponent, tested together."""
    found = {m: paired_by_seed(scores[m], other, metric, test) for m, other in opponents.items()}
    tests = {method: each for method, each in found.items() if each is not None}
    return dict(zip(tests, judge(list(tests.values()), look), strict=True))


def _common(students: Sequence[Student]) -> tuple[PrimaryMetric, int]:
    """Return the metric and the number of test samples, which all students must share."""
    if not students:
        raise DataError("nothing to compare", hint="give runs, or a recipe")
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
    """Yield the facts that must be the same in all runs, by name."""
    report = student.report
    direction = "higher" if report.metric.higher_is_better else "lower"
    yield "task", report.task
    yield "metric", f"{report.metric.name}, {direction} is better"
    yield "data name", report.data.name
    yield "data classes", list(report.data.classes)
    yield "data test", report.data.test


def _scores(found: Mapping[Seed, Student], baseline: str | None, metric: str) -> dict[Seed, float]:
    """Return the scores of students by seed, or of a kind of baseline where it was trained."""
    by_seed = {seed: student.report.scores for seed, student in found.items()}
    if baseline is None:
        return {seed: scores.student[metric] for seed, scores in by_seed.items()}
    return {seed: s.baselines[baseline][metric] for seed, s in by_seed.items() if baseline in s.baselines}


def _row(
    name: str,
    method: Method,
    scores: Mapping[Seed, float],
    found: Mapping[Seed, Student],
    verdicts: Mapping[str, Mapping[Method, Verdict]],
    metric: PrimaryMetric,
    look: Look,
) -> Row:
    students = list(found.values())
    row = replace(
        _summary(name, scores),
        method=dict(method),
        runs=tuple(student.run for student in students),
        key=students[0].key,
        costs=typical_costs([student.report.costs.student for student in students]),
        steps=training_steps(students[0].report.student),
    )
    tests = {who: each[method] for who, each in verdicts.items() if method in each}
    return replace(
        row,
        against={who: against(row, who, test, spelt(metric.name), look) for who, test in tests.items()},
    )


def _summary(name: str, scores: Mapping[Seed, float]) -> Row:
    values = list(scores.values())
    spread = paired_t_test(values)
    row = Row(
        name=name,
        scores=tuple(values),
        seeds=tuple(dict(seed) for seed in scores),
        mean=spread.gain,
        deviation=spread.deviation if len(values) > 1 else None,
        interval=(spread.low, spread.high) if len(values) >= FEWEST_SEEDS else None,
    )
    found: Row = round_significant(row)
    return found


def _baseline_rows(kind: str, by_method: ByMethod, found: Scores, varying: Sequence[str]) -> list[Row]:
    """Return a row for each different baseline of a kind. Methods whose scores are equal share one."""
    title = OPPONENTS.get(kind, REFERENCE)
    groups: dict[tuple[tuple[Seed, float], ...], list[Method]] = {}
    for method in by_method:
        if found[method]:
            groups.setdefault(tuple(sorted(found[method].items())), []).append(method)
    rows = []
    for scores, methods in groups.items():
        shared = [
            key for key in varying if key != "strategy" and len({dict(m).get(key) for m in methods}) == 1
        ]
        settings = {key: dict(methods[0])[key] for key in shared if key in dict(methods[0])}
        suffix = ", ".join(f"{key}={value}" for key, value in settings.items()) if len(groups) > 1 else ""
        name = f"{title}, {suffix}" if suffix else title
        costs = [student.report.costs.baselines.get(kind) for student in by_method[methods[0]].values()]
        known = [each for each in costs if each is not None]
        trainings = [student.report.baselines.get(kind) for student in by_method[methods[0]].values()]
        rows.append(
            replace(
                _summary(name, dict(scores)),
                method=settings,
                reference=kind not in OPPONENTS,
                costs=typical_costs(known) if known else None,
                steps=training_steps(trainings[0]) if trainings and trainings[0] else None,
            )
        )
    return rows


def _varying(methods: Sequence[Method]) -> list[str]:
    keys = dict.fromkeys(key for method in methods for key, _ in method)
    return [key for key in keys if len({dict(method).get(key) for method in methods}) > 1]
