"""The audit, step by step: teachers, pairs, ensembles, teachers left out and added, findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mtkd_cli import counter_rng
from mtkd_cli.audit import advice, per_teacher
from mtkd_cli.audit.advice import with_findings
from mtkd_cli.audit.answers import answers_of
from mtkd_cli.audit.oracle import oracle_of
from mtkd_cli.audit.recommend import Choice, best_of, choose, keep
from mtkd_cli.audit.teacher_budget import cheapest_subsets
from mtkd_cli.audit.teacher_tests import Ensembles, tests_of
from mtkd_cli.audit.validation_set import Outcome, Panel, ensemble, panel_of
from mtkd_cli.errors import DataError, MtkdError
from mtkd_cli.interfaces import Metric
from mtkd_cli.interfaces.significant_digits import round_significant
from mtkd_cli.plugin.alternatives import strategy_with
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.report.audit_result import Audit, Change, StrategyFacts, TeacherSubset
from mtkd_cli.specs import AggregatorSpec
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.training.context import Context

FOLDS = 5
FEWEST = 10
"""Labeled validation samples that an audit needs."""


def audit_of(context: Context, strategies: Sequence[Part]) -> Audit:
    """Record missing outputs, measure on validation, and return the facts with significant digits.

    Args:
        context: the recipe, its data and task.
        strategies: strategies to measure besides the recipe's own, which replaces the one of the same name.

    Raises:
        DataError: too few labeled validation samples, or a teacher that cannot be recorded.
    """
    samples = len(context.data.val.labeled)
    if samples < FEWEST:
        raise DataError(
            f"an audit needs {FEWEST} labeled validation samples, there are {samples}",
            where=f"data {context.recipe.data.name}",
            hint="raise data.labels or data.val",
        )
    panel = panel_of(context, prepare_teachers(context, 0))
    found: Audit = round_significant(audit(panel, _with_own(strategies, context.parts.strategy)))
    return found


def _with_own(strategies: Sequence[Part], own: Part) -> list[Part]:
    return [own, *(part for part in strategies if part.spec.name != own.spec.name)]


def audit(panel: Panel, strategies: Sequence[Part]) -> Audit:
    """Measure a panel with strategies; the first one is the recipe's own."""
    folds = folds_of(len(panel.rows))
    alone = per_teacher.outcomes(panel)
    whole = per_teacher.on_every_label(panel, alone)
    with panel.context.progress.phase("audit", len(strategies)) as bar:
        measured, not_measured = _ensembles(panel, strategies, folds, bar.advance)
    higher, own = panel.task.primary.higher_is_better, strategies[0].spec.name
    named = {part.spec.name: part for part in strategies}
    best = best_of(whole, [teacher.name for teacher in panel.teachers], higher)
    needed = {name: _labels_needed(part.spec, len(panel.teachers)) for name, part in named.items()}
    choice = _choice(panel, measured, own, named, needed)
    oracle = oracle_of(panel, whole)
    if isinstance(oracle, str):
        not_measured["oracle"] = oracle
    uniform = strategy_with("uniform")
    reference = uniform if uniform in measured else next(n for n in (own, choice.strategy) if n in measured)
    wanted = [named[name] for name in dict.fromkeys((own, reference, choice.strategy)) if name in measured]
    out, added, without = _changes(panel, wanted, measured, whole[best], best, folds)
    is_single = named[choice.strategy].spec.role == "best-teacher" and len(panel.teachers) > 1
    budget: tuple[TeacherSubset, ...] = ()
    if len(panel.teachers) > 1 and not is_single and choice.strategy in measured:
        budget = _budget(panel, named[choice.strategy], measured[choice.strategy], without, folds)
    facts = Audit(
        task=panel.context.recipe.task.name,
        metric=panel.task.primary.name,
        higher_is_better=higher,
        samples=len(panel.rows),
        classes=panel.context.data.classes,
        teachers=per_teacher.teachers(panel, alone, whole),
        pairs=per_teacher.pairs(panel),
        oracle=None if isinstance(oracle, str) else oracle,
        strategies=tuple(
            _facts(name, measured[name], named[name], _verdict(name, choice, needed[name], len(panel.rows)))
            for name in _rank(measured, higher)
        ),
        not_measured=not_measured,
        left_out=out,
        added=added,
        configured=own,
        recommended=choice.strategy,
        findings=(),
        best_teacher=panel.teachers[best].name,
        reason=choice.reason,
        recommended_teacher=_ranked_first(panel) if is_single else "",
        recipe=panel.context.recipe.as_dict(),
        teacher_budget=budget,
    )
    ensembles = Ensembles(
        measured[reference],
        {teacher: outcome for (name, teacher), outcome in without.items() if name == reference},
        {change.teacher: change for change in out if change.strategy == reference},
    )
    tests = tests_of(
        facts.teachers, facts.pairs, ensembles, answers_of(panel), folds, len(panel.rows), higher
    )
    return with_findings(facts, measured, whole, tests, _output_of_class(panel))


def _labels_needed(spec: AggregatorSpec, teachers: int) -> int:
    return spec.labels_per_teacher * teachers


