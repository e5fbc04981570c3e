"""A training that was stopped goes on to the same bits, wherever it was stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtkd_cli.errors import DataError
from mtkd_cli.recipe.schema import Train
from mtkd_cli.training import checkpointing as keeping
from mtkd_cli.training.checkpointing import Keeper
from mtkd_cli.training.evaluation import reestimated
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
class Watched:
    """Keeps the numbers of the steps that it is told of, and the rows that a training begins with."""

    steps: list[int] = field(default_factory=list)
    before: list[dict[str, float]] = field(default_factory=list)

    def began(self, done: int, curve: list[dict[str, float]]) -> None:
        self.before = list(curve)

    def stepped(self, step: Step, losses: Losses) -> None:
        self.steps.append(step.number)

    def evaluated(self, row: dict[str, float]) -> None:
        pass


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 2))


class Data:
    """Twenty samples, the same in every epoch."""

    def __len__(self) -> int:
        return len(INPUTS)

    def views(self, step: Step) -> Tensor:
        return INPUTS[step.indices]


class StoppedError(Exception):
    """What a test throws at a training."""


def validate(module: nn.Module) -> Evaluation:
    twin = reestimated(module, [INPUTS])
    with torch.no_grad():
        loss = nn.functional.cross_entropy(twin(INPUTS), TARGETS).item()
    losses = nn.functional.cross_entropy(twin(INPUTS), TARGETS, reduction="none").detach().double().numpy()
    return Evaluation(Measurement(-loss, loss, losses, loss + 1), {"loss": loss}, twin)


def run(
    stop_at: int | None = None, place: str = "", every: int = 2, **options: Any
) -> tuple[Trained, Watched, Any]:
    """Train; end with an error at a step."""
    module = network()
    watched = Watched()

    def objective(output: Tensor, step: Step) -> Losses:
        if step.number == stop_at:
            raise StoppedError
        return Losses(nn.functional.cross_entropy(output, TARGETS[step.indices]))

    settings = Train(**{"lr": (0.05,), "weight_decay": (0.01,), "batch_size": 6, **options})
    keeper = Keeper(Path(place), print) if place else None
    trained = train(module, Data(), objective, validate, settings, STEPS, every, watched, keeper)
    return trained, watched, module


def assert_same(first: tuple[Trained, Watched, Any], second: tuple[Trained, Watched, Any]) -> None:
    assert first[0].curve == second[0].curve
    kept, other_kept = first[0].selection, second[0].selection
    assert (kept.top.score, kept.chosen.score) == (other_kept.top.score, other_kept.chosen.score)
    assert (kept.top.step, kept.chosen.step) == (other_kept.top.step, other_kept.chosen.step)
    for one, other in ((first[2], second[2]), (first[0].best.module, second[0].best.module)):
        for name, tensor in one.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name]), name


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "TIMES_ITS_COST", 0.0)


@pytest.mark.parametrize("options", OPTIONS)
def test_stopped_at_any_step_and_again_the_bits_are_the_same(options: dict[str, Any]) -> None:
    """Weights, BatchNorm buffers, the best evaluation and the curve."""
    whole = run(**options)
    for first in range(0, STEPS, 3):
        for second in range(first, STEPS, 4):
            place = f"kept-{first}-{second}"
            for stop in (first, second):
                with pytest.raises(StoppedError):
                    run(stop, place, **options)
            resumed = run(None, place, **options)
            assert_same(whole, resumed)
            assert len(resumed[1].steps) == STEPS - second // 2 * 2


def test_the_optimizer_is_the_same_too() -> None:
    run(place="whole")
    with pytest.raises(StoppedError):
        run(7, "stopped")
    run(None, "stopped")
    kept = [
        next(Path(place).glob("step-*/tensors.safetensors")).read_bytes() for place in ("whole", "stopped")
    ]
    assert kept[0] == kept[1]


def test_a_training_that_is_done_is_not_repeated() -> None:
    first = run(place="kept")
    again = run(place="kept")
    assert not again[1].steps
    assert_same(first, again)
    assert [path.name for path in Path("kept").iterdir()] == ["step-000000012"]


def test_a_training_in_the_middle_of_an_epoch_is_kept_every_few_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "EVERY_SECONDS", 0.0)
    with pytest.raises(StoppedError):
        run(5, "kept", every=4)
    assert [path.name for path in sorted(Path("kept").iterdir())] == ["step-000000004", "step-000000005"]
    assert_same(run(every=4), run(None, "kept", every=4))


def test_checkpoints_are_written_no_more_often_than_they_are_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "TIMES_ITS_COST", 1e9)
    with pytest.raises(StoppedError):
        run(STEPS - 1, "kept")
    assert [path.name for path in Path("kept").iterdir()] == ["step-000000002"]


def test_a_damaged_checkpoint_is_said_and_set_aside(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StoppedError):
        run(9, "kept")
    (Path("kept") / "step-000000008" / "facts.json").write_text("{}")
    resumed = run(None, "kept")
    assert "step-000000008 is damaged" in capsys.readouterr().out
    assert resumed[1].steps[0] == 6
    assert [row["step"] for row in resumed[1].before] == [2, 4, 6]
    assert_same(run(), resumed)
    assert (Path("kept") / "damaged-step-000000008").is_dir()


def test_a_checkpoint_of_another_model_is_refused() -> None:
    run(place="kept")
    other = nn.Linear(3, 2)
    with pytest.raises(DataError, match="do not fit"):
        train(
            other,
            Data(),
            lambda output, step: Losses(output.sum()),
            validate,
            Train(lr=(0.1,), weight_decay=(0.0,)),
            STEPS,
            2,
            Watched(),
            Keeper(Path("kept"), print),
        )
