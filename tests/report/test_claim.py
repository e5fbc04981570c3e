"""What a report claims about baselines: no more than the intervals say."""

from __future__ import annotations

from mtkd_cli.report.claim import claim
from mtkd_cli.report.run_result import Margin, PrimaryMetric, Verdict

ACCURACY = PrimaryMetric("accuracy", higher_is_better=True)
ERROR = PrimaryMetric("rmse", higher_is_better=False)
Against = tuple[str, Margin]


def against(kind: str, difference: float, spread: float = 0.01, score: float = 0.8) -> Against:
    return kind, Margin(score, difference, (difference - spread, difference + spread))


def sentence(*each: Against, metric: PrimaryMetric = ACCURACY, **more: str) -> str:
    return claim(metric, 0.9, dict(each), over="test samples", **more).sentence


def test_both_baselines_are_named_where_both_are_beaten() -> None:
    said = sentence(against("alone", 0.1), against("pseudo-labels", 0.05, score=0.85))
    assert said == (
        "This student is better than the same student alone and than the same student with pseudo-labels: "
        "accuracy 0.9000 against 0.8000 alone (+0.1000; 95 % interval over test samples +0.0900 to +0.1100) "
        "and 0.8500 with pseudo-labels (+0.0500; +0.0400 to +0.0600)."
    )


def test_one_that_is_not_surely_beaten_is_said_to_be_so() -> None:
    said = sentence(against("alone", 0.1), against("pseudo-labels", 0.005))
    assert said.startswith(
        "This student is better than the same student alone; "
        "no clear difference to the same student with pseudo-labels:"
    )


def test_nothing_is_claimed_where_the_interval_has_zero() -> None:
    assert sentence(against("alone", 0.005)).startswith("No clear difference to the same student alone:")


def test_a_baseline_that_is_better_is_admitted() -> None:
    said = sentence(against("alone", 0.1), against("pseudo-labels", -0.1))
    assert "better than the same student alone and worse than the same student with pseudo-labels" in said


def test_of_an_error_less_is_better() -> None:
    assert "is better than the same student alone:" in sentence(against("alone", -0.1), metric=ERROR)
    assert "is worse than the same student alone:" in sentence(against("alone", 0.1), metric=ERROR)


def test_the_strongest_fair_baseline_counts_and_the_reference_never_does() -> None:
    each = [against("alone", 0.1), against("pseudo-labels", 0.05, score=0.85)]
    each.append(against("all-labels", -0.2, score=1.0))
    found = claim(ACCURACY, 0.9, dict(each), over="test samples")
    assert (found.baseline, found.difference) == ("pseudo-labels", 0.05)
    assert "worse" not in found.sentence
    assert found.sentence.endswith(
        "the same student has 1.0000: a reference that sees more labels, not a fair baseline."
    )
    assert claim(ERROR, 0.9, dict(each), over="test samples").baseline == "alone"


def test_without_an_interval_nothing_is_claimed() -> None:
    nothing = Margin(0.8, 0.1, None)
    said = sentence(("alone", nothing), no_interval="two seeds give no interval")
    assert (
        said == "No claim, since two seeds give no interval: accuracy 0.9000 against 0.8000 alone (+0.1000)."
    )


def test_without_baselines_nothing_is_known() -> None:
    sentence = "No baseline was trained, so the gain is unknown."
    assert claim(ACCURACY, 0.9, {}, over="test samples") == Verdict(None, None, None, sentence, {})
