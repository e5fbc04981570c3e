"""`mtkd audit` of classification and regression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtkd_cli.audit import audit_of
from mtkd_cli.errors import DataError
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.recipe.resolve import Part, strategies_for
from mtkd_cli.report import results
from mtkd_cli.teachers import prepare as teachers_module
from mtkd_cli.training.context import Context
from tests.fixtures.small_runs import Contexts

WRONG = """
import torch
class Always3(torch.nn.Module):
    def forward(self, images):
        return 20.0 * torch.nn.functional.one_hot(torch.full((len(images),), 3), 10).float()
def build(outputs):
    return Always3()
"""
PERMUTED = """
import torch
from sklearn.datasets import load_digits
class ByMeans(torch.nn.Module):
    # cosine of an image and the mean image of each class, classes shifted by one
    def __init__(self):
        super().__init__()
        data = load_digits()
        images, target = torch.tensor(data.data).float(), torch.tensor(data.target)
        means = torch.stack([images[target == c].mean(dim=0) for c in range(10)])
        self.means = torch.nn.functional.normalize(means - means.mean(dim=1, keepdim=True), dim=1)
    def forward(self, images):
        flat = images.flatten(1)
        flat = torch.nn.functional.normalize(flat - flat.mean(dim=1, keepdim=True), dim=1)
        return (20 * flat @ self.means.T)[:, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]]
def build(outputs):
    return ByMeans()
