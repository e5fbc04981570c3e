"""Record: run one teacher over the views it has not answered yet, and keep its raw outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mtkd_cli import store
from mtkd_cli.dataset import Split
from mtkd_cli.errors import DataError
from mtkd_cli.recipe import Recipe
from mtkd_cli.views import PLAIN, view

BATCH = 256
FP16_LIMIT = 65504.0


def key(teacher: Mapping[str, Any], split: Split, number: int, recipe: Recipe) -> dict[str, Any]:
    """Return everything that decides one recorded array: teacher, samples, view, precision."""
    policy = {} if number == PLAIN else {"seed": recipe.views.seed, **recipe.augment.model_dump(mode="json")}
    return {
        "teacher": dict(teacher),
        "samples": split.digest,
        "view": number,
        "policy": policy,
        "precision": recipe.store.precision,
    }


def record(
    name: str,
    module: nn.Module,
    array_key: Mapping[str, Any],
    split: Split,
    number: int,
    recipe: Recipe,
    device: torch.device | str,
    advance: Callable[[int], None],
) -> Path:
    """Record one view of one split, unless it is there; return its folder.

    Args:
        name: the teacher's, for messages.
        module: the teacher: views to raw outputs.
        array_key: see `key`.
        split: the samples.
        number: the view's.
        recipe: for the view policy and the precision.
        device: where the teacher runs.
        advance: told of each number of samples done.

    Raises:
        DataError: the teacher answers NaN or infinity; teacher and sample are named.

    """

    def write(folder: Path) -> None:
        dtype = np.float16 if recipe.store.precision == "fp16" else np.float32
        rows: np.memmap[Any, Any] | None = None
        for start in range(0, len(split), BATCH):
            part = slice(start, min(start + BATCH, len(split)))
            views = view(
                split.samples.inputs[part],
                split.id_numbers[part],
                number,
                recipe.views.seed,
                recipe.augment,
                device,
            )
            with torch.inference_mode():
                output = module(views).float().cpu().numpy()
            _refuse_non_finite(output, name, split.samples.ids[part])
            if rows is None:
                rows = np.lib.format.open_memmap(
                    folder / "outputs.npy", "w+", dtype, (len(split), *output.shape[1:])
                )
            rows[part] = np.clip(output, -FP16_LIMIT, FP16_LIMIT) if dtype is np.float16 else output
            advance(len(output))
        if rows is not None:
            rows.flush()

    return store.keep("outputs", array_key, write)


def read(folder: Path) -> NDArray[Any]:
    """Return a recorded array, memory-mapped."""
    rows: NDArray[Any] = np.load(folder / "outputs.npy", mmap_mode="r", allow_pickle=False)
    return rows


def _refuse_non_finite(output: NDArray[Any], name: str, ids: tuple[str, ...]) -> None:
    bad = np.flatnonzero(~np.isfinite(output).reshape(len(output), -1).all(axis=1))
    if len(bad):
        raise DataError(
            f"the teacher {name!r} answers NaN or infinity",
            where=f"sample {ids[bad[0]]}",
            hint="check its checkpoint and its input: mean and std",
        )
