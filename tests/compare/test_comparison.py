"""Comparisons of students, from their reports."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from mtkd_cli.compare.comparison import Student, comparison_of
from mtkd_cli.compare.grid import Cell
from mtkd_cli.compare.tune import Range, ranges_of, tune, validated_as
from mtkd_cli.errors import DataError, MtkdError, UsageError
from mtkd_cli.interfaces import Metric
from mtkd_cli.report.comparison_result import Comparison, Row
from mtkd_cli.report.run_result import RunResult
from tests.fixtures.run_results import run_result


def student(
    strategy: str, seed: int, score: float, alone: float | None = 0.80, higher: bool = True, **more: str
) -> Student:
    report = run_result(score, None if alone is None else alone + seed / 1000, higher)
    method = (("strategy", strategy), *more.items())
    return Student(Cell(method, (("train.seed", str(seed)),), ()), f"{strategy}-{seed}", report)


def students(strategy: str, scores: list[float], **more: Any) -> list[Student]:
    return [student(strategy, seed, score, **more) for seed, score in enumerate(scores)]


def row(facts: Comparison, name: str) -> Row:
    return next(row for row in facts.rows if row.name == name)


def test_each_method_is_judged_against_the_student_alone_and_the_best_single_teacher() -> None:
    facts = comparison_of(
        [
            *students("mean", [0.90, 0.902, 0.901]),
            *students("harm", [0.70, 0.704, 0.702]),
            *students("best", [0.85, 0.853, 0.851]),
        ]
    )
    words = {r.name: {who: v.word for who, v in r.against.items()} for r in facts.rows}
    assert words == {
        "student alone": {},
        "mean": {"student alone": "BEATS", "best single teacher": "BEATS"},
        "harm": {"student alone": "DOES NOT BEAT", "best single teacher": "DOES NOT BEAT"},
        "best": {"student alone": "BEATS"},
    }
    assert row(facts, "student alone").mean == pytest.approx(0.801)
    assert "mean BEATS the best single teacher: gain +0.0497 accuracy" in "\n".join(facts.sentences)


def test_seeds_are_paired_and_those_that_one_side_lacks_left_out() -> None:
    facts = comparison_of([*students("mean", [0.9, 0.91, 0.89]), *students("best", [0.8, 0.81])])
    verdict = row(facts, "mean").against["best single teacher"]
    assert (verdict.seeds, verdict.gain) == (2, pytest.approx(0.1))


def test_where_less_is_better_a_lower_score_is_a_gain() -> None:
    facts = comparison_of(students("mean", [0.2, 0.201, 0.202], higher=False))
    assert row(facts, "mean").against["student alone"].word == "BEATS"


def test_one_seed_is_inconclusive_and_a_missing_baseline_no_row() -> None:
    facts = comparison_of([student("mean", 0, 0.9)])
    assert row(facts, "mean").against["student alone"].word == "INCONCLUSIVE"
    facts = comparison_of(students("mean", [0.9, 0.91], alone=None))
    assert [r.name for r in facts.rows] == ["mean"]


def test_different_students_alone_have_rows_of_their_own() -> None:
    small = students("mean", [0.9, 0.91], alone=0.7, student="mlp:8")
    large = students("mean", [0.95, 0.96], alone=0.9, student="mlp:64")
    names = [r.name for r in comparison_of([*small, *large]).rows]
    assert names[:2] == ["student alone, student=mlp:8", "student alone, student=mlp:64"]


def test_runs_on_other_data_are_refused() -> None:
    other = student("best", 0, 0.9)
    report = replace(other.report, data=replace(other.report.data, test=999))
    with pytest.raises(DataError, match="differ in data test"):
        comparison_of([student("mean", 0, 0.9), Student(other.cell, "other", report)])
    with pytest.raises(DataError, match="nothing to compare"):
        comparison_of([])


def report_of(temperature: float) -> RunResult:
    """Validation is best at temperature 2; the test would be best elsewhere."""
    trials = ({"lr": 0.01, "accuracy": 1 - abs(temperature - 2)}, {"failed": "NaN"})
    return run_result(temperature, trials=trials)


CELL = Cell((("strategy", "mean"),), (("train.seed", "0"),), ("strategy=mean",))


def tuned(trials: int, seed: int = 0, fail: bool = False) -> Any:
    def validated(cell: Cell) -> tuple[float, float]:
        if fail:
            raise MtkdError("the loss is NaN")
        return validated_as(report_of(float(cell.overrides[-1].removeprefix("loss.temperature="))))

    return tune(CELL, {"loss.temperature": Range(1.0, 8.0, log=True)}, trials, seed, validated)


def test_settings_are_chosen_on_validation_whatever_the_test_says() -> None:
    found = tuned(25)
    assert abs(float(found.settings["loss.temperature"]) - 2) < 0.4
    assert found.score == max(trial["score"] for trial in found.trials)
    assert len(found.trials) == 25


def test_a_search_asks_for_the_same_settings_again() -> None:
    assert tuned(8) == tuned(8)
    assert tuned(8).trials[0] != tuned(8).trials[1]
    assert tuned(8) != tuned(8, seed=1)


def test_trials_that_fail_are_passed_over_unless_all_do() -> None:
    with pytest.raises(MtkdError, match="the loss is NaN"):
        tuned(3, fail=True)


def test_the_last_part_of_a_key_is_enough() -> None:
    assert list(ranges_of("temperature, loss.kd_ratio")) == ["loss.temperature", "loss.kd_ratio"]
    with pytest.raises(UsageError, match="cannot be tuned") as caught:
        ranges_of("temprature")
    assert "did you mean" in caught.value.hint or "known" in caught.value.hint


def test_of_errors_the_lowest_validates_best() -> None:
    before = run_result(0.5, higher=False, trials=({"accuracy": 0.3}, {"accuracy": 0.2}))
    assert validated_as(before) == (-0.2, -math.inf), "runs of earlier versions have no loss"
    trials = tuple({"accuracy": 0.2, "val_loss": loss} for loss in (0.7, 0.4, 0.5))
    assert validated_as(run_result(0.5, higher=False, trials=trials)) == (-0.2, -0.4)


def test_a_student_whose_score_is_undefined_is_no_candidate() -> None:
    trials = ({"accuracy": math.nan, "val_loss": 0.1}, {"accuracy": 0.2, "val_loss": 0.7})
    assert validated_as(run_result(0.5, trials=trials)) == (0.2, -0.7)


def test_what_matters_most_comes_first() -> None:
    facts = comparison_of([*students("mean", [0.9, 0.91]), *students("harm", [0.7, 0.71])])
    assert facts.rows[facts.best].name == "mean"
    assert facts.lead == f"{row(facts, 'mean').against['student alone'].sentence}."
    lower = comparison_of(students("mean", [0.9, 0.91], higher=False))
    assert lower.rows[lower.best].name == "student alone"
    assert lower.lead.startswith("Nothing has a better mean accuracy than the student alone, 0.8005.")
    (opponent,) = facts.opponents
    assert (opponent.name, opponent.tested, sum(opponent.words.values())) == ("student alone", 2, 2)


def test_of_trials_with_equal_scores_the_one_with_the_lowest_loss_is_chosen() -> None:
    losses = iter([0.9, 0.5, 0.1, 0.3, math.nan])

    def validated(_: Cell) -> tuple[float, float]:
        return Metric("accuracy").rank(1.0, next(losses))

    found = tune(CELL, {"loss.temperature": Range(1.0, 8.0, log=True)}, 5, 0, validated)
    assert (found.score, found.loss) == (1.0, 0.1)
    assert found.settings == {"loss.temperature": found.trials[2]["loss.temperature"]}
    assert [trial["loss"] for trial in found.trials] == [0.9, 0.5, 0.1, 0.3, None]
