"""What `mtkd distill` promises."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mtkd_cli.errors import DataError, PluginError, RecipeError, UsageError
from mtkd_cli.files import yaml12
from mtkd_cli.recipe.schema import Recipe
from mtkd_cli.teachers import prepare
from tests.fixtures.small_runs import Distill

recorded = pytest.mark.usefixtures("teachers_recorded")


def weights_of(run: str) -> dict[str, torch.Tensor]:
    return load_file(Path("runs") / run / "student.safetensors")


def assert_same_bits(first: str, second: str) -> None:
    one, other = weights_of(first), weights_of(second)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@recorded
def test_the_report_has_everyone_with_the_primary_metric_first(distill: Distill) -> None:
    report = distill(baseline=True, name="whole")
    for part in ("scores", "costs", "details"):
        assert set(report[part]) == {"student", "baselines", "ensemble", "teachers"}
        assert set(report[part]["baselines"]) == {"alone", "pseudo-labels", "all-labels"}
        assert len(report[part]["teachers"]) == 3
    scores, costs = report["scores"], report["costs"]
    for each in (scores["student"], *scores["baselines"].values(), scores["ensemble"]):
        assert list(each) == ["accuracy", "nll", "ece"]
    for each in (costs["student"], *costs["teachers"].values()):
        assert (each["device"], each["threads"]) == ("cpu", torch.get_num_threads())
        assert each["latency_ms"] > 0
    assert json.loads((Path("runs") / "whole" / "report.json").read_text()) == report


def test_files_of_a_run_and_of_the_store_have_default_permissions(distill: Distill) -> None:
    before = os.umask(0o022)
    try:
        distill(baseline=True, name="shared")
    finally:
        os.umask(before)
    files = [p for root in ("runs", os.environ["MTKD_STORE"]) for p in Path(root).rglob("*") if p.is_file()]
    assert {path.suffix for path in files} >= {".safetensors", ".json", ".npy"}
    private = [path for path in files if not path.stat().st_mode & 0o044]
    assert private == []


@recorded
def test_the_run_folder_has_what_the_readme_says(distill: Distill) -> None:
    distill(name="folder")
    folder = Path("runs") / "folder"
    names = {file.name for file in folder.iterdir()}
    assert names == {
        "recipe.yaml",
        "student.safetensors",
        "student.json",
        "metrics.jsonl",
        "report.json",
        "report.html",
        "predictions.png",
        "gallery.png",
        "MODEL_CARD.md",
        "log.txt",
        "manifest.json",
        "checkpoints",
        ".lock",
    }
    report = json.loads((folder / "report.json").read_text())
    assert (folder / "log.txt").read_text().splitlines()[-1].endswith(report["verdict"]["sentence"])
    assert (report["seed"], report["timing"]["resumed"]) == (0, False)
    assert report["timing"]["seconds"] > 0
    Recipe.model_validate(yaml12.load((folder / "recipe.yaml").read_text(), "recipe.yaml"))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows if row["phase"] == "distill"] == [1, 2]


@recorded
def test_the_resolved_recipe_repeats_the_run_to_the_bit(distill: Distill) -> None:
    distill(name="first")
    distill(name="second", recipe="runs/first/recipe.yaml")
    assert_same_bits("first", "second")


def test_cold_and_warm_stores_give_the_same_bits(distill: Distill, monkeypatch: pytest.MonkeyPatch) -> None:
    distill(name="cold")
    distill(name="warm")
    monkeypatch.setenv("MTKD_STORE", "another-store")
    distill(name="cold-again")
    assert_same_bits("cold", "warm")
    assert_same_bits("cold", "cold-again")


@recorded
def test_another_seed_gives_another_student_from_the_same_recording(
    distill: Distill, no_teacher_is_loaded: Callable[[], None]
) -> None:
    distill(name="seed-0")
    no_teacher_is_loaded()
    distill("train.seed=1", name="seed-1")
    one, other = weights_of("seed-0"), weights_of("seed-1")
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def no_teacher_is_loaded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def loaded(*_: object) -> None:
            raise AssertionError("a teacher was loaded")

        monkeypatch.setattr(prepare, "load_teacher", loaded)

    return forbid


@recorded
def test_what_teachers_do_not_depend_on_costs_no_teacher_pass(
    distill: Distill, no_teacher_is_loaded: Callable[[], None]
) -> None:
    distill()
    no_teacher_is_loaded()
    for change in (
        "strategy=entropy",
        "strategy=confidence",
        "strategy=weighted",
        "strategy=mean-logit",
        "loss.temperature=4",
        "loss.kd_ratio=0.5",
        "student=convnet:4",
        "train.batch_size=32",
    ):
        distill(change)


def test_one_teacher_is_enough(distill: Distill) -> None:
    one = "teachers=[{model: 'mlp:32', fit: all}]"
    for strategy in ("mean", "entropy", "confidence", "weighted", "mean-logit"):
        report = distill(one, f"strategy={strategy}")
        teacher = report["scores"]["teachers"]["mlp-32"]["accuracy"]
        assert report["scores"]["ensemble"]["accuracy"] == teacher


@recorded
def test_live_teachers_see_what_the_student_sees(distill: Distill) -> None:
    report = distill("views=live")
    assert report["views"] == "live"


@recorded
def test_live_teachers_on_plain_views_teach_like_recorded_ones(distill: Distill) -> None:
    plain = ("augment={}", "store.precision=fp32", "train.epochs=1")
    distill("views=1", *plain, name="recorded")
    distill("views=live", *plain, name="live")
    one, other = weights_of("recorded"), weights_of("live")
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-4)


@recorded
def test_baselines_are_trained_once(distill: Distill, monkeypatch: pytest.MonkeyPatch) -> None:
    first = distill(baseline=True)
    monkeypatch.setattr("mtkd_cli.runs.baselines.train_best_candidate", None)
    second = distill("strategy=entropy", baseline=True)
    for kind in ("alone", "pseudo-labels", "all-labels"):
        scores = [report["scores"]["baselines"][kind]["accuracy"] for report in (first, second)]
        assert scores[0] == scores[1]


@recorded
def test_fair_baselines_have_the_same_candidates_and_steps(distill: Distill) -> None:
    report = distill("train.lr=[0.003, 0.01]", "train.weight_decay=[0, 0.01]", baseline=True)
    fair = [kind for kind in report["baselines"] if kind != "all-labels"]  # it has one candidate
    students = [report["student"], *(report["baselines"][kind] for kind in fair)]
    tried = [[(t["lr"], t["weight_decay"]) for t in student["trials"]] for student in students]
    assert len(tried) == 3
    given = [(lr, decay) for lr in (0.003, 0.01) for decay in (0, 0.01)]
    assert all(each[:4] == given for each in tried)  # others lie beyond the range of rates
    rows = [
        json.loads(line) for line in (Path("runs") / report["run"] / "metrics.jsonl").read_text().splitlines()
    ]
    last = {row["phase"]: row["step"] for row in rows}
    assert all(last["distill"] == last[f"student {kind}"] for kind in report["baselines"])


@recorded
def test_without_the_baseline_nothing_is_claimed(distill: Distill) -> None:
    report = distill()
    assert report["scores"]["baselines"] == report["baselines"] == {}
    assert report["verdict"]["difference"] is None
    assert "the gain is unknown" in report["verdict"]["sentence"]


@recorded
def test_the_report_says_which_labels_the_teachers_saw(distill: Distill) -> None:
    assert "the student sees 48" in distill()["teachers"][0]["labels_seen"]
    assert distill("fit.labels=student")["teachers"][0]["labels_seen"] == "the student's 48"


@recorded
def test_a_strategy_of_a_local_file_is_used(distill: Distill) -> None:
    Path("mine.py").write_text(
        "import torch\n"
        "class First:\n"
        "    'The first teacher alone.'\n"
        "    def weights(self, batch):\n"
        "        w = torch.zeros(len(batch.outputs), len(batch.outputs[0]))\n"
        "        w[0] = 1\n"
        "        return w\n"
    )
    report = distill("strategy=python:mine.py:First")
    assert report["scores"]["ensemble"]["accuracy"] == report["scores"]["teachers"]["mlp-32"]["accuracy"]


@recorded
def test_a_strategy_that_raises_is_named(distill: Distill) -> None:
    Path("bad.py").write_text("class Bad:\n    def weights(self, batch):\n        return 1 / 0\n")
    with pytest.raises(PluginError, match=r"bad\.py:Bad.*ZeroDivisionError"):
        distill("strategy=python:bad.py:Bad")


def test_a_teacher_without_weights_is_refused_before_training(distill: Distill) -> None:
    with pytest.raises(DataError, match="no trained weights") as caught:
        distill("teachers=['mlp:32']")
    assert "fit: all" in caught.value.hint


@recorded
def test_a_run_never_overwrites_another(distill: Distill) -> None:
    distill(name="taken")
    with pytest.raises(UsageError, match="exists"):
        distill(name="taken")
    with pytest.raises(UsageError, match="invalid name"):
        distill(name="../outside")


@recorded
def test_class_weights_and_smoothing_and_sgd_and_ema_train(distill: Distill) -> None:
    distill("loss.class_weights=balanced", "loss.label_smoothing=0.1", "train.optimizer=sgd", "train.ema=0.9")


def test_fitted_teachers_do_not_depend_on_class_weights_but_on_label_smoothing(distill: Distill) -> None:
    """Class weights are the student's alone; smoothed labels make other teachers, not reused ones."""
    weights = "loss.class_weights=[1, 9, 1, 1, 1, 1, 1, 1, 1, 1]"
    one = "teachers=[{model: 'convnet:4', name: t, fit: all}]"
    plain, weighted, smooth = (
        distill(one, *more)["scores"]["teachers"]["t"]["nll"]
        for more in ((), (weights,), ("loss.label_smoothing=0.3",))
    )
    assert plain == weighted != smooth


