"""Whether a call touches the global random generators."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from mtkd_cli.testing.broken import require


@contextmanager
def untouched(who: str) -> Iterator[None]:
    """Raise BrokenRuleError if what is inside touches a global generator."""
    before = _states()
    yield
    for library, old, new in zip(("torch", "numpy", "random"), before, _states(), strict=True):
        rule = "no global random state is touched"
        require(old == new, who, rule, f"it uses {library}'s; draw with batch.random(name, shape)")


def _states() -> tuple[object, object, object]:
    kind, keys, *rest = np.random.get_state()
    return (
        torch.get_rng_state().numpy().tobytes(),
        (kind, np.asarray(keys).tobytes(), *rest),
        random.getstate(),
    )
