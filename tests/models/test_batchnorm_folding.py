"""BatchNorm is folded into the convolution before it, where that is exact."""

import torch
from torch import nn

from mtkd_cli.models.batchnorm_folding import fold_batchnorm


def test_folds_norms_by_data_flow() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.conv = nn.BatchNorm2d(4), nn.Conv2d(1, 4, 3)
            self.shared, self.alone = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            features = self.norm(self.conv(images)).relu()
            features = self.shared(self.shared(features))
            return self.alone(features * 2).mean((2, 3))

    torch.manual_seed(0)
    module = Odd()
    for norm in (module.norm, module.alone):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    images = torch.rand(3, 1, 8, 8)
    fast, difference = fold_batchnorm(module.eval(), images)
    assert isinstance(fast.norm, nn.Sequential)
    assert isinstance(fast.alone, nn.BatchNorm2d)
    torch.testing.assert_close(fast(images), module(images))
    assert difference < 1e-5


def test_does_not_fold_inexactly() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raw = self.conv(images)
            return (self.norm(raw) + raw).mean((2, 3))

    module = Both().eval()
    module.norm.running_var.fill_(4)
    assert fold_batchnorm(module, torch.rand(2, 1, 8, 8)) == (module, 0.0)
