"""Find a model's state dict in a training checkpoint, and match its names to the model's.

Covers Lightning (``state_dict``, names with a prefix), timm's train.py (``state_dict_ema``), the PyTorch
tutorials (``model_state_dict``), averaged models (``n_averaged``), DataParallel and torch.compile (prefixes).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn

from mtkd_cli.errors import DataError, join_first, nearest_or_all

AVERAGED = ("state_dict_ema", "model_ema", "ema", "ema_state_dict", "model_ema_state_dict")
"""Usual keys of averaged weights. As in timm, they are preferred to the plain weights beside them."""

PLAIN = ("state_dict", "model_state_dict", "model", "net", "module", "net_state_dict", "network", "weights")
"""Usual keys of the plain weights."""

COUNTER = "num_batches_tracked"
"""Name of BatchNorm's step counter, which older files lack."""


@dataclass(frozen=True)
class StateDict:
    """The weights in a checkpoint.

    Attributes:
        tensors: the tensors by name.
        key: dotted key of the state dict in the file; ``""`` if the file is the state dict.
        notes: choices that were made and that the user should know, as parts of one sentence.
    """

    tensors: dict[str, Tensor]
    key: str = ""
    notes: tuple[str, ...] = ()


def find_state_dict(content: object, where: str, key: str | None = None) -> StateDict:
    """Return the state dict in the content of a checkpoint.

    Averaged weights are preferred to plain ones, and usual keys to others.

    Args:
        content: a module, a state dict, or a mapping that contains some.
        where: the file, for messages.
        key: path to the state dict, such as ``model_ema`` or ``state_dict.student``; its last parts may be a
            prefix of the names. None chooses.

    Raises:
        DataError: there is no state dict, or there are several and ``key`` does not select one.
    """
    whole = _as_state_dict(content)
    found = {"": whole} if whole is not None else dict(_state_dicts(content))
    if not found:
        keys = f"; its keys are {join_first(list(map(str, content)))}" if isinstance(content, Mapping) else ""
        raise DataError(f"not a state dict of tensors{keys}", where, "save model.state_dict()")
    if key is not None:
        return StateDict(_select(found, key, where), key)
    chosen = _choose(found, where)
    others = [name for name in found if name != chosen]
    if not chosen or (not others and _last(chosen) in PLAIN):
        return StateDict(found[chosen], chosen)
    also = f" (also in the file: {join_first(others)}; checkpoint_key selects one)" if others else ""
    return StateDict(found[chosen], chosen, (f"uses {chosen!r}{also}",))


def match_names(found: StateDict, names: Collection[str], where: str) -> StateDict:
    """Return the weights without the prefix that their names have and the model's do not.

    If the model's names are complete below one prefix, tensors outside it are left out, such as those of a
    loss in a Lightning module.

    Args:
        found: the weights.
        names: names in the model's state dict.
        where: the model and the file, for messages.

    Raises:
        DataError: the model's names are complete below several prefixes.
    """
    tensors, wanted = found.tensors, [name for name in names if not name.endswith(COUNTER)]
    if not wanted or not tensors or all(name in tensors for name in wanted):
        return found
    ends = [name.removesuffix(wanted[0]) for name in tensors if name.endswith(f".{wanted[0]}")]
    complete = [prefix for prefix in ends if all(prefix + name in tensors for name in wanted)]
    if len(complete) > 1:
        raise DataError(
            f"the file contains the model's weights {len(complete)} times: below {join_first(complete)}",
            where=where,
            hint=f"choose one with checkpoint_key: {f'{found.key}.{complete[0]}'.strip('.')}",
        )
    prefix = complete[0] if complete else _common_prefix(tensors, names)
    if not prefix:
        return found
    kept = {n.removeprefix(prefix): tensor for n, tensor in tensors.items() if n.startswith(prefix)}
    outside = [name for name in tensors if not name.startswith(prefix)]
    notes = (
        f"removes the prefix {prefix!r} from the names",
        *([f"leaves out tensors of other parts: {join_first(outside)}"] if outside else []),
    )
    return replace(found, tensors=kept, notes=(*found.notes, *notes))


def _common_prefix(tensors: Mapping[str, Tensor], names: Collection[str]) -> str:
    """Return the part of the prefix of all names without which most of them are the model's."""
    parts = next(iter(tensors)).split(".")
    prefixes = ["".join(f"{part}." for part in parts[:depth]) for depth in range(len(parts))]
    prefixes = [prefix for prefix in prefixes if all(name.startswith(prefix) for name in tensors)]
    return max(prefixes, key=lambda prefix: sum(name.removeprefix(prefix) in names for name in tensors))


def _state_dicts(content: object, before: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield the state dicts in a mapping by dotted key. Mappings below usual keys are searched, too."""
    for key, value in content.items() if isinstance(content, Mapping) else ():
        tensors = _as_state_dict(value)
        if tensors is not None:
            yield f"{before}{key}", tensors
        elif key in AVERAGED + PLAIN:
            yield from _state_dicts(value, f"{before}{key}.")


def _as_state_dict(value: object) -> dict[str, Tensor] | None:
    """Return a module's or a mapping's tensors by name; None if the value is neither."""
    if isinstance(value, nn.Module):
        value = value.state_dict()
    if not isinstance(value, Mapping) or not value:
        return None
    if not all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items()):
        return None
    tensors = dict(value)
    averaged = {name: tensor for name, tensor in tensors.items() if name != "n_averaged"}
    if averaged and all(name.startswith("module.") for name in averaged):
        return averaged  # torch.optim.swa_utils.AveragedModel
    return tensors


def _choose(found: Mapping[str, object], where: str) -> str:
    """Return the key of the weights to use."""
    for usual in (AVERAGED, PLAIN, None):
        keys = [key for key in found if usual is None or _last(key) in usual]
        if len(keys) == 1:
            return keys[0]
        if keys:
            raise DataError(
                f"the file contains several state dicts: {join_first(keys)}",
                where=where,
                hint=f"choose one with checkpoint_key: {keys[0]}",
            )
    raise AssertionError("a state dict has a key")


def _select(found: Mapping[str, dict[str, Tensor]], key: str, where: str) -> dict[str, Tensor]:
    """Return the state dict that a key selects, without the prefix that the rest of the key names."""
    for name, tensors in found.items():
        rest = f"{key.removeprefix(name).lstrip('.')}."
        if key == name:
            return tensors
        below = {n.removeprefix(rest): tensor for n, tensor in tensors.items() if n.startswith(rest)}
        if below and (not name or key.startswith(f"{name}.")):
            return below
    options = [name for name in found if name]
    raise DataError(
        f"checkpoint_key {key!r} selects no state dict",
        where=where,
        hint=nearest_or_all(key, options) if options else "leave it out: the file is one state dict",
    )


def _last(key: str) -> str:
    return key.rpartition(".")[2]
