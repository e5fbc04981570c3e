"""Registered losses: the tasks and options that offer them, and what their flags change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from mtkd_cli.errors import RecipeError, UsageError
from mtkd_cli.interfaces import Merged
from mtkd_cli.losses import DistillationLoss, loss_to_teachers, registered_loss
from mtkd_cli.plugin.registry import Registry, load_registry
from mtkd_cli.recipe.former_keys import former_keys
from mtkd_cli.recipe.reader import read
from mtkd_cli.recipe.resolve import resolve
from mtkd_cli.specs import LossSpec
from mtkd_cli.testing import BrokenRuleError, check_loss
from mtkd_cli.testing.plugin import check

if TYPE_CHECKING:
    from tests.conftest import PluginWriter

LOSS = """
@hookimpl
def mtkd_register_losses():
    scale = Option("scale", float, 2.0, "factor", minimum=0)
    return [LossSpec("{name}", "One line.", "{module}:absolute", tasks=("classification",), options=(scale,))]

def absolute(student, teacher, temperature, scale):
    return scale * (student - teacher).abs().mean(dim=1)
"""


def logits(seed: int) -> Tensor:
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def registry_with_l1(plugin: PluginWriter) -> Registry:
    """The built-in plugins and a third-party loss whose name is not a Python identifier."""
    plugin("mine", LOSS.format(name="l-1", module="mine_0"))
    return load_registry()


def test_third_party_loss_needs_one_file(registry_with_l1: Registry) -> None:
    recipe, _ = read("digits", ["task={name: classification, kd: l-1, l_1_scale: 3}"], registry_with_l1)
    parts = resolve(recipe, registry_with_l1, "digits")
    assert parts.task.options["l_1_scale"] == 3
    loss = registered_loss(parts.task.options["kd"], "classification", parts.task.options)
    expected = 3 * (logits(0) - logits(1)).abs().mean(dim=1)
    torch.testing.assert_close(loss.distance(logits(0), logits(1), 1.0), expected)


def test_only_supported_tasks_offer_a_loss(registry_with_l1: Registry) -> None:
    for task, offered in (("classification", True), ("segmentation", False), ("regression", False)):
        options = {option.name: option for option in registry_with_l1.find("tasks", task).spec.options}
        assert ("l_1_scale" in options) == offered
        assert ("kd" in options and "l-1" in options["kd"].choices) == offered
    with pytest.raises(UsageError, match="does not support the task 'segmentation'"):
        registered_loss("l-1", "segmentation", {})


def test_built_in_loss_keeps_its_name(plugin: PluginWriter) -> None:
    plugin("other", LOSS.format(name="kl", module="other_0"))
    (kd,) = [o for o in load_registry().find("tasks", "classification").spec.options if o.name == "kd"]
    assert {"kl", "other:kl"} <= set(kd.choices)
    assert registered_loss("kl", "classification", {}).to_mixture
    assert not registered_loss("other:kl", "classification", {}).to_mixture


def test_unknown_loss_and_invalid_option_are_refused(registry: Registry) -> None:
    with pytest.raises(RecipeError) as found:
        resolve(
            read("digits", ["task={name: classification, kd: kll, dkd_beta: -1}"], registry)[0], registry, "r"
        )
    assert [problem.where for problem in found.value.problems] == ["r: task.kd", "r: task.dkd_beta"]


def test_former_key_works_with_a_warning(registry: Registry) -> None:
    recipe, _ = read("digits", ["task={name: classification, standardise: true}"], registry)
    parts = resolve(recipe, registry, "digits")
    assert parts.task.options["standardize"] is True
    assert former_keys(parts) == ["task.standardise is now called standardize; the former key still works"]
    both, _ = read("digits", ["task={name: classification, standardise: true, standardize: true}"], registry)
    with pytest.raises(RecipeError) as found:
        resolve(both, registry, "digits")
    assert [problem.what for problem in found.value.problems] == ["standardize is set twice"]


def test_weighted_loss_sums_teachers_over_their_known_classes() -> None:
    def squared(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        q, p = (torch.softmax(side, dim=1) for side in (student, teacher))
        return (q - p).square().sum(dim=1)

    student, first, second = logits(0), logits(1), logits(2)
    known = torch.tensor([[True, True, False, True, True], [True] * 5])
    merged = Merged((first, second), torch.tensor([[0.25], [0.75]]).expand(2, 6), known=known)
    there = known[0]
    first = first.clone()
    first[:, ~there] = -1e9
    merged = Merged((first, second), merged.weights, known=known)
    found = loss_to_teachers(DistillationLoss(squared, any_label_space=True), student, merged, 1.0)
    parts = [(student[:, there], first[:, there]), (student, second)]
    expected = sum(w * squared(q, p, 1.0) for w, (q, p) in zip((0.25, 0.75), parts, strict=True))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", load_registry().names("losses"))
def test_built_in_losses_pass_the_check(name: str) -> None:
    assert "logits of" in check(load_registry().find("losses", name).spec)


@pytest.mark.parametrize(
    ("distance", "rule"),
    [
        (lambda s, t, _: (s - t).square().mean(), "one value per element"),
        (lambda s, t, _: (s - t).detach().square().sum(1) + 0 * s.sum(1), "have a gradient"),
        (lambda s, t, _: (s - 2 * t).square().mean(1), "equal to the teacher"),
        (lambda s, t, _: (s.exp() - t.exp()).square().mean(1), "extreme logits"),
    ],
)
def test_check_names_the_broken_rule(distance: object, rule: str) -> None:
    with pytest.raises(BrokenRuleError, match=rule):
        check_loss(distance, LossSpec("odd", "One line.", "m:f", tasks=("classification",)))  # type: ignore[arg-type]


def test_documented_example_sums_both_divergences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs/plugins/mtkd-example-loss"))
    import mtkd_example_loss  # type: ignore[import-not-found]

    (spec,) = mtkd_example_loss.mtkd_register_losses()
    check(spec)
    p, q = (torch.softmax(logits(seed) / 2, dim=1) for seed in (1, 0))
    one, other = ((a * (a / b).log()).sum(dim=1) for a, b in ((p, q), (q, p)))
    found = mtkd_example_loss.two_way(logits(0), logits(1), 2.0, 0.3)
    torch.testing.assert_close(found, 4 * (0.7 * one + 0.3 * other))
