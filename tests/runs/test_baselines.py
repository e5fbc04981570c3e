"""Baselines: which a run trains, what they learn from, and what old runs go on with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mtkd_cli.cli import app
from mtkd_cli.errors import UsageError
from mtkd_cli.files import checksummed_json
from mtkd_cli.models.preprocess import with_preprocessing
from mtkd_cli.runs import label_spreading
from mtkd_cli.runs.baseline_choice import BaselineChoice
from mtkd_cli.runs.baselines import ALONE, Baseline, baseline_key, list_baselines, train_baseline
from mtkd_cli.runs.pseudo_labels import make_pseudo_labels
from mtkd_cli.training.context import Context
from mtkd_cli.training.loop import Step
from tests.program.small_run import RESUME, START

Contexts = Callable[..., Context]
Distill = Callable[..., dict[str, Any]]
ALL = BaselineChoice.ALL


def kinds(context: Context, choice: BaselineChoice = ALL) -> list[str]:
    return [baseline.kind for baseline in list_baselines(choice, context)]


def test_baselines_suit_the_labels_of_student_and_teachers(context: Contexts) -> None:
    assert kinds(context()) == ["alone", "pseudo-labels", "all-labels"]
    assert kinds(context("fit.labels=student")) == ["alone", "pseudo-labels"]
    assert kinds(context("data.labels=null")) == ["alone"]
    assert kinds(context(), BaselineChoice.ALONE) == ["alone"]
    assert kinds(context(), BaselineChoice.NONE) == []


def test_few_samples_without_a_label_are_no_reason_for_pseudo_labels(context: Contexts) -> None:
    assert "pseudo-labels" not in kinds(context("data.labels=1200"))


def test_labels_are_spread_as_scikit_learn_spreads_them(context: Contexts) -> None:
    from sklearn.decomposition import PCA
    from sklearn.semi_supervised import LabelSpreading

    data = context().data
    splits = (data.train, data.val)
    pixels = np.concatenate([s.samples.read(slice(None)).reshape(len(s), -1) / 255 for s in splits])
    points = PCA(63, random_state=0).fit_transform((pixels - data.input.mean[0]) / data.input.std[0])
    labels = np.concatenate([data.train.samples.targets, np.full(len(data.val), -1)])
    wanted = LabelSpreading(kernel="knn", n_neighbors=7, alpha=0.8, max_iter=1000).fit(points, labels)
    train, val = label_spreading.spread_labels(context())[0.8]
    found = torch.cat([train, val]).softmax(dim=1).numpy()
    same = np.abs(found - wanted.label_distributions_).max(axis=1) < 1e-3
    assert same.mean() > 0.98  # a neighbor at an equal distance may differ


def test_spreading_sees_no_label_of_validation(context: Contexts) -> None:
    first, other = context(), context()
    other.data.val.samples.targets[:] = 0
    for alpha, (train, _) in label_spreading.spread_labels(first).items():
        assert torch.equal(train, label_spreading.spread_labels(other)[alpha][0])


def test_a_class_without_a_label_has_almost_no_pseudo_label(context: Contexts) -> None:
    made = context()
    targets = made.data.train.samples.targets
    targets[targets == 3] = -1
    for train, _ in label_spreading.spread_labels(made).values():
        assert (train[:, 3].exp() < 1e-4).float().mean() > 0.95  # where no label reaches, all are equal
        assert train.exp().sum(dim=1) == pytest.approx(1, abs=1e-4)


def test_tasks_without_classes_learn_from_the_student_alone(context: Contexts) -> None:
    made = context("train={epochs: 2, lr: 0.01}", "student=mlp:4", recipe="diabetes")
    assert not label_spreading.is_possible(made)
    alone = train_baseline(ALONE, made).model
    data, _, source = make_pseudo_labels(made, alone)
    assert source.startswith("self-training (validation loss")
    rows = np.array([5, 0])
    (found,) = data.teacher_outputs(Step(0, 0, 0.0, rows))
    inputs = torch.from_numpy(made.data.train.samples.read(rows))
    with torch.no_grad():
        assert torch.allclose(found, with_preprocessing(alone).eval()(inputs))


def test_the_better_pseudo_labels_by_validation_are_taken(
    context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = context()
    alone = train_baseline(ALONE, made).model
    _, _, source = make_pseudo_labels(made, alone)
    assert source.startswith("label spreading, alpha")
    nonsense = {0.2: (torch.zeros(len(made.data.train), 10), -30 * torch.rand(len(made.data.val), 10))}
    monkeypatch.setattr(label_spreading, "spread_labels", lambda _: nonsense)
    assert make_pseudo_labels(made, alone)[2].startswith("self-training")


@pytest.mark.parametrize("recipe", ["digit-scenes-seg", "digit-scenes-det"])
def test_outputs_with_places_are_those_of_the_view_that_is_shown(context: Contexts, recipe: str) -> None:
    model = {"digit-scenes-seg": "unet:4", "digit-scenes-det": "tiny-fcos:8"}[recipe]
    small = ("data.scenes=90", "data.test_scenes=10", "data.size=16", "data.labels=12", "data.val=0.5")
    small = small if recipe == "digit-scenes-seg" else tuple(o for o in small if "data.size" not in o)
    teacher = [f"teachers=[{{model: '{model}', fit: all}}]"]
    made = context(*small, "train={epochs: 1, lr: 0.01}", f"student={model}", *teacher, recipe=recipe)
    assert "pseudo-labels" in kinds(made)
    student = train_baseline(Baseline("pseudo-labels"), made)
    assert student.note.startswith("pseudo-labels from self-training")
    data, _, _ = make_pseudo_labels(made, student.model)
    step = Step(0, 0, 0.0, np.array([0, 1]))
    step = Step(0, 0, 0.0, step.indices, views=data.views(step))
    with torch.no_grad():
        wanted = with_preprocessing(student.model).eval()(step.views)
    assert torch.allclose(data.teacher_outputs(step)[0], wanted, equal_nan=True)


def test_pseudo_labels_of_a_mixed_view_are_mixed(context: Contexts) -> None:
    made = context("augment={mixup: 1.0, cutmix: 1.0}")
    alone = train_baseline(ALONE, made).model
    data, _, _ = make_pseudo_labels(made, alone)
    rows = np.array([5, 0, 90])
    step = Step(0, 2, 0.0, rows)
    partners, share = data.partners(step), data.own_share(step)[:, None]
    assert partners is not None
    assert data.pseudo_labels is not None
    own, others = (data.pseudo_labels(Step(0, 2, 0.0, of)).softmax(dim=1) for of in (rows, partners))
    (found,) = data.teacher_outputs(step)
    torch.testing.assert_close(found.exp(), share * own + (1 - share) * others, rtol=1e-4, atol=1e-6)


def test_the_key_of_the_student_alone_is_that_of_earlier_versions(context: Contexts) -> None:
    made = context()
    key = baseline_key(ALONE, made)
    assert set(key) == {
        *("student", "splits", "targets", "classes", "task", "loss", "train", "steps", "views", "augment"),
        "selection",
        "engine",
    }
    assert baseline_key(Baseline("all-labels"), made) != key != baseline_key(Baseline("pseudo-labels"), made)


def test_a_report_names_each_baseline_and_how_it_was_trained(distill: Distill) -> None:
    report = distill(baseline=True, name="named")
    assert list(report["verdict"]["against"]) == ["alone", "pseudo-labels", "all-labels"]
    assert report["verdict"]["baseline"] in ("alone", "pseudo-labels")
    assert "pseudo-labels from label spreading" in report["baselines"]["pseudo-labels"]["note"]
    page = (Path("runs/named") / "report.html").read_text()
    card = next(Path("runs/named").glob("*.md")).read_text()
    for shown in (page, card):
        for title in ("student, alone", "student, pseudo-labels", "student, all labels (reference)"):
            assert title in shown
    assert "against the same student with pseudo-labels" in page


def test_a_run_of_an_earlier_version_goes_on_with_its_baselines(invoke: Callable[..., Any]) -> None:
    assert invoke(*START, "--baseline", "alone").exit_code == 0
    path = Path("runs/run/manifest.json")
    manifest = checksummed_json.read(path)
    assert manifest["baseline"] == "alone"
    checksummed_json.write(path, {**manifest, "baseline": True})
    before = Path("runs/run/report.json").stat().st_mtime_ns
    assert invoke(*RESUME).exit_code == 0
    assert Path("runs/run/report.json").stat().st_mtime_ns == before
    assert invoke(*RESUME, "--no-baseline").exit_code == 0
    assert json.loads(Path("runs/run/report.json").read_text())["baselines"] == {}


def test_all_labels_take_the_rate_chosen_alone(distill: Distill) -> None:
    report = distill("train.lr=[0.001,0.01]", baseline=True, name="one-rate")
    trained = report["baselines"]
    assert len(trained["pseudo-labels"]["trials"]) > 1 == len(trained["all-labels"]["trials"])
    assert trained["all-labels"]["chosen"] == trained["alone"]["chosen"]


def test_options_that_contradict_each_other_are_refused(invoke: Callable[..., Any]) -> None:
    done = invoke("distill", "digits", "--no-baseline", "--baseline", "all")
    assert done.exit_code == UsageError.exit_code
    assert "contradict" in done.stderr


@pytest.fixture
def invoke() -> Callable[..., Any]:
    from typer.testing import CliRunner

    return lambda *arguments: CliRunner().invoke(app.create(), arguments, catch_exceptions=False)
