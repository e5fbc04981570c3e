"""`calibrate: true` in runs."""

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
from mtkd_cli.teachers.label_alignment import align_classes
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


def test_reports_temperatures_without_recording_again(
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


def test_outputs_are_divided_by_temperature(context: Contexts) -> None:
    context_ = context(*SMALL)
    raw, calibrated = ready(context_), ready(context(*SMALL, "calibrate=true"))
    split = context_.data.val
    for before, after in zip(raw, calibrated, strict=True):
        assert after.calibration is not None
        for name in ("train", "val", "test"):
            divided = before.recorded_outputs(name, PLAIN) / after.calibration.temperature
            assert torch.equal(after.recorded_outputs(name, PLAIN), divided)
        found, own = (
            measure(partial(each.recorded_outputs, "val", PLAIN), split, context_.task).metrics
            for each in (after, before)
        )
        assert found["nll"] == pytest.approx(after.calibration.after, rel=1e-4)
        assert found["nll"] <= own["nll"]
        assert found["accuracy"] == own["accuracy"]


def test_ignores_unknown_labels_and_nonfinite_outputs(context: Contexts) -> None:
    context_ = context(*SMALL)
    teacher = ready(context_)[0]
    names = [str(number) for number in range(10)]
    partly = replace(teacher, alignment=align_classes(names, [*names[:6], *"uvwx"], 10, "a"))
    outputs, target = calibration.labeled_outputs(partly, context_)
    labels = context_.data.val.samples.targets[context_.data.val.labeled]
    assert len(target) == (labels < 6).sum() < len(labels)
    assert target.max() < 6
    assert outputs.shape == (len(target), 10)
    val, gone = teacher.arrays["val", PLAIN], int(context_.data.val.labeled[0])
    rows = val.rows.copy()
    rows[gone] = torch.nan
    holed = replace(teacher, arrays={("val", PLAIN): replace(val, rows=rows)})
    outputs, target = calibration.labeled_outputs(holed, context_)
    assert len(outputs) == len(target) == len(context_.data.val.labeled) - 1
    assert torch.isfinite(outputs).all()


def test_resume_rejects_changed_calibrate(context: Contexts) -> None:
    first = results.as_json(pipeline.distill(context(*SMALL, "calibrate=true"), Run("run"), baseline=False))
    with pytest.raises(ResumeError) as error:
        pipeline.distill(context(*SMALL), Run("run", resume=True), baseline=False)
    assert "calibrate" in str([problem.what for problem in error.value.problems])
    again = results.as_json(pipeline.distill(context(*SMALL, "calibrate=true"), Run("again"), baseline=False))
    assert first["teachers"] == again["teachers"]
    assert (
        Path("runs/run/student.safetensors").read_bytes()
        == Path("runs/again/student.safetensors").read_bytes()
    )


def test_audit_uses_calibrated_outputs(context: Contexts, registry: Registry) -> None:
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


def test_calibrates_maps_by_pixel(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    small = ("data.scenes=12", "data.test_scenes=10", "data.size=16", "data.labels=12", "data.val=0.5")
    teachers_ = "teachers=[{model: 'unet:4', name: a, fit: {epochs: 1}}]"
    context_ = context(*small, teachers_, "student=unet:4", recipe="digit-scenes-seg")
    teacher = ready(context_)[0]
    outputs, target = calibration.labeled_outputs(teacher, context_)
    values = teacher.recorded_outputs("val", PLAIN)
    assert len(target) == int((context_.data.val.samples.targets >= 0).sum())
    assert outputs.shape == (len(target), values.shape[1])
    mask = context_.data.val.samples.targets[0] >= 0
    torch.testing.assert_close(outputs[: mask.sum()], values[0][:, mask].T)
    monkeypatch.setattr(calibration, "MAX_VALUES", 50 * values.shape[1] * len(values))
    fewer, _ = calibration.labeled_outputs(teacher, context_)
    assert len(fewer) <= 50 * len(values)


def test_boxes_get_calibrated_scores_by_default(context: Contexts) -> None:
    small = ("data.scenes=30", "data.test_scenes=10", "data.labels=30", "data.val=0.5")
    teachers_ = "teachers=[{model: 'tiny-fcos:8', name: a, fit: {epochs: 2}}]"
    overrides = (*small, teachers_, "student=tiny-fcos:8")
    by_default = context(*overrides, recipe="digit-scenes-det")
    assert by_default.recipe.calibrate is True
    (raw,) = ready(context(*overrides, "calibrate=false", recipe="digit-scenes-det"))
    (calibrated,) = ready(by_default)
    fitted = calibrated.calibration
    assert raw.calibration is None
    assert fitted is not None
    train, val = (raw.recorded_outputs(name, PLAIN) for name in ("train", "val"))
    used = torch.cat([val[..., 4], train[by_default.data.train.labeled, :, 4]])
    assert fitted.labels == int((used > 0).sum()) > 0
    assert fitted.after <= fitted.before
    for split in ("train", "val", "test"):
        before, after = (each.recorded_outputs(split, PLAIN) for each in (raw, calibrated))
        is_box = before[..., 4] > 0
        expected = torch.sigmoid((torch.logit(before[..., 4]) + fitted.offset) / fitted.temperature)
        torch.testing.assert_close(after[..., 4][is_box], expected[is_box])
        assert (after[..., 4][~is_box] == 0).all()
        assert torch.equal(after[..., [0, 1, 2, 3, 5]], before[..., [0, 1, 2, 3, 5]])


def test_other_tasks_are_not_calibrated_by_default(context: Contexts) -> None:
    assert context(*SMALL).recipe.calibrate is False


@pytest.mark.parametrize(
    ("recipe", "overrides", "message"),
    [
        ("diabetes", (), "task 'regression' has none"),
        ("digits", ("store.top_k=3", "loss.temperature=1"), "requires all logits"),
    ],
)
def test_rejects_tasks_without_logits(
    context: Contexts, recipe: str, overrides: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as error:
        context(*overrides, "calibrate=true", recipe=recipe)
    assert "calibrate" in error.value.where
