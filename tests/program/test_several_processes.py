"""Several processes train like one process with the same batches."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.distributed import group, signals
from mtkd_cli.distributed.gradients import sum_gradients
from mtkd_cli.errors import DataError, EngineError, UsageError
from mtkd_cli.interfaces import InputSpec, LossOptions, Samples, Task, TaskData
from mtkd_cli.plugin.registry import load_registry
from mtkd_cli.recipe.resolve import Part
from mtkd_cli.recipe.schema import Augment, Train
from mtkd_cli.store import content_store
from mtkd_cli.store.shared import fill_once_together
from mtkd_cli.teachers.recording import require_disk_space
from mtkd_cli.training import evaluation
from mtkd_cli.training.checkpointing import Checkpointer
from mtkd_cli.training.loop import (
    Losses,
    Step,
    require_minimum_batch,
    shuffled_batches,
    steps_per_epoch,
    train,
)
from mtkd_cli.training.objectives import Batches, FromTeachers
from mtkd_cli.training.strategy import Strategy
from mtkd_cli.training.training_data import TrainingData
from mtkd_tasks.classification import Classification
from mtkd_tasks.segmentation import Segmentation
from tests.program.several import together

SAMPLES, CLASSES, SIDE = 26, 3, 4
SETTINGS = Train(epochs=2, batch_size=10, lr=(0.05,), weight_decay=(0.01,), clip=0.5)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def problem(dense: bool) -> tuple[Task, Split, nn.Module, tuple[Tensor, ...]]:
    """Return a task, samples of which some are labelled, a student, and two teachers' answers."""
    place = (SIDE, SIDE) if dense else ()
    data = TaskData(tuple("abc"), np.zeros(1, dtype=np.int64), InputSpec(size=SIDE))
    task: Task = (Segmentation if dense else Classification)(data, LossOptions())
    targets = drawn(SAMPLES, *place, seed=0).sign().long()  # -1: unlabeled
    inputs = np.zeros((SAMPLES, 1, SIDE, SIDE), np.uint8)
    samples = Samples(tuple(f"s{i}" for i in range(SAMPLES)), inputs, targets.numpy(), {})
    torch.manual_seed(1)
    student = (
        nn.Sequential(nn.Conv2d(1, 5, 3, padding=1), nn.Tanh(), nn.Conv2d(5, CLASSES, 1))
        if dense
        else nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 5), nn.Tanh(), nn.Linear(5, CLASSES))
    )
    teachers = tuple(3 * drawn(SAMPLES, CLASSES, *place, seed=seed) for seed in (2, 3))
    return task, Split("train", samples, "digest"), student, teachers


def trained(dense: bool, strategy: str, place: Path, stop_at: int | None = None) -> dict[str, Any]:
    """Train in float64 for two epochs, or until the last process gets a signal; return weights and rows."""
    torch.set_default_dtype(torch.float64)
    Tensor.float = Tensor.double  # type: ignore[method-assign]
    task, split, student, teachers = problem(dense)
    inputs = drawn(SAMPLES, 1, SIDE, SIDE, seed=4)
    targets = torch.from_numpy(split.samples.targets)

    def validated(module: nn.Module) -> evaluation.Evaluation:
        return evaluation.judge(
            module, evaluation.measure(lambda rows: module(inputs[rows]), split, task), task
        )

    found = load_registry().find("strategies", strategy)
    part = Part(found.spec, found.plugin, {o.name: o.default for o in found.spec.options}, found.spec.load)
    about = Batches(task, split, ("a", "b"), (None, None), 2.0, seed=0)
    merging = Strategy(part)
    merging.fit(about(teachers, np.arange(SAMPLES), targets))
    # plain labels in the first epoch, mixed ones in the second
    augment = Augment(mixup=1.0, cutmix=1.0)
    data = Data(task, split, np.arange(SAMPLES), 2, 0, augment, torch.device("cpu"), inputs, tuple(teachers))
    objective = FromTeachers(data, merging, about, 2.0, 0.7)
    watcher = Watcher(stop_at if group.rank() + 1 == group.size() else None)
    with signals.handle():
        try:
            curve = _train(student, data, objective, validated, watcher, Checkpointer(place, print))
        except signals.Interrupted:
            curve = ()
    return {"weights": student.state_dict(), "curve": curve, "steps": watcher.steps}


