"""Read and write weights: safetensors, or ``.pt`` files of plain tensors; more only of trusted files."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mtkd_cli.errors import DataError, missing_path
from mtkd_cli.safe_loading.decompression_limits import refuse_bomb

SCRIPT = "TorchScript archives"
"""What torch speaks of when it is asked for the tensors alone of such a program."""


def read(
    path: str | Path, where: str = "", trusted: bool = False
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file of weights and its metadata.

    Args:
        path: the file.
        where: what the weights are for, for the message that there is no such file.
        trusted: whether a ``.pt`` file may be unpickled, which can run code in it.

    Raises:
        DataError: no such file, damaged, or holding more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise missing_path(path, where)
    if path.suffix == ".safetensors":
        try:
            return load_file(path), _metadata(path)
        except (SafetensorError, OSError) as error:
            raise DataError(
                f"not a safetensors file: {error}", where=str(path), hint="fetch it again"
            ) from error
    refuse_bomb(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that are then refused
            found = torch.load(path, map_location="cpu", weights_only=not trusted)
    except Exception as error:  # a damaged file raises almost anything
        raise _refusal(error, path, trusted) from error
    return _state_dict(found, path), {}


def _refusal(error: Exception, path: Path, trusted: bool) -> DataError:
    """Return what is wrong with a file that cannot be loaded."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    is_pickle = isinstance(error, pickle.UnpicklingError)
    if is_pickle and "invalid load key" in str(error) and not zipfile.is_zipfile(path):
        return DataError("not a file of weights", str(path), "give a .safetensors or .pt file")
    if not trusted and (is_pickle or SCRIPT in reason):
        return DataError(
            "the file holds more than tensors, and unpickling it would run its code",
            where=str(path),
            hint=f"save model.state_dict() as safetensors, or if you trust it: --trust-pickle {path}",
        )
    lacks_code = trusted and isinstance(error, ImportError | AttributeError)
    hint = "put the folder of its classes into PYTHONPATH" if lacks_code else "fetch it again"
    return DataError(f"the weights cannot be read: {reason}", str(path), hint)


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(plain, path, metadata=dict(metadata or {}))


def load_into(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load a state dict strictly.

    Raises:
        DataError: names or shapes differ; the first differences are named.
    """
    own = module.state_dict()
    missing = [name for name in own if name not in tensors and not name.endswith("num_batches_tracked")]
    extra = [name for name in tensors if name not in own]
    shapes = [
        f"{n} is {tuple(tensors[n].shape)}, the model has {tuple(t.shape)}"
        for n, t in own.items()
        if n in tensors and tensors[n].shape != t.shape
    ]
    if missing or extra or shapes:
        facts = [
            f"{len(missing)} missing ({missing[0]})" if missing else "",
            f"{len(extra)} unknown ({extra[0]})" if extra else "",
            shapes[0] if shapes else "",
        ]
        raise DataError(
            f"the weights do not fit the model: {'; '.join(f for f in facts if f)}",
            where=where,
            hint=_channels(module, tensors)
            or "is it this architecture? docs/teachers.md says how to rename a checkpoint's keys",
        )
    module.load_state_dict(dict(tensors), strict=False)


def has_shapes(module: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors of a file have the shapes of a module's, where they have its names."""
    own = module.state_dict()
    return all(own[name].shape == tensor.shape for name, tensor in tensors.items() if name in own)


def _channels(module: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Return what to set if only the channels of the input differ, else nothing."""
    differ = [
        (tensors[n], t)
        for n, t in module.state_dict().items()
        if n in tensors and tensors[n].shape != t.shape
    ]
    if len(differ) != 1 or differ[0][0].dim() != 4:
        return ""
    theirs, mine = (tuple(t.shape) for t in differ[0])
    if theirs[1] not in (1, 3) or (theirs[0], *theirs[2:]) != (mine[0], *mine[2:]):
        return ""
    return f"its first layer has {theirs[1]} input channels: set input: {{channels: {theirs[1]}}}"


def _state_dict(found: object, path: Path) -> dict[str, Tensor]:
    """Return the tensors of what a file holds; of a trusted one that may be a module, or hold one."""
    for key in ("state_dict", "model", "module"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping | nn.Module):
            found = found[key]
    if isinstance(found, nn.Module):
        found = found.state_dict()
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise DataError(
            "the file is not a state dict of tensors", where=str(path), hint="save model.state_dict()"
        )
    tensors = {str(name): value for name, value in found.items()}
    for wrapper in ("_orig_mod.", "module."):  # torch.compile's, DataParallel's
        if tensors and all(name.startswith(wrapper) for name in tensors):
            tensors = {name.removeprefix(wrapper): value for name, value in tensors.items()}
    return tensors


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})
