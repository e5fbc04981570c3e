"""The audit, step by step: teachers, pairs, ensembles, teachers left out and added, advice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mtkd_cli import counter_rng
from mtkd_cli.audit import advice, per_teacher
from mtkd_cli.audit.advice import advice_of
from mtkd_cli.audit.oracle import oracle_of
from mtkd_cli.audit.recommend import best_of, kept, recommended
from mtkd_cli.audit.validation_set import Outcome, Panel, ensemble, panel_of
from mtkd_cli.errors import DataError, MtkdError
from mtkd_cli.interfaces import Metric
from mtkd_cli.interfaces.significant_digits import significant
from mtkd_cli.plugin.alternatives import strategy_with
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.report.audit_result import Audit, Change, StrategyFacts
from mtkd_cli.teachers.prepare import prepare_teachers
from mtkd_cli.training.context import Context

FOLDS = 5
FEWEST = 10
"""Labelled validation samples under which an audit says nothing."""


def audit_of(context: Context, strategies: Sequence[Part]) -> Audit:
    """Record what is missing, measure on validation, and return the facts with significant digits.

    Args:
        context: the recipe, its data and task.
        strategies: those to measure beside the recipe's own, which takes the place of its namesake.

    Raises:
        DataError: too few labelled validation samples, or a teacher that cannot be recorded.
    """
    samples = len(context.data.val.labelled)
    if samples < FEWEST:
        raise DataError(
            f"an audit needs {FEWEST} labelled validation samples, there are {samples}",
            where=f"data {context.recipe.data.name}",
            hint="raise data.labels or data.val",
        )
    panel = panel_of(context, prepare_teachers(context, 0))
    found: Audit = significant(audit(panel, _with_own(strategies, context.parts.strategy)))
    return found


def _with_own(strategies: Sequence[Part], own: Part) -> list[Part]:
    return [own, *(part for part in strategies if part.spec.name != own.spec.name)]


def audit(panel: Panel, strategies: Sequence[Part]) -> Audit:
    """Measure a panel under strategies, of which the first is the recipe's own."""
    folds = folds_of(len(panel.rows))
    alone = per_teacher.outcomes(panel)
    whole = per_teacher.on_every_label(panel, alone)
    with panel.context.progress.phase("audit", len(strategies)) as bar:
        measured, not_measured = _ensembles(panel, strategies, folds, bar.advance)
    higher = panel.task.primary.higher_is_better
    own = strategies[0].spec.name
    best = best_of(whole, [teacher.name for teacher in panel.teachers], higher)
    few = len(panel.rows) < advice.FEWEST
    chosen = kept(measured, own) if few else recommended(measured, own, higher)
    oracle = oracle_of(panel, whole)
    if isinstance(oracle, str):
        not_measured["oracle"] = oracle
    named = {part.spec.name: part for part in strategies}
    wanted = [
        named[name] for name in dict.fromkeys((own, strategy_with("uniform"), chosen)) if name in measured
    ]
    out, added = _changes(panel, wanted, measured, whole[best], best, folds)
    facts = Audit(
        task=panel.context.recipe.task.name,
        metric=panel.task.primary.name,
        higher_is_better=higher,
        samples=len(panel.rows),
        classes=panel.context.data.classes,
        teachers=per_teacher.teachers(panel, alone, whole),
        pairs=per_teacher.pairs(panel),
        oracle=None if isinstance(oracle, str) else oracle,
        strategies=tuple(_facts(name, measured[name], named[name]) for name in _ranked(measured, higher)),
        not_measured=not_measured,
        left_out=out,
        added=added,
        configured=own,
        recommended=chosen,
        advice=(),
        best_teacher=panel.teachers[best].name,
        recipe=panel.context.recipe.as_dict(),
    )
    return advice_of(facts, measured, whole)


def folds_of(samples: int) -> list[NDArray[np.int64]]:
    """Return which samples each fold holds out, drawn by counters, ascending."""
    order = counter_rng.permutation(samples, "audit folds")
    return [np.sort(part) for part in np.array_split(order, FOLDS)]


def _ensembles(
    panel: Panel, strategies: Sequence[Part], folds: list[NDArray[np.int64]], advance: Callable[[int], None]
) -> tuple[dict[str, Outcome], dict[str, str]]:
    """Return what each strategy's ensemble is worth, and why some cannot be measured."""
    found: dict[str, Outcome] = {}
    not_measured: dict[str, str] = {}
    for part in strategies:
        name = part.spec.name
        if "student" in part.spec.needs:
            not_measured[name] = "it follows the student: only mtkd compare can tell"
        else:
            try:
                found[name] = ensemble(panel, part, folds)
            except MtkdError as error:
                not_measured[name] = error.what
        advance(1)
    if not found:
        raise DataError("no strategy can be measured", where=next(iter(not_measured.values()), ""))
    return found, not_measured


def _ranked(measured: Mapping[str, Outcome], higher_is_better: bool) -> list[str]:
    """Return the strategies, the best score first; equal ones by the loss (see `Metric.rank`)."""
    rank = Metric("score", higher_is_better).rank
    return sorted(measured, key=lambda n: rank(measured[n].score.value, measured[n].loss.value), reverse=True)


def _facts(name: str, outcome: Outcome, part: Part) -> StrategyFacts:
    return StrategyFacts(
        name,
        outcome.score.estimate(),
        outcome.loss.estimate(),
        outcome.measured.metrics,
        "validation" in part.spec.needs,
        outcome.weights,
    )


def _changes(
    panel: Panel,
    strategies: Sequence[Part],
    measured: dict[str, Outcome],
    best_alone: Outcome,
    best: int,
    folds: list[NDArray[np.int64]],
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Return what leaving each teacher out gains, and what adding it to the best teacher alone does."""
    higher, count = panel.task.primary.higher_is_better, len(panel.teachers)
    out: list[Change] = []
    added: list[Change] = []

    def change(part: Part, teacher: int, chosen: list[int], before: Outcome) -> Change:
        after = ensemble(panel.only(chosen), part, folds)
        gain, loss = after.gain_over(before, higher), after.loss_gain_over(before)
        return Change(part.spec.name, panel.teachers[teacher].name, gain, loss)

    for part in strategies if count > 1 else ():
        for k in range(count):
            without = [other for other in range(count) if other != k]
            out.append(change(part, k, without, measured[part.spec.name]))
            if k != best:
                added.append(change(part, k, sorted([best, k]), best_alone))
    return tuple(out), tuple(added)
