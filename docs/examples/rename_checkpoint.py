"""Rename a checkpoint's keys to those of a timm model of the same architecture.

    python rename_checkpoint.py FILE TIMM_MODEL OUT.safetensors

Some projects publish weights of an architecture that timm has too, with the same tensors in the
same order under other names. This pairs them in order and refuses as soon as two shapes differ.
Equal shapes are no proof: check the renamed teacher's score with ``mtkd distill``, whose table
has one row for each teacher.
"""

from __future__ import annotations

import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file in their order, without running code from it."""
    if path.suffix == ".safetensors":
        raise SystemExit("a .safetensors file keeps no order: give the original .pt or .pth file")
    found = torch.load(path, map_location="cpu", weights_only=True)
    return dict(found.get("state_dict", found))


def is_counter(tensor: Tensor) -> bool:
    """Whether it is BatchNorm's counter of steps: older files have none, and a teacher needs none."""
    return tensor.dim() == 0 and not tensor.is_floating_point()


def rename(tensors: dict[str, Tensor], model: str) -> dict[str, Tensor]:
    """Return the tensors under the names of the timm model's, paired in order."""
    theirs = [(name, tensor) for name, tensor in tensors.items() if not is_counter(tensor)]
    own = timm.create_model(model).state_dict()
    ours = [(name, tensor) for name, tensor in own.items() if not is_counter(tensor)]
    for (theirs_name, tensor), (ours_name, like) in zip(theirs, ours, strict=False):
        if tensor.shape != like.shape:
            raise SystemExit(
                f"{theirs_name} {tuple(tensor.shape)} is not {ours_name} {tuple(like.shape)}: "
                f"the file is not a {model}, or its tensors are in another order"
            )
    if len(theirs) != len(ours):
        raise SystemExit(f"the file has {len(theirs)} tensors, timm's {model} has {len(ours)}")
    return {name: tensor.contiguous() for (name, _), (_, tensor) in zip(ours, theirs, strict=True)}


def main(arguments: list[str]) -> None:
    """Read, rename, write, and read again as a check."""
    if len(arguments) != 3:
        raise SystemExit(__doc__)
    source, model, target = Path(arguments[0]), arguments[1], Path(arguments[2])
    renamed = rename(read(source), model)
    save_file(renamed, target)
    timm.create_model(model).load_state_dict(load_file(target), strict=False)
    print(f"{target}: {len(renamed)} tensors, named as timm's {model}")


if __name__ == "__main__":
    main(sys.argv[1:])
