"""Arrays of recorded outputs on disk."""

from __future__ import annotations

import numpy as np
import torch

from mtkd_cli.store import recorded_outputs
from mtkd_cli.store.row_format import Layout


def test_array_with_wider_class_numbers_is_recorded_again() -> None:
    """Earlier versions stored class numbers up to 65,535 in four bytes."""
    layout, key, samples = Layout((1000,), "fp16", top_k=3, kind="classes"), {"k": 1}, 5
    array = recorded_outputs.create(key, layout, samples)
    rows = layout.encode(torch.randn(samples, 1000, generator=torch.Generator().manual_seed(0)))
    recorded_outputs.write_shard(array, 0, rows, samples)
    assert recorded_outputs.find(key, samples) is not None
    former = np.dtype([("index", np.int32, (3,)), ("log_p", np.float16, (3,)), ("rest", np.float32)])
    np.save(array.folder / "outputs.npy", np.zeros(samples, dtype=former))
    assert recorded_outputs.find(key, samples) is None
    again = recorded_outputs.create(key, layout, samples)
    assert recorded_outputs.missing_shards(again, samples) == [0]
