"""The checks of tasks, providers, data sources, trackers and listings name what is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtkd_cli import pytest_plugin
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import (
    Columns,
    DataCache,
    InputSpec,
    Merged,
    Metric,
    Model,
    ModelRequest,
    Samples,
    SourceData,
    Task,
)
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.specs import AggregatorSpec, DataSpec, Spec, TaskSpec, TeacherSpec, TrackerSpec
from mtkd_cli.testing import BrokenRuleError, NotCheckedError, check, check_plugin
from mtkd_tasks.classification import Classification

HERE = ModuleType("checked_here")
sys.modules["checked_here"] = HERE


def checked(implementation: Any, spec: Callable[..., Spec], **more: Any) -> str:
    """Check a class under the name of a spec."""
    HERE.Mine = implementation  # type: ignore[attr-defined]
    return check(spec("mine", "One line.", "checked_here:Mine", **more))


class StrongerByK(Classification):
    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        return len(merged.outputs) * super().kd_loss(student_output, merged, temperature)


class Noisy(Classification):
    def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
        return super().task_loss(student_output, target) + 1


class LogOfZero(Classification):
    """0 times the log of 0, as in EBKD's reference code."""

    def uncertainty(self, outputs: Any) -> Tensor:
        probabilities = torch.stack([output.softmax(1) for output in outputs])
        return -(probabilities * probabilities.log()).sum(2) / 1.7


class WithoutPrimary(Classification):
    def metrics(self, statistics: Tensor) -> dict[str, float]:
        return dict(sorted(super().metrics(statistics).items(), reverse=True))


class WrongMean(Classification):
    primary = Metric("accuracy", mean_of=1)


class MoreColumns(Classification):
    columns = Columns(("right", "nll"))

    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        return Classification.columns.pack(**dict.fromkeys(Classification.columns.single, output[:, 0]))


class MixesLogits(Classification):
    def mix(self, merged: Merged) -> Tensor:
        return torch.stack(merged.outputs).sum(0)


class Reduced(Classification):
    def error(self, outputs: Any, target: Tensor) -> Tensor:
        return super().error(outputs, target)

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        return super().kd_loss(student_output, merged, temperature).mean()


@pytest.mark.parametrize(
    ("task", "rule"),
    [
        (StrongerByK, "K identical teachers give the gradient of one.* 3 times"),
        (Noisy, "the loss of a missing label is 0.*task_loss"),
        (LogOfZero, "finite.*extreme"),
        (WithoutPrimary, "the primary metric comes first"),
        (WrongMean, "Metric.mean_of names a column.*column 1"),
        (MoreColumns, "the 2 named columns"),
        (MixesLogits, "mixing two equal outputs"),
        (Reduced, "one result for each element.*kd_loss"),
    ],
)
def test_reports_broken_task_rule(task: type, rule: str) -> None:
    with pytest.raises(BrokenRuleError, match=rule):
        checked(task, TaskSpec)


def test_reports_missing_task_methods() -> None:
    class Half(Task):
        to_averageable, from_averageable = Classification.to_averageable, Classification.from_averageable

    rule = r"it is complete.*Half lacks the methods kd_loss\(\), metrics\(\), statistics\(\), task_loss\(\)"
    with pytest.raises(BrokenRuleError, match=rule):
        checked(Half, TaskSpec)


def test_skips_task_with_other_labels() -> None:
    class Boxes(Classification):
        def __init__(self, data: Any, loss: Any) -> None:
            raise ValueError("labels are boxes [N, M, 5]")

    with pytest.raises(NotCheckedError, match="labels are boxes"):
        checked(Boxes, TaskSpec)


def provider(module: nn.Module, **more: Any) -> Any:
    class Mine:
        def build(self, request: ModelRequest) -> Any:
            if request.model != "there":
                raise UsageError("no such model")
            return Model(module, InputSpec(), **more)

    return Mine


LINEAR = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5))


class Drawing(nn.Module):
    def forward(self, views: Tensor) -> Tensor:
        return LINEAR(views) + torch.rand(1)  # type: ignore[no-any-return]


class Anything:
    def build(self, request: ModelRequest) -> Model:
        return Model(LINEAR, InputSpec())


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (provider(Drawing()), "a model in eval mode is deterministic"),
        (provider(nn.Flatten(0)), "one output for each sample"),
        (provider(LINEAR, head="fc"), "head names a layer"),
        (provider(nn.Flatten()), "no trainable parameter; set trainable=False"),
        (Anything, "an unknown model is a UsageError or DataError.*builds a model"),
    ],
)
def test_reports_broken_provider_rule(made: type, rule: str) -> None:
    with pytest.raises(BrokenRuleError, match=rule):
        checked(made, TeacherSpec, example="mine:there")


