"""Comparisons of students, from their reports."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from mtkd_cli.compare.comparison import comparison_of
from mtkd_cli.compare.grid import Cell
from mtkd_cli.compare.student import Student
from mtkd_cli.compare.tune import Range, ranges_of, tune, validation_rank
from mtkd_cli.errors import DataError, MtkdError, UsageError
from mtkd_cli.interfaces import Metric
from mtkd_cli.report.comparison_result import Comparison, Row
from mtkd_cli.report.costs import Costs
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


def test_methods_are_tested_against_the_baseline_and_the_best_single_teacher() -> None:
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


def test_seeds_that_only_one_side_has_are_left_out() -> None:
    facts = comparison_of([*students("mean", [0.9, 0.91, 0.89]), *students("best", [0.8, 0.81])])
    verdict = row(facts, "mean").against["best single teacher"]
    assert (verdict.seeds, verdict.gain) == (2, pytest.approx(0.1))


def test_lower_error_is_a_gain() -> None:
    facts = comparison_of(students("mean", [0.2, 0.201, 0.202], higher=False))
    assert row(facts, "mean").against["student alone"].word == "BEATS"


def test_one_seed_is_inconclusive_and_a_missing_baseline_has_no_row() -> None:
    facts = comparison_of([student("mean", 0, 0.9)])
    assert row(facts, "mean").against["student alone"].word == "INCONCLUSIVE"
    facts = comparison_of(students("mean", [0.9, 0.91], alone=None))
    assert [r.name for r in facts.rows] == ["mean"]


def test_different_baselines_have_their_own_rows() -> None:
    small = students("mean", [0.9, 0.91], alone=0.7, student="mlp:8")
    large = students("mean", [0.95, 0.96], alone=0.9, student="mlp:64")
    names = [r.name for r in comparison_of([*small, *large]).rows]
    assert names[:2] == ["student alone, student=mlp:8", "student alone, student=mlp:64"]


def test_runs_with_different_data_are_rejected() -> None:
    other = student("best", 0, 0.9)
    report = replace(other.report, data=replace(other.report.data, test=999))
    with pytest.raises(DataError, match="differ in data test"):
        comparison_of([student("mean", 0, 0.9), Student(other.cell, "other", report)])
    with pytest.raises(DataError, match="nothing to compare"):
        comparison_of([])


def make_report(temperature: float) -> RunResult:
    """Validation is best at temperature 2; the test would be best elsewhere."""
    trials = ({"lr": 0.01, "accuracy": 1 - abs(temperature - 2)}, {"failed": "NaN"})
    return run_result(temperature, trials=trials)


CELL = Cell((("strategy", "mean"),), (("train.seed", "0"),), ("strategy=mean",))


def tuned(trials: int, seed: int = 0, fail: bool = False) -> Any:
    def validated(cell: Cell) -> tuple[float, float]:
        if fail:
            raise MtkdError("the loss is NaN")
        return validation_rank(make_report(float(cell.overrides[-1].removeprefix("loss.temperature="))))

    return tune(CELL, {"loss.temperature": Range(1.0, 8.0, log=True)}, trials, seed, validated)


def test_settings_are_tuned_on_validation_only() -> None:
    found = tuned(25)
    assert abs(float(found.settings["loss.temperature"]) - 2) < 0.4
    assert found.score == max(trial["score"] for trial in found.trials)
    assert len(found.trials) == 25


def test_repeated_search_asks_for_the_same_settings() -> None:
    assert tuned(8) == tuned(8)
    assert tuned(8).trials[0] != tuned(8).trials[1]
    assert tuned(8) != tuned(8, seed=1)


def test_search_fails_if_all_trials_fail() -> None:
    with pytest.raises(MtkdError, match="the loss is NaN"):
        tuned(3, fail=True)


def test_last_part_of_a_key_is_enough() -> None:
    assert list(ranges_of("temperature, loss.kd_ratio")) == ["loss.temperature", "loss.kd_ratio"]
    with pytest.raises(UsageError, match="cannot be tuned") as caught:
        ranges_of("temprature")
    assert "did you mean" in caught.value.hint or "known" in caught.value.hint


def test_lowest_error_ranks_first_on_validation() -> None:
    before = run_result(0.5, higher=False, trials=({"accuracy": 0.3}, {"accuracy": 0.2}))
    assert validation_rank(before) == (-0.2, -math.inf), "runs of earlier versions have no loss"
    trials = tuple({"accuracy": 0.2, "val_loss": loss} for loss in (0.7, 0.4, 0.5))
    assert validation_rank(run_result(0.5, higher=False, trials=trials)) == (-0.2, -0.4)


def test_trial_with_undefined_score_is_ignored() -> None:
    trials = ({"accuracy": math.nan, "val_loss": 0.1}, {"accuracy": 0.2, "val_loss": 0.7})
    assert validation_rank(run_result(0.5, trials=trials)) == (0.2, -0.7)


def test_lead_names_the_best_set_and_the_first_verdict() -> None:
    facts = comparison_of([*students("mean", [0.9, 0.91, 0.9]), *students("harm", [0.7, 0.71, 0.72])])
    assert facts.rows[facts.best].name == "mean"
    sentence = row(facts, "mean").against["student alone"].sentence
    assert facts.lead == f"Best: mean. Surely worse: student alone and harm. {sentence}."
    lower = comparison_of(students("mean", [0.9, 0.91, 0.9], higher=False))
    assert lower.rows[lower.best].name == "student alone"
    assert lower.lead.startswith(
        "Best: student alone. Surely worse: mean. "
        "Nothing has a better mean accuracy than the student alone, 0.8010."
    )
    (opponent,) = facts.opponents
    assert (opponent.name, opponent.tested, sum(opponent.words.values())) == ("student alone", 2, 2)


NOISE = [0.001, -0.002, 0.0015, -0.0005, 0.002]


def test_settings_that_are_not_surely_worse_are_the_best_set() -> None:
    """Checked with scipy's one-sided paired t tests, each at half the level over the number of others."""
    scores = {
        "weighted": [0.902 + n for n in NOISE],
        "median": [0.9021, 0.9007, 0.9, 0.9031, 0.9026],
        "mean": [0.89 - n for n in NOISE],
    }
    facts = comparison_of([each for name, values in scores.items() for each in students(name, values)])
    alone = [0.80 + seed / 1000 for seed in range(5)]
    candidates = {"student alone": alone, **scores}
    limit = facts.level / 2 / (len(candidates) - 1)
    wanted = {
        name
        for name in candidates
        if not any(
            stats.ttest_rel(candidates[other], candidates[name], alternative="greater").pvalue < limit
            for other in candidates
            if other != name
        )
    }
    assert wanted == {"weighted", "median"}
    assert {facts.rows[index].name for index in facts.best_set} == wanted
    assert (
        "Best: weighted and median are not distinguishable. Surely worse: student alone and mean."
        in facts.lead
    )


