"""Mixed views: mixup (Zhang et al., ICLR 2018) and cutmix (Yun et al., ICCV 2019), drawn from counters.

A mixed view is a function of the views' seed, the number of the view, and the ids of a sample and its
partner. Teachers answer the mixed image (Beyer et al., CVPR 2022).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.data import rectangles
from mtkd_cli.recipe.augment import Augment


@lru_cache(maxsize=8)
def partners(count: int, seed: int, number: int) -> NDArray[np.int64]:
    """Return the partner of each of ``count`` samples in a view, ``[count]``: its neighbor in a random ring.

    Every sample is the partner of one other, and of itself only if there is no other.
    """
    ring = counter_rng.permutation(count, "partners", seed, number)
    found = np.empty(count, dtype=np.int64)
    found[ring] = np.roll(ring, -1)
    found.setflags(write=False)
    return found


def own_share(
    samples: NDArray[np.uint64], number: int, seed: int, augment: Augment, sides: tuple[int, ...]
) -> Tensor:
    """Return the share of the sample in each pixel of its mixed view, ``[B, H, W]``; of a table row, ``[B]``.

    The rest is its partner's. With mixup and cutmix, each sample gets one of them at random.

    Args:
        samples: ``[B]``, id numbers of the samples, without partners.
        number: number of the view.
        seed: seed of the views.
        augment: the augmentation; ``mixup`` and ``cutmix`` are the parameters a of Beta(a, a).
        sides: height and width of the views; ``()`` for rows of a table.
    """
    draws = counter_rng.uniform(samples, 4, "mix", seed, number).astype(np.float64)
    is_cut = draws[:, 1] < (0.5 if augment.mixup and augment.cutmix else float(augment.cutmix > 0))
    share = np.where(is_cut, _beta(draws[:, 0], augment.cutmix), _beta(draws[:, 0], augment.mixup))
    if not sides:
        return torch.from_numpy(share.astype(np.float32))
    height, width = sides
    from_partner = rectangles.fill(rectangles.cut(draws[:, 2:], 1 - share, height, width), height, width)
    # [B] -> [B, H, W]
    pixels = np.where(is_cut[:, None, None], ~from_partner, share[:, None, None])
    return torch.from_numpy(pixels.astype(np.float32))


def mix(pairs: Tensor, share: Tensor) -> Tensor:
    """Return the mixed views of ``[2 B, *]``, the views of the samples followed by those of their partners.

    Args:
        pairs: ``[2 B, C, H, W]``, or rows of a table ``[2 B, F]``.
        share: see `own_share`.
    """
    own, others = pairs.chunk(2)
    share = share.to(pairs).unsqueeze(1)  # [B, 1, H, W] or [B, 1]
    mixed = share * own + (1 - share) * others
    return mixed.clamp_(0, 1) if pairs.dim() == 4 else mixed


def _beta(uniform: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """Return numbers with the distribution Beta(a, a) from uniform ones; 1 if ``a`` is 0."""
    from scipy.special import betaincinv

    return np.asarray(betaincinv(a, a, uniform)) if a else np.ones_like(uniform)
