"""Findings: severity, sentence, action and an override that works."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mtkd_cli.audit.advice import with_findings
from mtkd_cli.audit.class_order import ClassOrder
from mtkd_cli.audit.one_answer import OneAnswer
from mtkd_cli.audit.overrides import flow
from mtkd_cli.audit.sure_findings import Harm
from mtkd_cli.audit.teacher_tests import TeacherTests
from mtkd_cli.files import yaml12
from mtkd_cli.report.audit_result import Audit, Change, ClassFacts, Finding, PairFacts
from mtkd_cli.stats.estimate import Difference, Estimate

from .outcomes import audit, outcome, teacher

NOTHING = Difference(0.0, -0.01, 0.01)
WITHOUT_FIRST = 'teachers=[{model: "mlp:8", name: second, fit: all}]'


def findings(
    facts: Audit, tests: TeacherTests, outputs: dict[str, tuple[int, ...]] | None = None
) -> dict[str, Finding]:
    """Return the findings by kind."""
    use = {"mean": outcome(0.9, 0.5), "weighted": outcome(0.92, 0.4)}
    found = with_findings(facts, use, [outcome(0.91, 0.5), outcome(0.9, 0.6)], tests, outputs)
    return {each.about: each for each in found.findings}


def test_teacher_with_one_answer() -> None:
    tests = TeacherTests(one_answer={"first": OneAnswer("b", 0.97, 0.25)})
    found = findings(audit(), tests)["one answer"]
    assert (found.severity, found.teacher) == ("error", "first")
    assert found.sentence == (
        "`first` predicts 'b' for 97 % of the samples, but 25 % of the labels are 'b': its input "
        "normalization is probably wrong."
    )
    assert found.action == "Check the `input` keys of `first`, or leave it out."
    assert found.override == WITHOUT_FIRST


def test_teacher_with_permuted_classes() -> None:
    """Predicted a means b, b means c, c means a: output 0 is b, output 1 is c, output 2 is a."""
    order = ClassOrder(order=(2, 0, 1, 3), moved=(0, 1, 2), accuracy=0.2, reordered=0.9)
    found = findings(audit(), TeacherTests(class_orders={"second": order}), {"second": (0, 1, 2, 3)})[
        "permuted"
    ]
    assert found.severity == "error"
    assert found.sentence == (
        "The classes of `second` look permuted: 20 % of its predictions are right as declared, 90 % in "
        "another order (its 'c' is 'a', its 'a' is 'b', its 'b' is 'c')."
    )
    assert found.override == "teachers.1.classes=[b, c, a, d]"


def test_error_replaces_other_findings_on_a_teacher_and_is_first() -> None:
    change = Change("mean", "first", Difference(0.05, 0.01, 0.2, 0.004), NOTHING)
    tests = TeacherTests(
        one_answer={"first": OneAnswer("b", 1.0, 0.25)},
        harms={"first": Harm(change, score=True, loss=False)},
        overconfident={"first": (0.9, 0.2)},
    )
    kinds = list(findings(audit(), tests))
    assert kinds == ["one answer", "strategy", "best teacher"]


@pytest.mark.parametrize(
    ("score", "loss", "about", "sentence"),
    [
        (
            True,
            False,
            "harmful",
            "`mean` is better without `first`: its accuracy improves by 0.0500 (0.0100 to 0.2000).",
        ),
        (
            False,
            True,
            "raises the loss",
            "`mean` is better without `first`: its loss falls by 0.0054 (0.0008 to 0.0138).",
        ),
    ],
)
def test_harmful_teacher(score: bool, loss: bool, about: str, sentence: str) -> None:
    lower = Difference(0.0054, 0.0008, 0.0138, 0.004)
    change = Change("mean", "first", Difference(0.05, 0.01, 0.2, 0.004), lower)
    found = findings(audit(), TeacherTests(harms={"first": Harm(change, score, loss)}))[about]
    assert (found.severity, found.sentence) == ("warning", sentence)
    assert (found.action, found.override) == ("Leave out `first`.", WITHOUT_FIRST)


def test_confidently_wrong_teacher() -> None:
    classes = [
        ClassFacts(name, 20, right, right, 0.9, surely_wrong=right < 0.5)
        for name, right in (("a", 0.05), ("b", 0.9), ("c", 0.2), ("d", 1.0))
    ]
    facts = audit(teachers=(teacher("first", *classes), teacher("second")))
    found = findings(facts, TeacherTests())["confidently wrong"]
    assert found.sentence == (
        "`first` is confidently wrong on 2 of 4 classes ('a' 5 % right, 'c' 20 % right; mean "
        "confidence 90 %)."
    )
    assert found.override == "strategy={name: weighted, by: class}"


def test_teacher_that_helps_on_some_classes() -> None:
    found = findings(audit(), TeacherTests(helped={"first": ("a", "b")}))["helps on some classes"]
    assert found.sentence == ("`first` helps on 'a', 'b', but elsewhere the ensemble is better without it.")
    assert found.severity == "warning"


def test_redundant_teacher() -> None:
    facts = audit(pairs=(PairFacts(("first", "second"), 0.996, 0.98),))
    found = findings(facts, TeacherTests(redundant={"first": "second"}))["redundant"]
    assert found.sentence == (
        "`first` is redundant: it and `second` predict the same class on 99.6 % of samples, and make the "
        "same errors (correlation 0.98)."
    )
    assert (found.severity, found.override) == ("note", WITHOUT_FIRST)


@pytest.mark.parametrize(
    ("calibrate", "severity", "override"), [(False, "warning", "calibrate=true"), (True, "note", "")]
)
def test_overconfident_teacher(calibrate: bool, severity: str, override: str) -> None:
    facts = audit()
    facts = replace(facts, recipe={**facts.recipe, "calibrate": calibrate})
    found = findings(facts, TeacherTests(overconfident={"first": (0.95, 0.7)}))["overconfident"]
    assert (found.severity, found.override) == (severity, override)
    assert "mean confidence is 95 %, and 70 % of its predictions are right" in found.sentence


def test_recommendation_of_a_strategy() -> None:
    found = findings(audit(use="weighted"), TeacherTests())["strategy"]
    assert found.sentence == (
        "Strategy `weighted` is recommended (accuracy 0.9200 (0.9200 to 0.9200), loss 0.4000): no other "
        "strategy is clearly better."
    )
    assert (found.action, found.override) == ("Use `weighted`.", "strategy=weighted")
    kept = findings(audit(), TeacherTests())["strategy"]
    assert (kept.action, kept.override) == ("Keep `mean`.", "")


def test_recommendation_of_one_teacher() -> None:
    found = findings(audit(alone="second"), TeacherTests())["strategy"]
    assert found.sentence.startswith("Teacher `second` alone is recommended (")
    assert (found.action, found.teacher) == ("Use teacher `second` alone.", "second")
    assert found.override == WITHOUT_FIRST


def test_too_few_labels_give_one_note() -> None:
    tests = TeacherTests(one_answer={"first": OneAnswer("b", 1.0, 0.25)})
    (found,) = with_findings(replace(audit(), samples=19), {}, [], tests).findings
    assert (found.severity, found.about) == ("note", "too few labels")
    assert "19 labeled validation samples, 20 are needed" in found.sentence


def test_oracle_is_a_note() -> None:
    facts = replace(audit(), oracle=Estimate(0.99, 0.97, 1.0))
    found = findings(facts, TeacherTests())["oracle"]
    assert found.sentence == (
        "The right teacher for each sample would have accuracy 0.9900 (0.9700 to 1.0000); `mean` has 0.9000."
    )


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "true",
        "null",
        "1",
        "1e3",
        "no",
        "a b",
        "mlp:8",
        "ö",
        "",
        3,
        0.5,
        True,
        None,
        [1, {"a": "x:y"}],
    ],
)
def test_override_is_read_as_it_was(value: object) -> None:
    assert yaml12.load(flow({"key": value}), "test") == {"key": value}
