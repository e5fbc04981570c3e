"""The findings of an audit: errors, the recommendation, warnings, notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mtkd_cli.audit.number_text import span
from mtkd_cli.audit.overrides import flow, only_teacher
from mtkd_cli.audit.recommend import best_of, dominant_teacher
from mtkd_cli.audit.teacher_budget import budget_finding
from mtkd_cli.audit.teacher_findings import findings_on_teachers
from mtkd_cli.audit.teacher_tests import TeacherTests
from mtkd_cli.audit.validation_set import Outcome
from mtkd_cli.report.audit_result import Audit, Finding
from mtkd_cli.report.metric_names import spelt
from mtkd_cli.stats import jackknife

FEWEST = jackknife.FEWEST
"""Labeled validation samples below which there are no findings: the loss has no interval then."""

RECOMMENDATION = "strategy"
"""Kind of the finding that recommends a strategy."""

ORDER = {"error": 0, RECOMMENDATION: 1, "warning": 2, "note": 3}


def with_findings(
    audit: Audit,
    measured: Mapping[str, Outcome],
    alone: Sequence[Outcome],
    tests: TeacherTests,
    output_of_class: Mapping[str, tuple[int, ...]] | None = None,
) -> Audit:
    """Return the audit with its findings.

    Args:
        audit: the facts.
        measured: the outcome of each strategy.
        alone: the outcome of each teacher.
        tests: what is surely true of teachers.
        output_of_class: see `findings_on_teachers`.
    """
    if audit.samples < FEWEST:
        sentence = (
            f"There are too few labels for findings: {audit.samples} labeled validation samples, "
            f"{FEWEST} are needed."
        )
        action = "Raise data.labels or data.val."
        found = Finding("note", "too few labels", sentence, action, evidence={"samples": audit.samples})
        return replace(audit, findings=(found,))
    lines = [
        _recommendation(audit, measured),
        *findings_on_teachers(audit, tests, output_of_class or {}),
        *_best_teacher(audit, measured[audit.recommended], alone),
        *_oracle(audit, measured[audit.recommended]),
        *budget_finding(audit),
    ]
    ordered = sorted(lines, key=lambda each: ORDER.get(each.about, ORDER[each.severity]))
    return replace(audit, findings=tuple(ordered))


def _recommendation(audit: Audit, measured: Mapping[str, Outcome]) -> Finding:
    use, own, metric = audit.recommended, audit.configured, spelt(audit.metric)
    score, loss = measured[use].score.estimate(), measured[use].loss.value
    scores = f"{metric} {span(score)}, loss {loss:.4f}"
    evidence: dict[str, object] = {"score": vars(score), "loss": loss}
    if own in measured and use != own:
        gain = measured[use].gain_over(measured[own], audit.higher_is_better)
        lower = measured[use].loss_gain_over(measured[own])
        evidence |= {"gain": vars(gain), "loss_gain": vars(lower)}
    alone = audit.recommended_teacher
    if alone:
        what, subject = f"use teacher `{alone}` alone", f"Teacher `{alone}` alone"
    else:
        what = f"{'keep' if use == own else 'use'} `{use}`"
        subject = f"Strategy `{use}`"
        teacher = dominant_teacher(measured[use])
        if teacher is not None and len(audit.teachers) > 1:
            scores += f", nearly all weight on `{audit.teachers[teacher].name}`"
    sentence = f"{subject} is recommended ({scores}): {audit.reason}."
    override = only_teacher(audit.recipe, alone) if alone else f"strategy={flow(use)}"
    return Finding(
        "note",
        RECOMMENDATION,
        sentence,
        f"{what[0].upper()}{what[1:]}.",
        alone,
        "" if use == own and not alone else override,
        evidence,
    )


def _best_teacher(audit: Audit, ensemble: Outcome, alone: Sequence[Outcome]) -> Iterator[Finding]:
    """Compare the recommended strategy with the best teacher."""
    if len(alone) < 2 or audit.recommended_teacher:
        return
    best = best_of(alone, [teacher.name for teacher in audit.teachers], audit.higher_is_better)
    gain = ensemble.gain_over(alone[best], audit.higher_is_better)
    name, use, metric = audit.teachers[best].name, audit.recommended, spelt(audit.metric)
    action = override = ""
    if gain.low > 0:
        sentence = (
            f"`{use}` is better than the best teacher, `{name}`: its {metric} is better by {span(gain)}."
        )
    elif gain.high < 0:
        sentence = f"The best teacher, `{name}`, is better alone than `{use}`: by {span(-gain)} {metric}."
        action, override = f"Compare `{use}` with `{name}` alone.", only_teacher(audit.recipe, name)
    else:
        sentence = (
            f"`{use}` and the best teacher alone, `{name}`, are equally good within the noise: {metric} "
            f"{ensemble.score.value:.4f} and {alone[best].score.value:.4f}."
        )
    yield Finding("note", "best teacher", sentence, action, name, override, {"gain": vars(gain)})


def _oracle(audit: Audit, ensemble: Outcome) -> Iterator[Finding]:
    if audit.oracle and len(audit.teachers) > 1:
        sentence = (
            f"The right teacher for each sample would have {spelt(audit.metric)} {span(audit.oracle)}; "
            f"`{audit.recommended}` has {ensemble.score.value:.4f}."
        )
        yield Finding("note", "oracle", sentence, evidence={"oracle": vars(audit.oracle)})
