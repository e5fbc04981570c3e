"""Train the students of a search rung by rung; the better third of each rung goes on to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mtkd_cli.errors import TrainingError
from mtkd_cli.interfaces.significant_digits import format_number
from mtkd_cli.recipe.schema import Train
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.runs.students import plan_steps
from mtkd_cli.search.halving import Rung, plan_rungs, planned_steps
from mtkd_cli.search.rungs import RungResult, Taught, is_trained, rung_key, train_rung
from mtkd_cli.training.context import Context
from mtkd_cli.training.hyperparameter_search import candidates


@dataclass(frozen=True)
class Searched:
    """A student of the search.

    Attributes:
        student: its model.
        settings: its learning rate and weight decay.
        result: its result in its last rung.
        rungs: number of rungs that it was trained in.
    """

    student: str
    settings: Train
    result: RungResult
    rungs: int


@dataclass(frozen=True)
class Halved:
    """The result of successive halving.

    Attributes:
        students: all students, the best first: those of the last rung before others.
        rungs: the rungs.
        steps: steps of all rungs.
    """

    students: tuple[Searched, ...]
    rungs: tuple[Rung, ...]
    steps: int


def halve(names: Sequence[str], context_of: Callable[[str], Context], taught: Taught | None) -> Halved:
    """Train students rung by rung and return them, the best first.

    Each student is tried with all learning rates and weight decays of the recipe in the first rung, and goes
    on with the best of them. Test samples are not used.

    Args:
        names: the models.
        context_of: function from a model to the run with this student.
        taught: what the students learn from; None for a single student, which is not trained.

    Raises:
        TrainingError: every training of a rung failed.
    """
    contexts = {name: context_of(name) for name in names}
    first = contexts[names[0]]
    steps, epoch = plan_steps(first)
    rungs, settings = plan_rungs(len(names), steps, epoch), candidates(first.recipe.train)
    if taught is None or not rungs:
        nothing = RungResult((-math.inf,))
        return Halved(tuple(Searched(name, settings[0], nothing, 0) for name in names), (), 0)
    alive = [Searched(name, each, RungResult((-math.inf,)), 0) for name in names for each in settings]
    found: dict[str, Searched] = {}
    spent = 0
    with first.progress.phase("search", planned_steps(rungs, len(settings))):
        for number in range(1, len(rungs) + 1):
            spent += len(alive) * rungs[number - 1].steps
            trained = _train_all(alive, contexts, taught, rungs[:number])
            ranked = sorted(_best_settings(trained).values(), key=lambda each: each.result.rank, reverse=True)
            if all(each.result.failed for each in ranked):
                raise TrainingError(ranked[0].result.failed, where=f"rung {number} of the search")
            found |= {each.student: each for each in ranked}
            _say(first, number, rungs, ranked)
            if number < len(rungs):
                passed = [each for each in ranked if not each.result.failed]
                alive = passed[: rungs[number].students]
    order = sorted(found.values(), key=lambda each: (each.rungs, each.result.rank), reverse=True)
    # a student that failed does not stand before one that was trained in fewer rungs
    order.sort(key=lambda each: bool(each.result.failed))
    return Halved(tuple(order), tuple(rungs), spent)


def _train_all(
    alive: Sequence[Searched], contexts: Mapping[str, Context], taught: Taught, rungs: Sequence[Rung]
) -> list[Searched]:
    """Return the students after the last of the rungs."""
    progress = contexts[alive[0].student].progress
    done = [is_trained(rung_key(contexts[each.student], taught, each.settings, rungs)) for each in alive]
    if any(done):
        progress.resume_after(sum(done) * rungs[-1].steps)
    return [
        Searched(
            each.student,
            each.settings,
            train_rung(contexts[each.student], taught, each.settings, rungs, each.result.key),
            len(rungs),
        )
        for each in alive
    ]


def _best_settings(trained: Sequence[Searched]) -> dict[str, Searched]:
    """Return each student with the best of its settings."""
    best: dict[str, Searched] = {}
    for each in trained:
        if each.student not in best or each.result.rank > best[each.student].result.rank:
            best[each.student] = each
    return best


def _say(context: Context, number: int, rungs: Sequence[Rung], ranked: Sequence[Searched]) -> None:
    metric, best = spelt(context.task.primary.name), ranked[0]
    shown = ", ".join(
        f"{each.student} {format_number(each.result.score)}"
        for each in ranked[:3]
        if each.result.score is not None
    )
    context.progress.say(
        f"rung {number} of {len(rungs)}: {len(ranked)} students, {rungs[number - 1].until:,} steps; "
        f"best on validation ({metric}): {shown or best.student}"
    )
