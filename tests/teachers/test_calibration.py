"""`calibrate: true` in runs: said, reported, part of what decides a run; no teacher is asked again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from mtkd_cli.audit import audit_of
from mtkd_cli.data.views import PLAIN
from mtkd_cli.errors import ResumeError, UsageError
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.resolve import strategies_for
from mtkd_cli.report import results
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.folder import Run
from mtkd_cli.teachers import calibration, prepare
from mtkd_cli.teachers import outputs as teacher_outputs
from mtkd_cli.teachers.label_alignment import aligned_to
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import measure
from tests.fixtures.small_runs import Contexts

SMALL = (
    "data.labels=200",
    "train.epochs=1",
    "train.lr=0.01",
    "teachers=[{model: 'mlp:16', name: a, fit: {epochs: 4}}, {model: 'mlp:4', name: b, fit: {epochs: 2}}]",
    "student=mlp:4",
)


def ready(context: Context) -> list[teacher_outputs.ReadyTeacher]:
    return prepare.prepare_teachers(context, 1)


def test_a_run_says_and_reports_temperatures_and_asks_no_teacher_again(
    context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = ready(context(*SMALL))
    monkeypatch.setattr(prepare, "load_teacher", lambda *_: pytest.fail("a teacher is asked again"))
    run = Run("run")
    report = results.as_json(pipeline.distill(context(*SMALL, "calibrate=true"), run, baseline=False))
    for teacher, told in zip(raw, report["teachers"], strict=True):
        found = told["calibration"]
        assert found["after"] <= found["before"]
        assert told["hash"] == teacher.hash
        assert f"temperature {found['temperature']:.3g}" in (run.folder / "log.txt").read_text()
    page = (run.folder / "report.html").read_text()
    assert "temperature" in page
    assert f"{report['teachers'][0]['calibration']['temperature']:.3g} (NLL" in page


def test_answers_are_divided_wherever_they_are_read(context: Contexts) -> None:
    context_ = context(*SMALL)
    raw, calibrated = ready(context_), ready(context(*SMALL, "calibrate=true"))
    split = context_.data.val
    for before, after in zip(raw, calibrated, strict=True):
        assert after.calibration is not None
        for name in ("train", "val", "test"):
            divided = before.recorded(name, PLAIN) / after.calibration.temperature
            assert torch.equal(after.recorded(name, PLAIN), divided)
        found, own = (
            measure(partial(each.recorded, "val", PLAIN), split, context_.task).metrics
            for each in (after, before)
        )
        assert found["nll"] == pytest.approx(after.calibration.after, rel=1e-4)
        assert found["nll"] <= own["nll"]
        assert found["accuracy"] == own["accuracy"]


def test_labels_of_unknown_classes_and_samples_without_an_answer_do_not_count(context: Contexts) -> None:
    context_ = context(*SMALL)
    teacher = ready(context_)[0]
    names = [str(number) for number in range(10)]
    partly = replace(teacher, alignment=aligned_to(names, [*names[:6], *"uvwx"], 10, "a"))
    outputs, target = calibration.judged(partly, context_)
    labels = context_.data.val.samples.targets[context_.data.val.labelled]
    assert len(target) == (labels < 6).sum() < len(labels)
    assert target.max() < 6
    assert outputs.shape == (len(target), 10)
    val, gone = teacher.arrays["val", PLAIN], int(context_.data.val.labelled[0])
    rows = val.rows.copy()
    rows[gone] = torch.nan
    holed = replace(teacher, arrays={("val", PLAIN): replace(val, rows=rows)})
    outputs, target = calibration.judged(holed, context_)
    assert len(outputs) == len(target) == len(context_.data.val.labelled) - 1
    assert torch.isfinite(outputs).all()


def test_a_run_goes_on_only_as_it_began(context: Contexts) -> None:
    first = results.as_json(pipeline.distill(context(*SMALL, "calibrate=true"), Run("run"), baseline=False))
    with pytest.raises(ResumeError) as error:
        pipeline.distill(context(*SMALL), Run("run", go_on=True), baseline=False)
    assert "calibrate" in str([problem.what for problem in error.value.problems])
    again = results.as_json(pipeline.distill(context(*SMALL, "calibrate=true"), Run("again"), baseline=False))
    assert first["teachers"] == again["teachers"]
    assert (
        Path("runs/run/student.safetensors").read_bytes()
        == Path("runs/again/student.safetensors").read_bytes()
    )


def test_an_audit_judges_calibrated_teachers(context: Contexts, registry: Registry) -> None:
    strategies = strategies_for("classification", registry, "r")[:1]
    plain, calibrated = (
        audit_of(context(*SMALL, f"calibrate={value}"), strategies).teachers for value in ("false", "true")
    )
    for before, after in zip(plain, calibrated, strict=True):
        assert after.metrics["nll"] <= before.metrics["nll"]
        assert after.score == before.score
        assert before.calibration is None
        assert after.calibration
        assert after.calibration.after == pytest.approx(after.metrics["nll"], rel=1e-4)


def test_maps_are_calibrated_pixel_by_pixel(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    small = ("data.scenes=12", "data.test_scenes=10", "data.size=16", "data.labels=12", "data.val=0.5")
    teachers_ = "teachers=[{model: 'unet:4', name: a, fit: {epochs: 1}}]"
    context_ = context(*small, teachers_, "student=unet:4", recipe="digit-scenes-seg")
    teacher = ready(context_)[0]
    outputs, target = calibration.judged(teacher, context_)
    values = teacher.recorded("val", PLAIN)
    assert len(target) == int((context_.data.val.samples.targets >= 0).sum())
    assert outputs.shape == (len(target), values.shape[1])
    place = context_.data.val.samples.targets[0] >= 0
    torch.testing.assert_close(outputs[: place.sum()], values[0][:, place].T)
    monkeypatch.setattr(calibration, "MOST_VALUES", 50 * values.shape[1] * len(values))
    fewer, _ = calibration.judged(teacher, context_)
    assert len(fewer) <= 50 * len(values)


@pytest.mark.parametrize(
    ("recipe", "overrides", "says"),
    [
        ("diabetes", (), "regression has no classes"),
        ("digit-scenes-det", (), "detection has no classes"),
        ("digits", ("store.top_k=3", "loss.temperature=1"), "needs every logit"),
    ],
)
def test_what_has_no_temperature_is_refused_before_anything_runs(
    context: Contexts, recipe: str, overrides: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as error:
        context(*overrides, "calibrate=true", recipe=recipe)
    assert "calibrate" in error.value.where
