"""Which teachers give nearly the score of all of them, at what recording cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from mtkd_cli.audit.number_text import span
from mtkd_cli.audit.overrides import only_teachers
from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.report.audit_result import Audit, Finding, TeacherSubset
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.report.units import milliseconds

ENOUGH = 0.99
"""Share of the score of all teachers that fewer teachers have to keep."""

ABOUT = "teacher budget"
"""Kind of the finding."""


def cheapest_subsets(
    names: Sequence[str],
    costs: Mapping[str, float | None],
    measure: Callable[[tuple[int, ...]], Outcome],
    higher_is_better: bool,
) -> tuple[TeacherSubset, ...]:
    """Return all teachers, then fewer and fewer that keep `ENOUGH` of the score, the cheapest last.

    Teachers are left out one at a time: of those without which enough of the score is left, the one with the
    highest cost; of equal costs the one without which the score is best. This measures at most
    ``K (K + 1) / 2`` ensembles, not all ``2^K``.

    Args:
        names: names of the K teachers.
        costs: cost of a sample by name; None if unknown, which counts as 0: its outputs are in a file.
        measure: function from the positions of some teachers to the outcome of their ensemble.
        higher_is_better: direction of the score.
    """
    kept = tuple(range(len(names)))
    every = measure(kept)
    if not every.score.value > 0:
        return ()
    found = [_subset(names, costs, kept, every, every, higher_is_better)]
    while len(kept) > 1:
        smaller = [tuple(k for k in kept if k != left) for left in kept]
        measured = {subset: measure(subset) for subset in smaller}
        enough = [s for s in smaller if share_of(measured[s], every, higher_is_better) >= ENOUGH]
        if not enough:
            break
        sign = 1 if higher_is_better else -1
        kept = min(enough, key=lambda s: (cost_of(names, costs, s), -sign * measured[s].score.value))
        found.append(_subset(names, costs, kept, measured[kept], every, higher_is_better))
    return tuple(found)


def share_of(some: Outcome, every: Outcome, higher_is_better: bool) -> float:
    """Return the share of the score of all teachers that some have; of errors the inverse ratio."""
    ours, theirs = some.score.value, every.score.value
    ratio = ours / theirs if higher_is_better else theirs / ours if ours else math.inf
    return ratio if math.isfinite(ratio) or ours == 0 else -math.inf


def cost_of(names: Sequence[str], costs: Mapping[str, float | None], kept: Sequence[int]) -> float:
    """Return the cost of a sample of some teachers."""
    return sum(costs[names[k]] or 0.0 for k in kept)


def _subset(
    names: Sequence[str],
    costs: Mapping[str, float | None],
    kept: Sequence[int],
    outcome: Outcome,
    every: Outcome,
    higher_is_better: bool,
) -> TeacherSubset:
    return TeacherSubset(
        tuple(names[k] for k in kept),
        outcome.score.estimate(),
        outcome.gain_over(every, higher_is_better),
        share_of(outcome, every, higher_is_better),
        cost_of(names, costs, kept),
    )


def budget_finding(audit: Audit) -> Iterator[Finding]:
    """Yield the finding about the cheapest teachers that keep enough of the score."""
    if len(audit.teachers) < 2 or not audit.teacher_budget or audit.recommended_teacher:
        return
    every, cheapest, metric = audit.teacher_budget[0], audit.teacher_budget[-1], spelt(audit.metric)
    if cheapest is every:
        yield Finding(
            "note",
            ABOUT,
            f"No teacher can be left out to save recording time: without any one of them, "
            f"`{audit.recommended}` keeps less than {100 * ENOUGH:.0f} % of its {metric}.",
        )
        return
    named = " and ".join(f"`{name}`" for name in cheapest.teachers)
    several = len(cheapest.teachers) > 1
    keep = "keep" if several else "keeps"
    change = cheapest.gain if audit.higher_is_better else -cheapest.gain
    yield Finding(
        "note",
        ABOUT,
        f"{len(cheapest.teachers)} of {len(every.teachers)} teachers, {named}, {keep} "
        f"{100 * cheapest.share:.1f} % of the {metric} of all (change {span(change)}) at "
        f"{_cost_in_words(cheapest, every)}.",
        f"If recording takes too long, use only {'these' if several else 'this one'}.",
        override=only_teachers(audit.recipe, cheapest.teachers),
        evidence={"share": cheapest.share, "gain": vars(cheapest.gain), "latency_ms": cheapest.latency_ms},
    )


def _cost_in_words(cheapest: TeacherSubset, every: TeacherSubset) -> str:
    if not every.latency_ms:
        return "an unknown recording cost"
    percent = 100 * cheapest.latency_ms / every.latency_ms
    both = f"{milliseconds(cheapest.latency_ms)} of {milliseconds(every.latency_ms)} per sample and view"
    return f"{percent:.0f} % of the recording cost ({both})"