@dataclass(frozen=True)
class Data(TrainingData):
    """Fixed views, and the outputs of teachers on them."""

    inputs: Tensor
    teachers: tuple[Tensor, ...]

    def with_views(self, steps: Iterable[Step]) -> Iterator[Step]:
        return (replace(step, views=self.inputs[step.indices]) for step in steps)

    def teacher_outputs(self, step: Step) -> tuple[Tensor, ...]:
        return tuple(teacher[step.indices] for teacher in self.teachers)


@dataclass
class Watcher:
    """Counts steps, and sends its process a signal after one of them."""

    stop_at: int | None
    steps: int = 0

    def on_start(self, done: int, curve: list[dict[str, float]]) -> None:
        pass

    def on_evaluation(self, row: dict[str, float]) -> None:
        pass

    def on_step(self, step: Step, losses: Losses) -> None:
        self.steps += 1
        if step.number == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)


def _train(
    student: nn.Module,
    data: TrainingData,
    objective: Any,
    validated: Any,
    watcher: Watcher,
    keeper: Checkpointer,
) -> tuple[dict[str, float], ...]:
    return train(
        student,
        data,
        objective,
        validated,
        SETTINGS,
        steps=6,
        evaluate_every=2,
        listener=watcher,
        checkpointer=keeper,
    ).curve


@pytest.mark.parametrize("strategy", ["confidence", "drop"])
@pytest.mark.parametrize("dense", [False, True], ids=["classification", "segmentation"])
def test_several_processes_train_like_one(dense: bool, strategy: str, tmp_path: Path) -> None:
    """In float64, to rounding: weights, losses, scores, teachers' weights; also with random strategies."""

    def work() -> dict[str, Any]:
        return trained(dense, strategy, tmp_path / "kept")

    (alone,) = together(lambda: trained(dense, strategy, tmp_path / "alone"), 1, tmp_path)
    found = together(work, 2, tmp_path)
    for each in found:
        for name, weight in alone["weights"].items():
            torch.testing.assert_close(each["weights"][name], weight, rtol=1e-9, atol=1e-12)
        for row, expected in zip(each["curve"], alone["curve"], strict=True):
            assert row == pytest.approx(expected, rel=1e-6)


def test_signal_to_one_of_three_stops_all_and_resumes_bit_identically(
    tmp_path: Path,
) -> None:
    """Three: from there on it matters in which order numbers are added up."""
    whole = together(lambda: trained(False, "confidence", tmp_path / "whole"), 3, tmp_path)
    stopped = together(lambda: trained(False, "confidence", tmp_path / "kept", stop_at=2), 3, tmp_path)
    assert len({each["steps"] for each in stopped}) == 1
    assert stopped[0]["steps"] in (3, 4)
    gone_on = together(lambda: trained(False, "confidence", tmp_path / "kept"), 3, tmp_path)
    assert gone_on[0]["steps"] + stopped[0]["steps"] == 6
    for each in whole + gone_on:
        assert each["curve"] == whole[0]["curve"]
        assert all(torch.equal(each["weights"][name], w) for name, w in whole[0]["weights"].items())


@pytest.mark.parametrize(("began", "then"), [(2, 1), (3, 2), (1, 3)])
def test_goes_on_in_another_number_to_rounding(began: int, then: int, tmp_path: Path) -> None:
    """In float64; the batches are those of the first number."""

    def work(stop_at: int | None = None) -> Callable[[], dict[str, Any]]:
        def train_on() -> dict[str, Any]:
            with group.began_with(began):
                return trained(False, "confidence", tmp_path / "kept", stop_at)

        return train_on

    (whole, *_) = together(lambda: trained(False, "confidence", tmp_path / "whole"), began, tmp_path)
    (stopped, *_) = together(work(stop_at=2), began, tmp_path)
    for each in together(work(), then, tmp_path):
        assert each["steps"] + stopped["steps"] == whole["steps"] == 6
        for name, weight in whole["weights"].items():
            torch.testing.assert_close(each["weights"][name], weight, rtol=1e-9, atol=1e-12)
        for row, expected in zip(each["curve"], whole["curve"], strict=True):
            assert row == pytest.approx(expected, rel=1e-6)


def test_batches_are_those_of_the_number_that_a_run_began_with(tmp_path: Path) -> None:
    assert steps_per_epoch(23, 10) == 3
    with group.began_with(2):
        assert steps_per_epoch(23, 10) == 2
        assert steps_per_epoch(24, 10) == 3
        require_minimum_batch(24, 10, processes=2)
        with pytest.raises(UsageError, match="3 processes need at least 6 samples per batch, but it has 4"):
            require_minimum_batch(24, 10, processes=3)
    assert steps_per_epoch(23, 10) == 3


