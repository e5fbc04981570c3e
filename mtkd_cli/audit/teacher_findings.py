"""Sentences about single teachers, each with an action."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mtkd_cli.audit.class_order import ClassOrder
from mtkd_cli.audit.number_text import SHOWN, join_names, percent, span
from mtkd_cli.audit.overrides import teacher_key, without_teacher
from mtkd_cli.audit.sure_findings import Harm
from mtkd_cli.audit.teacher_tests import TeacherTests
from mtkd_cli.report.audit_result import Audit, Finding, Severity, TeacherFacts
from mtkd_cli.report.metric_names import spelt

BY_CLASS = "strategy={name: weighted, by: class}"
LISTED = 20
"""Classes up to which the right order is written out."""


def findings_on_teachers(
    audit: Audit, tests: TeacherTests, output_of_class: Mapping[str, tuple[int, ...]]
) -> Iterator[Finding]:
    """Yield findings; a teacher that is set up wrong gets that one only.

    Args:
        audit: the facts.
        tests: what is surely true of teachers.
        output_of_class: of each teacher with one output per class, the index of the output of each class.
    """
    for teacher in audit.teachers:
        name = teacher.name
        if name in tests.class_orders:
            yield _find_permuted(audit, name, tests.class_orders[name], output_of_class.get(name))
        elif name in tests.one_answer:
            yield _one_answer(audit, name, tests)
        else:
            yield from _on_quality(audit, teacher, tests)


def _on_quality(audit: Audit, teacher: TeacherFacts, tests: TeacherTests) -> Iterator[Finding]:
    """Yield findings on a teacher that seems to be set up right."""
    name, harm = teacher.name, tests.harms.get(teacher.name)
    is_wrong = any(c.surely_wrong for c in teacher.classes)
    if name in tests.helped:
        yield _helps_on_some(audit, name, tests.helped[name])
    elif is_wrong:
        yield _confidently_wrong(audit, teacher, harm)
    elif harm:
        yield _harmful(audit, name, harm)
    if name in tests.overconfident and not is_wrong:
        yield _find_overconfident(audit, name, *tests.overconfident[name])
    if name in tests.redundant and not is_wrong and not harm:
        yield _find_redundant(audit, name, tests.redundant[name])


def _find_permuted(audit: Audit, name: str, found: ClassOrder, outputs: tuple[int, ...] | None) -> Finding:
    pairs = [
        f"its {audit.classes[found.order[label]]!r} is {audit.classes[label]!r}"
        for label in found.moved[:SHOWN]
    ]
    sentence = (
        f"The classes of `{name}` look permuted: {percent(found.accuracy)} of its predictions are right as "
        f"declared, {percent(found.reordered)} in another order ({', '.join(pairs)}"
        f"{', ...' if len(found.moved) > SHOWN else ''})."
    )
    override = ""
    if outputs is not None and len(outputs) <= LISTED and sorted(outputs) == list(range(len(outputs))):
        names = [""] * len(outputs)
        for label, answered in enumerate(found.order):
            names[outputs[answered]] = audit.classes[label]
        override = teacher_key(audit.recipe, name, "classes", names)
    evidence = {"order": list(found.order), "accuracy": found.accuracy, "reordered": found.reordered}
    action = f"Set `classes` of `{name}` to the order of its outputs."
    return Finding("error", "permuted", sentence, action, name, override, evidence)


def _one_answer(audit: Audit, name: str, tests: TeacherTests) -> Finding:
    found = tests.one_answer[name]
    sentence = (
        f"`{name}` predicts {found.name!r} for {percent(found.share)} of the samples, but "
        f"{percent(found.of_labels)} of the labels are {found.name!r}: its input normalization is probably "
        "wrong."
    )
    action = f"Check the `input` keys of `{name}`, or leave it out."
    override = without_teacher(audit.recipe, name)
    return Finding("error", "one answer", sentence, action, name, override, vars(found))


def _helps_on_some(audit: Audit, name: str, classes: tuple[str, ...]) -> Finding:
    sentence = (
        f"`{name}` helps on {join_names([repr(c) for c in classes])}, but elsewhere the ensemble is better "
        "without it."
    )
    action = "Weigh teachers by class, and compare."
    evidence = {"classes": list(classes)}
    return Finding("warning", "helps on some classes", sentence, action, name, BY_CLASS, evidence)


def _confidently_wrong(audit: Audit, teacher: TeacherFacts, harm: Harm | None) -> Finding:
    wrong = [c for c in teacher.classes if c.surely_wrong]
    worst = join_names([f"{c.name!r} {percent(c.right or 0)} right" for c in wrong])
    confidence = sum(c.confidence or 0 for c in wrong) / len(wrong)
    sentence = (
        f"`{teacher.name}` is confidently wrong on {len(wrong)} of {len(teacher.classes)} classes ({worst}; "
        f"mean confidence {percent(confidence)})."
    )
    evidence = {"classes": [c.name for c in wrong], **_evidence(harm)}
    if harm:
        sentence += f" {_without(audit, teacher.name, harm)}"
        return _leave_out(audit, "warning", "confidently wrong", teacher.name, sentence, evidence)
    action = "Check its training data, or weigh teachers by class."
    return Finding("warning", "confidently wrong", sentence, action, teacher.name, BY_CLASS, evidence)


def _harmful(audit: Audit, name: str, harm: Harm) -> Finding:
    about = "harmful" if harm.score else "raises the loss"
    return _leave_out(audit, "warning", about, name, _without(audit, name, harm), _evidence(harm))


def _without(audit: Audit, name: str, harm: Harm) -> str:
    """Return what surely improves without a teacher."""
    change, metric = harm.change, spelt(audit.metric)
    parts = []
    if harm.score:
        parts.append(f"its {metric} improves by {span(change.gain)}")
    if harm.loss:
        parts.append(f"its loss falls by {span(change.loss_gain)}")
    return f"`{change.strategy}` is better without `{name}`: {' and '.join(parts)}."


def _leave_out(
    audit: Audit, severity: Severity, about: str, name: str, sentence: str, evidence: Mapping[str, object]
) -> Finding:
    override = without_teacher(audit.recipe, name)
    return Finding(severity, about, sentence, f"Leave out `{name}`.", name, override, evidence)


def _find_overconfident(audit: Audit, name: str, confidence: float, right: float) -> Finding:
    sentence = (
        f"`{name}` is overconfident: its mean confidence is {percent(confidence)}, and {percent(right)} of "
        "its predictions are right."
    )
    evidence = {"confidence": confidence, "right": right}
    if audit.recipe.get("calibrate"):
        return Finding("note", "overconfident", sentence, "", name, "", evidence)
    action = "Calibrate the teachers."
    return Finding("warning", "overconfident", sentence, action, name, "calibrate=true", evidence)


def _find_redundant(audit: Audit, name: str, kept: str) -> Finding:
    (pair,) = (p for p in audit.pairs if set(p.teachers) == {name, kept})
    same = (
        ""
        if pair.agreement is None
        else f"predict the same class on {percent(pair.agreement)} of samples, and "
    )
    sentence = (
        f"`{name}` is redundant: it and `{kept}` {same}make the same errors (correlation "
        f"{pair.error_correlation:.2f})."
    )
    action = f"Leave out `{name}` to save time."
    override = without_teacher(audit.recipe, name)
    return Finding("note", "redundant", sentence, action, name, override, {"teachers": list(pair.teachers)})


def _evidence(harm: Harm | None) -> dict[str, object]:
    if harm is None:
        return {}
    change = harm.change
    return {"strategy": change.strategy, "gain": vars(change.gain), "loss_gain": vars(change.loss_gain)}
