"""An interrupted training resumes with bit-identical results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtkd_cli.errors import DataError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training import checkpointing
from mtkd_cli.training.checkpointing import Checkpointer
from mtkd_cli.training.evaluation import reestimate_batchnorm
from mtkd_cli.training.loop import Evaluation, Losses, Step, Trained, train
from mtkd_cli.training.selection import Measurement

STEPS = 12
OPTIONS = [
    {},
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "momentum": 0.0},
    {"ema": 0.9},
    {"warmup": 0.5, "clip": 0.1},
]


INPUTS = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.randint(0, 2, (20,), generator=torch.Generator().manual_seed(1))


@dataclass
class RecordingListener:
    """Stores the numbers of the steps, and the rows with which the training begins."""

    steps: list[int] = field(default_factory=list)
    before: list[dict[str, float]] = field(default_factory=list)

    def on_start(self, done: int, curve: list[dict[str, float]]) -> None:
        self.before = list(curve)

    def on_step(self, step: Step, losses: Losses) -> None:
        self.steps.append(step.number)

    def on_evaluation(self, row: dict[str, float]) -> None:
        pass


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 2))


class Data:
    """Twenty samples, the same in every epoch."""

    def __len__(self) -> int:
        return len(INPUTS)

    def with_views(self, steps: Iterable[Step]) -> Iterator[Step]:
        return (replace(step, views=INPUTS[step.indices]) for step in steps)


class StoppedError(Exception):
    """Raised by a test to interrupt the training."""


def validate(module: nn.Module) -> Evaluation:
    copied = reestimate_batchnorm(module, [INPUTS])
    with torch.no_grad():
        loss = nn.functional.cross_entropy(copied(INPUTS), TARGETS).item()
    losses = nn.functional.cross_entropy(copied(INPUTS), TARGETS, reduction="none").detach().double().numpy()
    return Evaluation(Measurement(-loss, loss, losses, loss + 1), {"loss": loss}, copied)


def run(
    stop_at: int | None = None, folder: str = "", every: int = 2, **options: Any
) -> tuple[Trained, RecordingListener, Any]:
    """Train; raise StoppedError at step ``stop_at``."""
    module = network()
    listener = RecordingListener()

    def objective(output: Tensor, step: Step) -> Losses:
        if step.number == stop_at:
            raise StoppedError
        return Losses(nn.functional.cross_entropy(output, TARGETS[step.indices]))

    settings = Train(**{"lr": (0.05,), "weight_decay": (0.01,), "batch_size": 6, **options})
    checkpointer = Checkpointer(Path(folder), print) if folder else None
    trained = train(module, Data(), objective, validate, settings, STEPS, every, listener, checkpointer)
    return trained, listener, module


def assert_same(
    first: tuple[Trained, RecordingListener, Any], second: tuple[Trained, RecordingListener, Any]
) -> None:
    assert first[0].curve == second[0].curve
    one, other = first[0].selection, second[0].selection
    assert (one.top.score, one.chosen.score) == (other.top.score, other.chosen.score)
    assert (one.top.step, one.chosen.step) == (other.top.step, other.chosen.step)
    modules = (first[2], second[2]), (first[0].best.module, second[0].best.module)
    for module, expected in modules:
        for name, tensor in module.state_dict().items():
            assert torch.equal(tensor, expected.state_dict()[name]), name


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "MIN_INTERVAL_RATIO", 0.0)


@pytest.mark.parametrize("options", OPTIONS)
def test_resumed_training_is_bit_identical(options: dict[str, Any]) -> None:
    """Weights, BatchNorm buffers, the best evaluation and the curve, after two interruptions."""
    whole = run(**options)
    for first in range(0, STEPS, 3):
        for second in range(first, STEPS, 4):
            folder = f"kept-{first}-{second}"
            for stop in (first, second):
                with pytest.raises(StoppedError):
                    run(stop, folder, **options)
            resumed = run(None, folder, **options)
            assert_same(whole, resumed)
            assert len(resumed[1].steps) == STEPS - second // 2 * 2


def test_optimizer_state_is_restored() -> None:
    run(folder="whole")
    with pytest.raises(StoppedError):
        run(7, "stopped")
    run(None, "stopped")
    whole, stopped = (
        next(Path(folder).glob("step-*/tensors.safetensors")).read_bytes() for folder in ("whole", "stopped")
    )
    assert whole == stopped


def test_finished_training_is_not_repeated() -> None:
    first = run(folder="kept")
    again = run(folder="kept")
    assert not again[1].steps
    assert_same(first, again)
    assert [path.name for path in Path("kept").iterdir()] == ["step-000000012"]


def test_saves_within_long_epochs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpointing, "MAX_INTERVAL_SECONDS", 0.0)
    with pytest.raises(StoppedError):
        run(5, "kept", every=4)
    assert [path.name for path in sorted(Path("kept").iterdir())] == ["step-000000004", "step-000000005"]
    assert_same(run(every=4), run(None, "kept", every=4))


def test_limits_time_spent_on_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "MIN_INTERVAL_RATIO", 1e9)
    with pytest.raises(StoppedError):
        run(STEPS - 1, "kept")
    assert [path.name for path in Path("kept").iterdir()] == ["step-000000002"]


def test_reports_and_renames_damaged_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StoppedError):
        run(9, "kept")
    (Path("kept") / "step-000000008" / "facts.json").write_text("{}")
    resumed = run(None, "kept")
    assert "step-000000008 is damaged" in capsys.readouterr().out
    assert resumed[1].steps[0] == 6
    assert [row["step"] for row in resumed[1].before] == [2, 4, 6]
    assert_same(run(), resumed)
    assert (Path("kept") / "damaged-step-000000008").is_dir()


def test_rejects_checkpoint_of_another_model() -> None:
    run(folder="kept")
    other = nn.Linear(3, 2)
    with pytest.raises(DataError, match="do not fit"):
        train(
            other,
            Data(),
            lambda output, step: Losses(output.sum()),
            validate,
            Train(lr=(0.1,), weight_decay=(0.0,), batch_size=6),
            STEPS,
            2,
            RecordingListener(),
            Checkpointer(Path("kept"), print),
        )