def test_sum_gradients_keeps_first_buffers_and_missing_gradients(tmp_path: Path) -> None:
    def work() -> Any:
        module = nn.ModuleDict({"used": nn.Linear(2, 1), "some": nn.Linear(2, 1), "not": nn.Linear(2, 1)})
        module.register_buffer("seen", torch.tensor([float(group.rank()), 7.0]))
        ones, rank = torch.ones(1, 2), group.rank()
        loss = module["used"](ones) * (rank + 1) + (module["some"](ones) if rank else 0)
        loss.sum().backward()
        return (
            sum_gradients(module, (1.0, rank)),
            {n: p.grad for n, p in module.named_parameters()},
            module.seen,
        )

    for values, gradients, seen in together(work, 2, tmp_path):
        assert values == [2.0, 1.0]
        assert gradients["used.weight"].tolist() == [[3.0, 3.0]]
        assert gradients["some.bias"].tolist() == [1.0]
        assert gradients["not.weight"] is None
        assert seen.tolist() == [0.0, 7.0]


def test_keep_together_writes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_STORE", str(tmp_path / "store"))

    def work() -> tuple[str, list[int]]:
        made = []

        for _ in range(2):
            with fill_once_together("fitted", {"a": 1}) as empty:
                if empty is not None:
                    made.extend(group.gather(group.rank()))
                    (empty / "by").write_text(str(group.rank()))
        return (content_store.folder_of("fitted", {"a": 1}) / "by").read_text(), made

    assert together(work, 2, tmp_path) == [("0", [0, 1])] * 2


def test_rejects_different_store(tmp_path: Path) -> None:
    def work() -> tuple[str, bool]:
        os.environ["MTKD_STORE"] = str(tmp_path / f"store-{group.rank()}")
        try:
            with fill_once_together("fitted", {"a": 1}):
                pass
            return "", content_store.folder_of("fitted", {"a": 1}).is_dir()
        except DataError as error:
            return error.what, False

    first, other = together(work, 2, tmp_path)
    assert first == ("", True)
    assert other == ("the results of the first process of this run are missing", False)


def test_only_writing_process_checks_free_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_STORE", str(tmp_path))

    def work() -> str:
        try:
            require_disk_space(2**62)
        except DataError as error:
            return error.what
        return ""

    first, other = together(work, 2, tmp_path)
    assert "bytes, " in first
    assert not other


def test_first_then_others_runs_first_process_first(tmp_path: Path) -> None:
    def work() -> bool:
        def look() -> bool:
            if group.is_first():
                time.sleep(0.2)
                (tmp_path / "made").touch()
            return (tmp_path / "made").exists()

        return group.first_then_others(look)

    assert together(work, 2, tmp_path) == [True, True]


def test_splits_batches_with_at_least_two_samples_each(tmp_path: Path) -> None:
    def work() -> list[tuple[int, int]]:
        batches = shuffled_batches(23, 10, seed=0)
        sizes = [len(next(batches)[1]) for _ in range(steps_per_epoch(23, 10))]
        return [(size, len(range(size)[group.own_slice(size)])) for size in sizes]

    assert together(work, 2, tmp_path) == [[(10, 5), (13, 6)], [(10, 5), (13, 7)]]

    def too_small() -> str:
        try:
            trained(False, "mean", tmp_path / "none")
        except UsageError as error:
            return error.what
        return ""

    (told, *_) = together(too_small, 6, tmp_path)
    assert told == "6 processes need at least 12 samples per batch, but it has 10"


def test_collective_reports_ended_process(tmp_path: Path) -> None:
    def work() -> str:
        if group.rank():
            return ""
        try:
            while True:
                group.gather(None)
        except EngineError as error:
            return error.what

    first, _ = together(work, 2, tmp_path)
    assert first == "another process of this run has ended"


def test_forwarded_signal_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for launcher, ends in ((True, signals.Interrupted), (False, KeyboardInterrupt)):
        if launcher:
            monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
        else:
            monkeypatch.delenv("TORCHELASTIC_RUN_ID")
        with pytest.raises(KeyboardInterrupt) as caught, signals.handle(), signals.defer():
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
        assert caught.type is ends