"""
LABELS = "data.labels=500"
TEACHERS = "teachers=[{model: 'mlp:32', fit: all}, {model: 'mlp:24', fit: all}, {model: 'mlp:16', fit: all}"


@pytest.fixture
def wrong() -> str:
    """Three good teachers and one that always predicts class 3."""
    Path("wrong.py").write_text(WRONG)
    return TEACHERS + ", {model: 'python:wrong.py:build', name: wrong, pretrained: true}]"


def parts(registry: Registry, *names: str) -> list[Part]:
    found = strategies_for("classification", registry, "test")
    return [part for part in found if not names or part.spec.name in names]


def audited(context: Context, strategies: list[Part]) -> dict[str, Any]:
    """Return the content of ``audit.json``."""
    return results.as_json(audit_of(context, strategies))


def by_name(rows: list[dict[str, Any]], key: str = "name") -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in rows}


def test_wrong_teacher_is_found_and_a_strategy_that_ignores_it_recommended(
    context: Contexts, registry: Registry, wrong: str
) -> None:
    facts = audited(context(LABELS, wrong, "fit.epochs=10", "strategy=mean"), parts(registry))
    found = facts["findings"][0]
    assert (found["severity"], found["about"], found["teacher"]) == ("error", "one answer", "wrong")
    assert "`wrong` predicts '3' for 100 % of the samples" in found["sentence"]
    without = audited(context(LABELS, found["override"], "fit.epochs=10"), parts(registry, "mean"))
    assert [t["name"] for t in without["teachers"]] == ["mlp-32", "mlp-24", "mlp-16"]
    flags = {t["name"]: sum(c["surely_wrong"] for c in t["classes"]) for t in facts["teachers"]}
    assert flags == {"mlp-32": 0, "mlp-24": 0, "mlp-16": 0, "wrong": 9}
    strategies = by_name(facts["strategies"])
    use = strategies[facts["recommended"]]
    assert facts["recommended"] != facts["configured"] == "mean"
    assert not use["weights"] or use["weights"][3] < 0.1
    assert use["loss"]["value"] < strategies["mean"]["loss"]["value"]
    assert {"agreement", "drop"} <= set(facts["not_measured"])
    for rows in (facts["teachers"], facts["strategies"]):
        assert all(row["score"]["low"] <= row["score"]["value"] <= row["score"]["high"] for row in rows)


def test_permuted_teacher_is_found_and_the_override_corrects_it(
    context: Contexts, registry: Registry
) -> None:
    Path("permuted.py").write_text(PERMUTED)
    permuted = "{model: 'python:permuted.py:build', name: p, pretrained: true}"
    teachers = f"teachers=[{permuted}, {{model: 'mlp:16', fit: all}}]"
    own = parts(registry, "mean")
    found = audited(context(LABELS, teachers, "fit.epochs=10"), own)["findings"][0]
    assert (found["severity"], found["about"], found["teacher"]) == ("error", "permuted", "p")
    assert found["override"] == 'teachers.0.classes=["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"]'
    facts = audited(context(LABELS, teachers, "fit.epochs=10", found["override"]), own)
    assert "permuted" not in {each["about"] for each in facts["findings"]}
    assert by_name(facts["teachers"])["p"]["score"]["value"] > 0.8


def test_leaving_a_teacher_out_equals_a_recipe_without_it(context: Contexts, registry: Registry) -> None:
    three = audited(context(LABELS, TEACHERS + "]", "strategy=mean"), parts(registry, "mean"))
    fewer = TEACHERS.replace(", {model: 'mlp:16', fit: all}", "]")
    two = audited(context(LABELS, fewer, "strategy=mean"), parts(registry, "mean"))
    gain = next(c for c in three["left_out"] if c["teacher"] == "mlp-16")["gain"]["value"]
    score = three["strategies"][0]["score"]["value"]
    assert score + gain == pytest.approx(two["strategies"][0]["score"]["value"], abs=1e-5)
    best = max(t["score"]["value"] for t in three["teachers"])
    assert three["oracle"]["value"] >= max(best, score)


def test_strategy_is_measured_on_samples_whose_labels_it_does_not_see(
    context: Contexts, registry: Registry
) -> None:
    Path("mine.py").write_text(
        "import torch\n"
        "class Watchful:\n"
        "    needs = ('labels', 'validation')\n"
        "    def fit(self, validation):\n"
        "        self.seen = set(validation.sample_ids)\n"
        "        assert validation.labeled.all() and len(self.seen) == 80\n"
        "    def weights(self, batch):\n"
        "        assert not self.seen & set(batch.sample_ids) and not batch.labeled.any()\n"
        "        return torch.full((len(batch.outputs), len(batch.sample_ids)), 1 / len(batch.outputs))\n"
    )
    facts = results.as_json(
        audit_of(context(LABELS, "strategy=python:mine.py:Watchful"), parts(registry, "mean"))
    )
    own, mean = facts["strategies"]
    assert (own["cross_fitted"], mean["cross_fitted"]) == (True, False)
    assert own["score"] == mean["score"], "the same weights, whatever the fold"


def test_audit_repeats_bit_for_bit_and_loads_no_teacher_again(
    context: Contexts, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = audited(context(LABELS), parts(registry))

    def loaded(*_: object) -> None:
        raise AssertionError("a teacher was loaded")

    monkeypatch.setattr(teachers_module, "load_teacher", loaded)
    assert audited(context(LABELS), parts(registry)) == first


def test_few_labels_are_refused_and_failing_strategy_is_reported(
    context: Contexts, registry: Registry
) -> None:
    with pytest.raises(DataError, match="needs 10 labeled validation samples"):
        audit_of(context("data.labels=30"), parts(registry))
    Path("bad.py").write_text("class Bad:\n    def weights(self, batch):\n        return 1 / 0\n")
    facts = audited(context(LABELS, "strategy=python:bad.py:Bad"), parts(registry, "mean"))
    assert "ZeroDivisionError" in facts["not_measured"]["python:bad.py:Bad"]
    assert facts["recommended"] == "mean"


def test_teachers_are_measured_on_the_classes_that_they_know(context: Contexts, registry: Registry) -> None:
    names = [str(number) for number in range(10)]
    from mtkd_cli.interfaces import ModelRequest
    from mtkd_cli.safe_loading import weights
    from mtkd_teachers.mlp import MlpProvider

    for name, count in (("low", 6), ("high", 6)):
        net = MlpProvider().build(ModelRequest("8", 1, 8, count, pretrained=False))
        weights.write(Path(f"{name}.safetensors"), net.module.state_dict())
    facts = results.as_json(
        audit_of(
            context(
                LABELS,
                "teachers=["
                f"{{model: 'mlp:8', name: low, checkpoint: low.safetensors, classes: {names[:6]}}}, "
                f"{{model: 'mlp:8', name: high, checkpoint: high.safetensors, classes: {names[4:]}}}]",
            ),
            parts(registry),
        )
    )
    low = by_name(facts["teachers"])["low"]
    assert [c["samples"] > 0 for c in low["classes"]] == [number < 6 for number in range(10)]
    assert low["on_every_label"]["value"] < low["score"]["value"]
    assert facts["oracle"]["value"] >= low["on_every_label"]["value"]
    assert "needs teachers that know every class" in facts["not_measured"]["median"]
    assert facts["pairs"][0]["agreement"] is not None


def test_audit_of_regression(context: Contexts, registry: Registry) -> None:
    found = strategies_for("regression", registry, "test")
    facts = audited(context("fit.epochs=2", recipe="diabetes"), found)
    assert (facts["metric"], facts["higher_is_better"]) == ("rmse", False)
    assert facts["oracle"]["value"] <= min(t["score"]["value"] for t in facts["teachers"])
    assert facts["recommended"] in by_name(facts["strategies"])