def test_valid_provider_passes() -> None:
    assert checked(provider(LINEAR, head="1"), TeacherSpec, example="mine:there") == "mine:there"
    with pytest.raises(NotCheckedError, match="no such model"):
        checked(provider(LINEAR), TeacherSpec, example="mine:elsewhere")


PIXELS = np.zeros((4, 1, 8, 8), dtype=np.uint8)
GOOD = Samples(tuple("abcd"), PIXELS, np.array([0, 1, 0, -1]))


def source(**changes: Any) -> Any:
    class Mine:
        def load(self, cache: DataCache) -> SourceData:
            return SourceData(("no", "yes"), replace(GOOD, **changes))

    return Mine


class Drawn:
    def load(self, cache: DataCache) -> SourceData:
        pixels = np.random.default_rng().integers(0, 255, PIXELS.shape, dtype=np.uint8)
        return SourceData(("no", "yes"), replace(GOOD, inputs=pixels))


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (source(ids=tuple("abca")), "ids are unique"),
        (source(targets=np.array([0, 1])), "a row for each id.*4 ids, 2 labels"),
        (source(targets=np.array([0, 1, 2, 0])), "labels are class numbers.*0 to 2 of 2 classes"),
        (source(inputs=PIXELS / 255), "images are uint8"),
        (source(metadata={"folder": np.zeros(3)}), "a row for each id.*values of folder"),
        (Drawn, "loading twice returns the same"),
    ],
)
def test_reports_broken_data_rule(made: type, rule: str) -> None:
    assert checked(source(), DataSpec) == "loaded twice"
    with pytest.raises(BrokenRuleError, match=rule):
        checked(made, DataSpec)


class Quiet:
    def run_started(self, recipe: Any, folder: Path) -> None: ...

    def epoch_finished(self, row: Any) -> None: ...

    def run_finished(self, report: Any) -> None: ...


class Keeps(Quiet):
    def epoch_finished(self, row: Any) -> None:
        row["seen"] = True


class Raises(Quiet):
    def run_finished(self, report: Any) -> None:
        report["nothing"]


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (object, "run_started is missing"),
        (Keeps, "arguments are not changed"),
        (Raises, "it follows a run.*KeyError"),
    ],
)
def test_reports_broken_tracker_rule(made: type, rule: str) -> None:
    assert checked(Quiet, TrackerSpec) == "a short run"
    with pytest.raises(BrokenRuleError, match=rule):
        checked(made, TrackerSpec)


HOOKS = """
{imports}
from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import TrackerSpec

@hookimpl
def mtkd_register_trackers():
    return [TrackerSpec("mine", "One line.", "checked_here:Mine")]
"""


@pytest.mark.parametrize("imports", ["import torch", "import implementation_of_mine"])
def test_reports_import_of_implementation(
    imports: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = HOOKS.format(imports=imports).replace("checked_here", "implementation_of_mine")
    (tmp_path / "hooks_of_mine.py").write_text(text)
    (tmp_path / "implementation_of_mine.py").write_text("class Mine: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import hooks_of_mine  # type: ignore[import-not-found]

    with pytest.raises(BrokenRuleError, match=f"listing imports no implementation.*{imports.split()[1]}"):
        check_plugin(hooks_of_mine)
    for name in ("hooks_of_mine", "implementation_of_mine"):
        sys.modules.pop(name, None)


def test_checks_options(registry: Registry) -> None:
    route = registry.find("strategies", "route").spec
    with pytest.raises(NotCheckedError, match="by=… map=…"):
        check(route)
    assert "classification" in check(route, {"by": "source", "map": {"photo": "first"}})
    with pytest.raises(UsageError, match="unknown key 'tua'"):
        check(registry.find("strategies", "consensus").spec, {"tua": 1.0})


def test_reports_missing_implementation() -> None:
    with pytest.raises(BrokenRuleError, match=r"it can be imported.*no_such_module"):
        check(AggregatorSpec("mine", "One line.", "no_such_module:Mine"))


mtkd_check = pytest_plugin.mtkd_check


def test_fixture_checks_by_name(mtkd_check: Callable[..., Any]) -> None:
    (said,) = mtkd_check("consensus", tau=0.5)
    assert "classification" in said
    with pytest.raises(UsageError, match="no plugin offers 'consenus'") as caught:
        mtkd_check("consenus")
    assert caught.value.hint == "did you mean 'consensus'?"


def test_fixture_imports_lazily() -> None:
    script = "import sys, mtkd_cli.pytest_plugin; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
