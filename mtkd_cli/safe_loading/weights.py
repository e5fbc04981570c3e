"""Read and write weights: safetensors, or ``.pt`` files. Only trusted files are unpickled in full."""

from __future__ import annotations

import argparse
import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mtkd_cli.errors import DataError, join_first, missing_path
from mtkd_cli.files import atomic
from mtkd_cli.safe_loading.checkpoint_layout import COUNTER, StateDict, find_state_dict
from mtkd_cli.safe_loading.decompression_limits import refuse_bomb

PLAIN_TYPES: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [argparse.Namespace]
"""Types that a ``.pt`` file may contain beside tensors: timm's train.py saves its arguments.

Creating a Namespace runs no code, and its members are checked like everything else in the file.
"""

SCRIPT = "TorchScript archives"
"""Words in torch's message when a TorchScript file is read with ``weights_only``."""


def read(
    path: str | Path, where: str = "", trusted: bool = False
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a weights file.

    Args:
        path: a ``.safetensors`` or ``.pt`` file.
        where: recipe key or model of the weights, for messages.
        trusted: whether a ``.pt`` file may be unpickled, which can run code in it.

    Raises:
        DataError: the file does not exist, is damaged, or contains more than tensors.
    """
    path = Path(path)
    tensors = read_checkpoint(path, where, trusted).tensors
    return tensors, _metadata(path) if path.suffix == ".safetensors" else {}


def read_checkpoint(
    path: str | Path, where: str = "", trusted: bool = False, key: str | None = None
) -> StateDict:
    """Return the weights in a file, and what to tell the user about them.

    Args:
        path: a ``.safetensors`` or ``.pt`` file, or a training checkpoint.
        where: recipe key or model of the weights, for messages.
        trusted: whether a file that is not safetensors may be unpickled, which can run code in it.
        key: which of several state dicts to use, see `find_state_dict`.

    Raises:
        DataError: the file does not exist, is damaged, contains more than tensors and plain values, or
            ``key`` is needed or wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise missing_path(path, where)
    if path.suffix == ".safetensors":
        try:
            tensors = load_file(path)
        except (SafetensorError, OSError) as error:
            raise DataError(
                f"not a safetensors file: {error}", where=str(path), hint="download it again"
            ) from error
        return find_state_dict(tensors, str(path), key) if key else StateDict(tensors)
    refuse_bomb(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(PLAIN_TYPES):
            warnings.simplefilter("ignore")  # for files that are refused below
            content = torch.load(path, map_location="cpu", weights_only=not trusted)
    except Exception as error:  # a damaged file raises almost anything
        raise _refusal(error, path, trusted) from error
    return find_state_dict(content, str(path), key)


def _refusal(error: Exception, path: Path, trusted: bool) -> DataError:
    """Return the error for a file that cannot be loaded."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    is_pickle = isinstance(error, pickle.UnpicklingError)
    if is_pickle and "invalid load key" in str(error) and not zipfile.is_zipfile(path):
        return DataError("not a weights file", str(path), "use a .safetensors or .pt file")
    if not trusted and (is_pickle or SCRIPT in reason):
        return DataError(
            f"the file contains more than tensors{_other_types(path)}, and unpickling it would run its code",
            where=str(path),
            hint=f"save only model.state_dict(), or if you trust its source: --trust-pickle {path}",
        )
    lacks_code = trusted and isinstance(error, ImportError | AttributeError)
    hint = "add the folder with its classes to PYTHONPATH" if lacks_code else "download it again"
    return DataError(f"the weights cannot be read: {reason}", str(path), hint)


def _other_types(path: Path) -> str:
    """Return the types in a file beside tensors and plain values, in brackets; ``""`` if unknown."""
    try:
        with torch.serialization.safe_globals(PLAIN_TYPES):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except Exception:  # an older file format, or a damaged file
        return ""
    return f" ({join_first(sorted(names))})" if names else ""


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors and metadata as safetensors, with the permissions of any other new file."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(plain, path, metadata=dict(metadata or {}))  # renames a temporary file: 0600
    atomic.set_default_permissions(path)


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load a state dict strictly; only ``num_batches_tracked`` may be missing.

    Args:
        module: the module to fill.
        tensors: the state dict.
        where: model and file, for messages.

    Raises:
        DataError: names or shapes differ; the message names the first differences.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in tensors and not name.endswith(COUNTER)]
    extra = [name for name in tensors if name not in own]
    shapes = [
        f"{n} is {tuple(tensors[n].shape)}, the model has {tuple(t.shape)}"
        for n, t in own.items()
        if n in tensors and tensors[n].shape != t.shape
    ]
    if missing or extra or shapes:
        differences = [
            f"{len(missing)} missing ({missing[0]})" if missing else "",
            f"{len(extra)} unknown ({extra[0]})" if extra else "",
            shapes[0] if shapes else "",
        ]
        raise DataError(
            f"the weights do not fit the model: {'; '.join(text for text in differences if text)}",
            where=where,
            hint=_channels_hint(module, tensors)
            or "check the architecture; docs/teachers.md shows how to rename a checkpoint's keys",
        )
    module.load_state_dict(dict(tensors), strict=False)


def has_shapes(module: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    """Whether all tensors with the name of one of the module's have the same shape."""
    own = module.state_dict()
    return all(own[name].shape == tensor.shape for name, tensor in tensors.items() if name in own)


def _channels_hint(module: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Return the recipe key to set if only the number of input channels differs, else ``""``."""
    differ = [
        (tensors[n], t)
        for n, t in module.state_dict().items()
        if n in tensors and tensors[n].shape != t.shape
    ]
    if len(differ) != 1 or differ[0][0].dim() != 4:
        return ""
    loaded, own = (tuple(t.shape) for t in differ[0])  # [C_out, C_in, H, W]
    if loaded[1] not in (1, 3) or (loaded[0], *loaded[2:]) != (own[0], *own[2:]):
        return ""
    return f"its first layer has {loaded[1]} input channels: set input: {{channels: {loaded[1]}}}"


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})
