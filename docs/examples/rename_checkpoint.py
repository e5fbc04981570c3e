"""Rename a checkpoint's keys to those of a timm model of the same architecture.

    python rename_checkpoint.py FILE TIMM_MODEL OUT.safetensors

Some projects publish weights of an architecture that timm also has: the same tensors in the same
order, but with other names. This script renames them in order, and fails if any shape differs. Equal
shapes do not prove that the order is right: check the score of the renamed teacher in the table of
``mtkd distill``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file in order, without running code from the file."""
    if path.suffix == ".safetensors":
        raise SystemExit(
            "a .safetensors file does not store the order of tensors; pass the original .pt or .pth file"
        )
    found = torch.load(path, map_location="cpu", weights_only=True)
    return dict(found.get("state_dict", found))


def is_counter(tensor: Tensor) -> bool:
    """Whether a tensor is the step counter of BatchNorm; older files lack it, and teachers do not need it."""
    return tensor.dim() == 0 and not tensor.is_floating_point()


def rename(tensors: dict[str, Tensor], model: str) -> dict[str, Tensor]:
    """Return the tensors with the names of the timm model, matched by order.

    Raises:
        SystemExit: a shape or the number of tensors differs.
    """
    theirs = [(name, tensor) for name, tensor in tensors.items() if not is_counter(tensor)]
    own = timm.create_model(model).state_dict()
    ours = [(name, tensor) for name, tensor in own.items() if not is_counter(tensor)]
    for (theirs_name, tensor), (ours_name, like) in zip(theirs, ours, strict=False):
        if tensor.shape != like.shape:
            raise SystemExit(
                f"shape mismatch: {theirs_name} {tuple(tensor.shape)}, {ours_name} {tuple(like.shape)}; "
                f"the file is not a {model}, or its tensors are in another order"
            )
    if len(theirs) != len(ours):
        raise SystemExit(f"the file has {len(theirs)} tensors, timm's {model} has {len(ours)}")
    return {name: tensor.contiguous() for (name, _), (_, tensor) in zip(ours, theirs, strict=True)}


def main(arguments: list[str]) -> None:
    """Read, rename and write the tensors, then check that timm can load the file."""
    if len(arguments) != 3:
        raise SystemExit(__doc__)
    source, model, target = Path(arguments[0]), arguments[1], Path(arguments[2])
    renamed = rename(read(source), model)
    save_file(renamed, target)
    timm.create_model(model).load_state_dict(load_file(target), strict=False)
    print(f"{target}: {len(renamed)} tensors with the names of timm's {model}")


if __name__ == "__main__":
    main(sys.argv[1:])