def _choice(
    panel: Panel,
    measured: Mapping[str, Outcome],
    own: str,
    named: Mapping[str, Part],
    needed: Mapping[str, int],
) -> Choice:
    """Return the recommended strategy."""
    if len(panel.rows) < advice.FEWEST:
        return keep(measured, own)
    if len(panel.teachers) == 1 and own in measured:
        return Choice(own, "there is only one teacher", tuple(measured))
    return choose(
        measured,
        own,
        panel.task.primary.higher_is_better,
        {name: part.spec for name, part in named.items()},
        [name for name in measured if len(panel.rows) < needed[name]],
    )


def _ranked_first(panel: Panel) -> str:
    """Return the teacher that a strategy of the best teacher takes on all validation samples."""
    return panel.teachers[panel.batch(panel.rows).ranking[0]].name


def _output_of_class(panel: Panel) -> dict[str, tuple[int, ...]]:
    """Return which output of each teacher belongs to each class, of teachers with one for each class."""
    return {
        teacher.name: tuple(group[0] for group in teacher.alignment.groups)
        for teacher in panel.teachers
        if all(len(group) == 1 for group in teacher.alignment.groups)
    }


def folds_of(samples: int) -> list[NDArray[np.int64]]:
    """Return the positions that each fold holds out, ascending, drawn by counters."""
    order = counter_rng.permutation(samples, "audit folds")
    return [np.sort(part) for part in np.array_split(order, FOLDS)]


def _ensembles(
    panel: Panel, strategies: Sequence[Part], folds: list[NDArray[np.int64]], advance: Callable[[int], None]
) -> tuple[dict[str, Outcome], dict[str, str]]:
    """Return the outcome of each strategy, and why some are not measured."""
    found: dict[str, Outcome] = {}
    not_measured: dict[str, str] = {}
    for part in strategies:
        name = part.spec.name
        if "student" in part.spec.needs:
            not_measured[name] = "it needs the outputs of a student; use mtkd compare"
        else:
            try:
                found[name] = ensemble(panel, part, folds)
            except MtkdError as error:
                not_measured[name] = error.what
        advance(1)
    if not found:
        raise DataError("no strategy can be measured", where=next(iter(not_measured.values()), ""))
    return found, not_measured


def _rank(measured: Mapping[str, Outcome], higher_is_better: bool) -> list[str]:
    """Return the strategies, best score first; equal ones by loss (see `Metric.rank`)."""
    rank = Metric("score", higher_is_better).rank
    return sorted(measured, key=lambda n: rank(measured[n].score.value, measured[n].loss.value), reverse=True)


def _verdict(name: str, choice: Choice, needed: int, samples: int) -> str:
    if name == choice.strategy:
        return "recommended"
    if samples < needed:
        return f"needs {needed} labels"
    return "as good" if name in choice.as_good else "worse" if samples >= advice.FEWEST else ""


def _facts(name: str, outcome: Outcome, part: Part, verdict: str) -> StrategyFacts:
    return StrategyFacts(
        name,
        outcome.score.estimate(),
        outcome.loss.estimate(),
        outcome.measured.metrics,
        "validation" in part.spec.needs,
        outcome.weights,
        verdict,
    )


def _changes(
    panel: Panel,
    strategies: Sequence[Part],
    measured: dict[str, Outcome],
    best_alone: Outcome,
    best: int,
    folds: list[NDArray[np.int64]],
) -> tuple[tuple[Change, ...], tuple[Change, ...], dict[tuple[str, str], Outcome]]:
    """Return the gains by leaving each teacher out, by adding it to the best one, and the outcomes without.

    The outcomes are by strategy and teacher.
    """
    higher, count = panel.task.primary.higher_is_better, len(panel.teachers)
    out: list[Change] = []
    added: list[Change] = []
    without: dict[tuple[str, str], Outcome] = {}

    def change(name: str, teacher: int, after: Outcome, before: Outcome) -> Change:
        gain, loss = after.gain_over(before, higher), after.loss_gain_over(before)
        return Change(name, panel.teachers[teacher].name, gain, loss)

    for part in strategies if count > 1 else ():
        name = part.spec.name
        for k in range(count):
            rest = ensemble(panel.only([other for other in range(count) if other != k]), part, folds)
            without[name, panel.teachers[k].name] = rest
            out.append(change(name, k, rest, measured[name]))
            if k != best:
                both = ensemble(panel.only(sorted([best, k])), part, folds)
                added.append(change(name, k, both, best_alone))
    return tuple(out), tuple(added), without


def _budget(
    panel: Panel,
    part: Part,
    whole: Outcome,
    without: Mapping[tuple[str, str], Outcome],
    folds: list[NDArray[np.int64]],
) -> tuple[TeacherSubset, ...]:
    """Return the teachers that keep nearly the score of all with a strategy, see `cheapest_subsets`."""
    names, count = [teacher.name for teacher in panel.teachers], len(panel.teachers)
    known = {tuple(range(count)): whole}
    for left, name in enumerate(names):
        if (part.spec.name, name) in without:
            known[tuple(k for k in range(count) if k != left)] = without[part.spec.name, name]

    def measure(kept: tuple[int, ...]) -> Outcome:
        if kept not in known:
            known[kept] = ensemble(panel.only(kept), part, folds)
        return known[kept]

    costs = {teacher.name: teacher.facts["costs"]["latency_ms"] for teacher in panel.teachers}
    return cheapest_subsets(names, costs, measure, panel.task.primary.higher_is_better)
