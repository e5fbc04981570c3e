"""Teachers that are files of predictions, in complete runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.files import regular_file
from mtkd_cli.report import results
from mtkd_cli.runs import pipeline
from mtkd_cli.runs.folder import Run
from mtkd_cli.teachers import prepare, verify
from mtkd_cli.training.context import Context
from tests.fixtures.command_line import mtkd
from tests.fixtures.shown_lines import with_shown_lines
from tests.fixtures.small_runs import Contexts

DIGITS = tuple(f"digits-{number:04d}" for number in range(1797))
LOGITS = np.random.default_rng(0).normal(size=(1797, 10)).astype(np.float32)
ROWS = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
FILE = "teachers=[{name: api, model: 'predictions:p.npz', outputs: probabilities}]"


def save(ids: Any = DIGITS, rows: Any = ROWS, **more: Any) -> None:
    np.savez("p.npz", ids=ids, predictions=rows, **more)


def answered(run: Context, split: str = "test", views: int | None = 1) -> torch.Tensor:
    return prepare.prepare_teachers(run, views)[0].recorded_outputs(split, 0)


def expected(run: Context, split: str = "test") -> torch.Tensor:
    ids = getattr(run.data, split).samples.ids
    return torch.from_numpy(ROWS[[DIGITS.index(sample) for sample in ids]])


def test_matches_predictions_by_id(context: Contexts) -> None:
    order = np.random.default_rng(1).permutation(len(DIGITS))
    save(np.array(DIGITS)[order], ROWS[order])
    run = context(FILE)
    for split in ("train", "val", "test"):
        torch.testing.assert_close(
            answered(run, split).softmax(dim=1), expected(run, split), atol=1e-3, rtol=1e-3
        )


def test_class_names_order_columns(context: Contexts) -> None:
    turned = list("9876543210")
    save(rows=ROWS[:, ::-1], classes=turned)
    run = context(FILE)
    torch.testing.assert_close(answered(run).softmax(dim=1), expected(run), atol=1e-3, rtol=1e-3)
    save(rows=ROWS[:, ::-1])
    named = context(FILE[:-2] + f", classes: {json.dumps(turned)}" + "}]")
    torch.testing.assert_close(answered(named).softmax(dim=1), expected(run), atol=1e-3, rtol=1e-3)


def test_logits_of_some_classes(context: Contexts) -> None:
    save(rows=LOGITS[:, :6], classes=list("012345"))
    run = context(FILE.replace("probabilities", "logits"))
    ids = [DIGITS.index(sample) for sample in run.data.test.samples.ids]
    torch.testing.assert_close(answered(run)[:, :6], torch.from_numpy(LOGITS[ids, :6]), atol=1e-2, rtol=1e-3)
    assert (answered(run)[:, 6:] < -1e8).all()


@pytest.mark.parametrize("views", ["2", "live"])
def test_one_prediction_is_used_for_every_view(context: Contexts, views: str) -> None:
    save()
    run = context(FILE.replace("]", ", {model: 'mlp:8', fit: all}]"), f"views={views}", "augment.shift=0.1")
    run, told = with_shown_lines(run)
    report = results.as_json(pipeline.distill(run, Run("run"), False))
    assert [line for line in told if "every view uses" in line] == [
        "api: predictions by sample id; every view uses those for view 0"
    ]
    costs = report["costs"]["teachers"]["api"]
    assert (costs["parameters"], costs["bytes"], costs["latency_ms"]) == (None, None, None)
    assert report["costs"]["ensemble"]["latency_ms"] is None
    ready = prepare.prepare_teachers(run, None if views == "live" else 2)[0]
    assert set(ready.arrays) == {("train", 0), ("val", 0), ("test", 0)}


def test_file_is_identified_by_content(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    save()
    first = prepare.prepare_teachers(context(FILE), 1)[0]
    with monkeypatch.context() as warm:
        warm.setattr(prepare, "load_teacher", lambda *_: pytest.fail("it was read again"))
        assert prepare.prepare_teachers(context(FILE), 1)[0].hash == first.hash
    save(rows=ROWS[::-1])
    assert prepare.prepare_teachers(context(FILE), 1)[0].hash != first.hash


def test_verify_compares_with_file(context: Contexts) -> None:
    save()
    run = context(FILE)
    prepare.prepare_teachers(run, 1)
    found = list(verify.differences(run))
    assert len(found) == 3
    assert all(row["same"] for row in found)


def test_unused_samples_need_no_prediction(context: Contexts) -> None:
    run = context(FILE)
    used = [*run.data.val.samples.ids, *run.data.test.samples.ids]
    rows = ROWS[[DIGITS.index(sample) for sample in used]]
    save(used, rows)
    assert answered(run, "val", views=0).shape == (len(run.data.val), 10)
    with pytest.raises(DataError) as caught:
        prepare.prepare_teachers(run, 1)
    train = run.data.train.samples.ids
    assert caught.value.what == (
        f"no prediction for {len(train)} of {len(train)} samples, the first is {train[0]!r}"
    )
    assert caught.value.where == "teacher 'api', p.npz"


def broken(kind: str) -> dict[str, Any]:
    """Return arrays whose row 7 is invalid."""
    ids, rows = list(DIGITS), ROWS.copy()
    if kind == "twice":
        ids.insert(7, DIGITS[3])
        rows = np.insert(rows, 7, rows[3], axis=0)
    elif kind == "unsure":
        rows[7] = 0.5
    else:
        rows[7, 2] = np.nan
    return {"ids": ids, "rows": rows}


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("twice", "duplicate sample id 'digits-0003'"),
        ("unsure", "not probabilities that sum to 1"),
        ("nan", "the prediction for 'digits-0007' is NaN, infinite or missing"),
    ],
)
def test_error_names_invalid_row(context: Contexts, kind: str, what: str) -> None:
    save(**broken(kind))
    with pytest.raises(DataError) as caught:
        prepare.prepare_teachers(context(FILE), 1)
    assert what in caught.value.what
    assert caught.value.where == "teacher 'api', p.npz, row 7"


def test_on_nan_drop_ignores_row(context: Contexts) -> None:
    save(**broken("nan"))
    run = context(FILE, "store.on_nan=drop")
    ready = prepare.prepare_teachers(run, 1)[0]
    gaps = {
        split.name: [
            split.samples.ids[row]
            for row in ready.recorded_outputs(split.name, 0).isnan().all(dim=1).nonzero()
        ]
        for split in run.data.splits
    }
    assert [sample for found in gaps.values() for sample in found] == ["digits-0007"]


def test_error_names_unreadable_file(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    save()
    run = context(FILE)
    opened = regular_file.refuse_special

    def refuse(path: str, flags: int) -> int:
        if path == "p.npz":
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags)

    monkeypatch.setattr(regular_file, "refuse_special", refuse)
    with pytest.raises(DataError, match="cannot be read: Permission denied") as caught:
        prepare.prepare_teachers(run, 1)
    assert caught.value.where == "p.npz"


def test_rejects_keys_that_do_not_apply(context: Contexts) -> None:
    save()
    for change, what in (
        (", fit: head", "fit: does not apply to predictions"),
        (", checkpoint: p.npz", "checkpoint: does not apply to predictions"),
    ):
        with pytest.raises(UsageError, match=what):
            prepare.prepare_teachers(context(FILE[:-2] + change + "}]"), 1)
    with pytest.raises(UsageError, match="the kind of predictions is unknown"):
        prepare.prepare_teachers(context(FILE.replace(", outputs: probabilities", "")), 1)
    with pytest.raises(UsageError, match="the file contains probabilities, but outputs: declares logits"):
        prepare.prepare_teachers(context(FILE.replace("probabilities", "logits")), 1)
    with pytest.raises(UsageError, match="outputs: values does not apply to this task"):
        prepare.prepare_teachers(context(FILE.replace("probabilities", "values")), 1)
    with pytest.raises(UsageError, match="no features to learn from"):
        pipeline.distill(context(FILE, "loss.features=1"), Run("features"), False)


def test_values_for_regression(context: Contexts) -> None:
    from sklearn.datasets import load_diabetes

    run = context(
        "student=mlp:4",
        "train={epochs: 2, lr: 0.01}",
        FILE.replace("probabilities", "values"),
        recipe="diabetes",
    )
    (name,) = run.data.classes
    ids = [sample for split in run.data.splits for sample in split.samples.ids]
    truth = np.concatenate(
        [split.samples.targets for split in (run.data.all_labels, run.data.val, run.data.test)]
    )
    assert len(truth) == len(load_diabetes().target)
    save(ids, truth + 3, classes=[name])
    report = results.as_json(pipeline.distill(run, Run("values"), False))
    assert report["scores"]["teachers"]["api"]["mae"] == pytest.approx(3, abs=1e-4)


def test_probabilities_for_multilabel(context: Contexts) -> None:
    small = (
        "task=multilabel",
        "data={name: digit-scenes, scenes: 24, test_scenes: 10, size: 16, labels: 12, val: 0.5}",
    )
    rest = ("student=mlp:4", "train={epochs: 1, lr: 0.01}", "strategy=mean", FILE)
    run = context(*small, *rest)
    ids = [sample for split in run.data.splits for sample in split.samples.ids]
    save(ids, ROWS[: len(ids)])
    there = torch.from_numpy(ROWS[[ids.index(sample) for sample in run.data.test.samples.ids]])
    torch.testing.assert_close(answered(run).sigmoid(), there, atol=1e-3, rtol=1e-3)
    save(ids, LOGITS[: len(ids)])
    with pytest.raises(DataError, match="are not probabilities"):
        prepare.prepare_teachers(context(*small, *rest), 1)


def test_maps_for_segmentation_need_one_view(context: Contexts) -> None:
    scenes = ("data.scenes=12", "data.test_scenes=10", "data.size=16", "data.labels=8", "data.val=0.5")
    small = (
        *scenes,
        "student=unet:4",
        "train={epochs: 1, lr: 0.01}",
        FILE.replace("probabilities", "logits"),
    )
    run = context(*small, "views=1", recipe="digit-scenes-seg")
    ids = [sample for split in run.data.splits for sample in split.samples.ids]
    maps = np.random.default_rng(0).normal(size=(len(ids), len(run.data.classes), 16, 16)).astype(np.float32)
    save(ids, maps)
    report = results.as_json(pipeline.distill(run, Run("maps"), False))
    assert 0 <= report["scores"]["teachers"]["api"]["miou"] < 0.5
    with pytest.raises(UsageError, match="other views move it"):
        prepare.prepare_teachers(context(*small, "views=2", recipe="digit-scenes-seg"), 2)


def test_boxes_for_detection(context: Contexts) -> None:
    task = ("task=detection", "data={name: digit-scenes, scenes: 24, test_scenes: 10, size: 32, labels: 12}")
    train = ("views=1", "student=tiny-fcos:8-1", "train={epochs: 1, lr: 0.01}", "strategy=mean")
    run = context(*task, *train, FILE.replace(", outputs: probabilities", ""))
    splits = (run.data.all_labels, run.data.val, run.data.test)
    labels = np.concatenate([split.samples.targets for split in splits])
    ids = [sample for split in splits for sample in split.samples.ids]
    scores = np.where(labels[..., 4:] >= 0, 0.9, 0)
    save(ids, np.concatenate([labels[..., :4], scores, labels[..., 4:]], axis=2))
    report = results.as_json(pipeline.distill(run, Run("boxes"), False))
    assert report["scores"]["teachers"]["api"]["map"] == 1


RECIPE = """
task: classification
data: {name: image-folder, path: images, size: 8, val: 0.25, test: 0.25}
teachers: [{name: api, model: "predictions:p.csv", outputs: probabilities}]
strategy: mean
student: mlp:4
train: {epochs: 1, lr: 0.01}
"""


def images(*names: str) -> None:
    from PIL import Image

    for number, name in enumerate(names):
        path = Path("images", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number * 5, 9, 9)).save(path)


def test_matches_images_by_unique_path_or_name() -> None:
    names = [f"{label}/{label}{number}.png" for label in ("cat", "dog") for number in range(8)]
    images(*names)
    Path("r.yaml").write_text(RECIPE)
    for called in (str, lambda name: name.partition("/")[2], lambda name: Path(name).stem):
        lines = [
            f"{called(name)},{0.9 if 'cat' in name else 0.1},{0.1 if 'cat' in name else 0.9}"
            for name in names
        ]
        Path("p.csv").write_text("\n".join(["file,cat,dog", *lines]))
        done = mtkd("distill", "r.yaml", "--no-baseline", "--json")
        assert done.exit_code == 0, done.stderr
        assert json.loads(done.stdout)["scores"]["teachers"]["api"]["accuracy"] == 1
    images("dog/cat0.png")
    refused = mtkd("distill", "r.yaml")
    assert refused.exit_code == 3
    assert "one prediction matches two samples" in refused.stderr
    assert "p.csv, row 2" in refused.stderr


def test_plan_and_doctor_accept_predictions() -> None:
    save()
    told = FILE.replace("]", ", {model: 'mlp:8', fit: all}]")
    planned = mtkd("distill", "digits", told, "--dry-run", "--json")
    assert planned.exit_code == 0, planned.stderr
    found = json.loads(planned.stdout)["plan"]["teachers"][0]
    assert (found["input_size"], found["parameters"]) == (None, None)
    assert "sample ids" in mtkd("distill", "digits", told, "--dry-run").stdout
    save(DIGITS[5:], ROWS[5:])
    checked = mtkd("doctor", "digits", told, "--json")
    rows = {row["check"]: row for row in json.loads(checked.stdout)["findings"]}
    assert rows["teacher mlp-8"]["status"] == "ok"
    assert "views" not in rows
    assert rows["teacher api"]["status"] == "fail"
    assert "no prediction for" in rows["teacher api"]["found"]


def test_unnamed_outputs_are_reported_as_ordered() -> None:
    small = ("data.labels=40", "train={epochs: 1, lr: 0.01}", "student=mlp:4", "--no-baseline")
    says = "teacher api names no classes: its outputs are taken in the data's order: 0, 1, 2"
    save()
    assert says in mtkd("distill", "digits", FILE, *small).stderr
    save(classes=list("0123456789"))
    assert "names no classes" not in mtkd("distill", "digits", FILE, *small).stderr


def test_plan_names_unknown_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    save(classes=[*"012345678", "nine"])
    planned = mtkd("distill", "digits", FILE, "--dry-run")
    assert "9 of the data's 10, by name; not 9" in planned.stdout