def test_a_head_is_fitted_on_features_computed_once(
    distill: Distill, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mtkd_cli.interfaces import ModelRequest
    from mtkd_cli.safe_loading import weights
    from mtkd_teachers.convnet import ConvNetProvider

    net = ConvNetProvider().build(ModelRequest("8-16", 1, 8, 4, pretrained=False))
    weights.write(Path("elsewhere.safetensors"), net.module.state_dict())
    report = distill(
        "teachers=[{model: 'convnet:8-16', checkpoint: elsewhere.safetensors, fit: head}]",
        "fit={epochs: 40, lr: 0.03, labels: all}",
    )
    assert report["scores"]["teachers"]["convnet-8-16"]["accuracy"] > 0.3


@recorded
def test_a_run_that_fails_before_training_gives_its_name_back(distill: Distill) -> None:
    with pytest.raises(DataError):
        distill("teachers=['mlp:32']", name="again")
    assert not Path("runs/again").exists()
    distill(name="again")


@recorded
def test_a_run_that_fails_later_keeps_its_rows_and_says_why(
    distill: Distill, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_order(*_: object) -> None:
        raise DataError("the evaluation broke")

    monkeypatch.setattr("mtkd_cli.runs.pipeline.measure_scores", out_of_order)
    with pytest.raises(DataError):
        distill(name="late")
    assert (Path("runs/late/metrics.jsonl")).exists()
    assert "failed: DataError: the evaluation broke" in Path("runs/late/log.txt").read_text()


@pytest.mark.parametrize(
    ("key", "value"), [("classes", [str(9 - n) for n in range(10)]), ("map", "{'3': x}")]
)
def test_label_space_of_a_teacher_that_is_fitted_is_refused(
    distill: Distill, key: str, value: object
) -> None:
    with pytest.raises(RecipeError) as caught:
        distill(f"teachers.0.{key}={value}")
    assert f"both fit and {key}" in caught.value.problems[0].what
    assert "or remove fit" in caught.value.problems[0].hint
