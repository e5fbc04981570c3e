"""Check that code does not use the global random generators."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from mtkd_cli.testing.broken import require


@contextmanager
def check_untouched(who: str) -> Iterator[None]:
    """Check that the block does not use a global random generator.

    Args:
        who: the checked plugin, for the message.

    Raises:
        BrokenRuleError: the block changed the state of a global generator.
    """
    before = _states()
    yield
    for library, old, new in zip(("torch", "numpy", "random"), before, _states(), strict=True):
        rule = "no global random state is used"
        require(old == new, who, rule, f"it uses that of {library}; draw with batch.random(name, shape)")


def _states() -> tuple[object, object, object]:
    kind, keys, *rest = np.random.get_state()
    return (
        torch.get_rng_state().numpy().tobytes(),
        (kind, np.asarray(keys).tobytes(), *rest),
        random.getstate(),
    )
