"""BatchNorm statistics are re-estimated on a copy; nothing else changes."""

import copy

import torch
from torch import Tensor, nn

from mtkd_cli.training.batchnorm_statistics import reestimated


def network(momentum: float | None = 0.1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=momentum), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2)
    )


def batches(n: int = 4, size: int = 32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return list((torch.randn(n * size, 3, generator=generator) * 3 + 5).split(size))


def test_the_statistics_are_the_means_of_the_batches() -> None:
    module, views = network(), batches()
    twin = reestimated(module, views)
    with torch.no_grad():
        seen = [module[0](batch) for batch in views]
    torch.testing.assert_close(twin[1].running_mean, torch.stack([s.mean(0) for s in seen]).mean(0))
    torch.testing.assert_close(twin[1].running_var, torch.stack([s.var(0) for s in seen]).mean(0))


def test_one_batch_gives_exactly_the_datas_statistics() -> None:
    module, views = network(), torch.cat(batches())
    twin = reestimated(module, [views])
    with torch.no_grad():
        seen = module[0](views)
    torch.testing.assert_close(twin[1].running_mean, seen.mean(0))
    torch.testing.assert_close(twin[1].running_var, seen.var(0))


def test_the_original_and_its_mode_are_left_as_they_are() -> None:
    module = network().train()
    before = copy.deepcopy(module.state_dict())
    twin = reestimated(module, batches())
    assert all(layer.training for layer in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert twin is not module


def test_the_copy_is_in_eval_mode_with_its_old_weights_and_momentum() -> None:
    module = network(momentum=0.01).train()
    twin = reestimated(module, batches())
    assert not any(layer.training for layer in twin.modules())
    assert twin[1].momentum == 0.01
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), twin.parameters(), strict=True))


def test_dropout_stays_off_while_statistics_are_gathered() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)).train()
    views = torch.ones(64, 3)
    twin = reestimated(module, [views])
    torch.testing.assert_close(twin[1].running_mean, torch.ones(3))
    torch.testing.assert_close(twin[1].running_var, torch.zeros(3))


def test_a_small_momentum_does_not_lag() -> None:
    """After ten steps with momentum 0.01 the running averages hold a tenth of the truth."""
    module = network(momentum=0.01).train()
    for batch in batches(10):
        module(batch)
    with torch.no_grad():
        truth = module[0](torch.cat(batches(10))).mean(0)
    lagging = (module[1].running_mean - truth).abs().max()
    fresh = (reestimated(module, batches(10))[1].running_mean - truth).abs().max()
    assert lagging > 0.5 * truth.abs().max()
    assert fresh < 1e-4


def test_a_momentum_of_none_is_kept() -> None:
    assert reestimated(network(momentum=None), batches())[1].momentum is None


def test_a_module_without_batchnorm_sees_no_data() -> None:
    def never() -> list[Tensor]:
        raise AssertionError("data was read")

    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False))
    twin = reestimated(module, (batch for batch in iter(never, None)))  # type: ignore[arg-type]
    assert not twin.training
