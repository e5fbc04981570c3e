"""BatchNorm statistics are re-estimated on a copy; nothing else changes."""

import copy

import torch
from torch import Tensor, nn

from mtkd_cli.training.batchnorm_statistics import reestimate_batchnorm


def network(momentum: float | None = 0.1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=momentum), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2)
    )


def batches(n: int = 4, size: int = 32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return list((torch.randn(n * size, 3, generator=generator) * 3 + 5).split(size))


def test_statistics_are_means_over_batches() -> None:
    module, views = network(), batches()
    copied = reestimate_batchnorm(module, views)
    with torch.no_grad():
        seen = [module[0](batch) for batch in views]
    torch.testing.assert_close(copied[1].running_mean, torch.stack([s.mean(0) for s in seen]).mean(0))
    torch.testing.assert_close(copied[1].running_var, torch.stack([s.var(0) for s in seen]).mean(0))


def test_one_batch_gives_exact_statistics() -> None:
    module, views = network(), torch.cat(batches())
    copied = reestimate_batchnorm(module, [views])
    with torch.no_grad():
        seen = module[0](views)
    torch.testing.assert_close(copied[1].running_mean, seen.mean(0))
    torch.testing.assert_close(copied[1].running_var, seen.var(0))


def test_does_not_change_original_module() -> None:
    module = network().train()
    before = copy.deepcopy(module.state_dict())
    copied = reestimate_batchnorm(module, batches())
    assert all(layer.training for layer in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert copied is not module


def test_copy_keeps_weights_and_momentum_in_eval_mode() -> None:
    module = network(momentum=0.01).train()
    copied = reestimate_batchnorm(module, batches())
    assert not any(layer.training for layer in copied.modules())
    assert copied[1].momentum == 0.01
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), copied.parameters(), strict=True))


def test_keeps_dropout_off() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)).train()
    views = torch.ones(64, 3)
    copied = reestimate_batchnorm(module, [views])
    torch.testing.assert_close(copied[1].running_mean, torch.ones(3))
    torch.testing.assert_close(copied[1].running_var, torch.zeros(3))


def test_ignores_small_momentum() -> None:
    """After ten steps with momentum 0.01 the running averages are at a tenth of the true values."""
    module = network(momentum=0.01).train()
    for batch in batches(10):
        module(batch)
    with torch.no_grad():
        truth = module[0](torch.cat(batches(10))).mean(0)
    lagging = (module[1].running_mean - truth).abs().max()
    fresh = (reestimate_batchnorm(module, batches(10))[1].running_mean - truth).abs().max()
    assert lagging > 0.5 * truth.abs().max()
    assert fresh < 1e-4


def test_keeps_momentum_of_none() -> None:
    assert reestimate_batchnorm(network(momentum=None), batches())[1].momentum is None


def test_reads_no_data_without_batchnorm() -> None:
    def never() -> list[Tensor]:
        raise AssertionError("data was read")

    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False))
    copied = reestimate_batchnorm(module, (batch for batch in iter(never, None)))  # type: ignore[arg-type]
    assert not copied.training