def test_two_seeds_make_no_claim() -> None:
    facts = comparison_of([*students("mean", [0.9, 0.901]), *students("harm", [0.5, 0.501])])
    assert len(facts.best_set) == 3
    assert all(each.interval is None for each in facts.rows)
    assert facts.lead == "Two seeds give no interval; run a third. Best mean accuracy: mean, 0.9005."
    test = row(facts, "mean").against["student alone"]
    assert (test.word, test.low, test.high, test.seeds_to_settle) == ("INCONCLUSIVE", None, None, None)
    assert test.sentence.endswith("; two seeds give no interval; run a third")
    assert comparison_of([student("mean", 0, 0.9)]).lead.startswith("One seed gives no interval; run three.")


def test_seeds_are_advised_only_where_they_are_likely_to_settle_it() -> None:
    likely = comparison_of(students("mean", [0.81, 0.8125, 0.819])).rows[1].against["student alone"]
    assert likely.word == "INCONCLUSIVE"
    assert likely.seeds_to_settle is not None
    assert f"about {likely.seeds_to_settle} seeds are likely to settle it" in likely.sentence
    noise = comparison_of(students("mean", [0.81, 0.78, 0.82])).rows[1].against["student alone"]
    assert noise.seeds_to_settle is None
    assert noise.sentence.endswith("up to 30 seeds are not likely to settle it")


def test_level_of_a_second_look_is_what_the_first_left() -> None:
    scores = [0.81, 0.815, 0.817, 0.82, 0.822, 0.823]
    first = comparison_of(students("mean", scores[:3]))
    seen = [(("train.seed", str(seed)),) for seed in range(3)]
    second = comparison_of(students("mean", scores), seen=seen)
    assert first.level == pytest.approx(0.05 * (1 - 1.5 / 3))
    assert second.level == pytest.approx(0.05 * (1.5 / 3 - 1.5 / 6))
    again = comparison_of(students("mean", scores[:3]), seen=seen)
    assert again.level == 0.0
    assert again.rows[1].against["student alone"].word == "INCONCLUSIVE"


def test_rows_have_the_size_and_median_latency() -> None:
    latencies = [0.2, 0.9, 0.3]
    runs = []
    for each, latency in zip(students("mean", [0.9, 0.91, 0.9]), latencies, strict=True):
        costs = Costs(parameters=10, bytes=40, latency_ms=latency, device="cpu", threads=1)
        runs.append(
            replace(each, report=replace(each.report, costs=replace(each.report.costs, student=costs)))
        )
    found = row(comparison_of(runs), "mean").costs
    assert found == Costs(parameters=10, bytes=40, latency_ms=0.3, device="cpu", threads=1)
    other = replace(runs[0].report.costs.student, threads=2)
    costs = replace(runs[0].report.costs, student=other)
    mixed = [replace(runs[0], report=replace(runs[0].report, costs=costs)), *runs[1:]]
    assert row(comparison_of(mixed), "mean").costs == Costs(parameters=10, bytes=40)


def test_rows_have_the_steps_of_one_training() -> None:
    runs = students("mean", [0.9, 0.91, 0.9])
    assert row(comparison_of(runs), "mean").steps is None  # no curve in these reports
    training = replace(runs[0].report.student, curve=({"step": 20}, {"step": 1200}))
    first = replace(runs[0], report=replace(runs[0].report, student=training))
    assert row(comparison_of([first, *runs[1:]]), "mean").steps == 1200


def test_lowest_loss_breaks_ties_of_trials() -> None:
    losses = iter([0.9, 0.5, 0.1, 0.3, math.nan])

    def validated(_: Cell) -> tuple[float, float]:
        return Metric("accuracy").rank(1.0, next(losses))

    found = tune(CELL, {"loss.temperature": Range(1.0, 8.0, log=True)}, 5, 0, validated)
    assert (found.score, found.loss) == (1.0, 0.1)
    assert found.settings == {"loss.temperature": found.trials[2]["loss.temperature"]}
    assert [trial["loss"] for trial in found.trials] == [0.9, 0.5, 0.1, 0.3, None]
