"""Read what a file of weights says about its model, without running code in it."""

from __future__ import annotations

import argparse
import functools
import json
import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtkd_cli.errors import MtkdError
from mtkd_cli.files.regular_file import read_regular
from mtkd_cli.safe_loading.decompression_limits import refuse_bomb

ENDINGS = (".safetensors", ".pt", ".pth", ".ckpt", ".pth.tar", ".bin")
"""Endings of files of weights."""

NAMES = ("architecture", "arch", "model_name", "model", "backbone")
"""Keys under which training scripts save the name of the architecture."""

SETTINGS = ("args", "hyper_parameters", "hparams", "config")
"""Keys under which training scripts save their settings."""


@dataclass(frozen=True)
class CheckpointFacts:
    """What a file of weights says about its model.

    Attributes:
        architectures: the names of the architecture in it, by the keys that contain them (``args.model``).
        keys: its keys beside the weights.
        outputs: rows of its last matrix, usually the number of the model's outputs; None if unknown.
        needs_trust: whether it contains more than tensors and plain values; reading it would run code.
    """

    architectures: Mapping[str, str]
    keys: tuple[str, ...] = ()
    outputs: int | None = None
    needs_trust: bool = False


def checkpoint_facts(path: Path) -> CheckpointFacts:
    """Return what a file says; nothing if it cannot be read. A ``config.json`` beside safetensors counts."""
    stat = path.stat()
    return _facts(path.resolve(), stat.st_mtime_ns, stat.st_size)


@functools.cache
def _facts(path: Path, _changed: int, _size: int) -> CheckpointFacts:
    """Return what a file says; cached, because several providers ask about the same file."""
    if path.suffix == ".safetensors":
        return _safetensors_facts(path)
    import torch

    from mtkd_cli.safe_loading.checkpoint_layout import find_state_dict
    from mtkd_cli.safe_loading.weights import PLAIN_TYPES

    try:
        refuse_bomb(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals(PLAIN_TYPES):
            warnings.simplefilter("ignore")  # for files that cannot be read
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return CheckpointFacts({}, needs_trust=True)
    except Exception:  # a damaged file raises almost anything; loading it as a teacher says so
        return CheckpointFacts({})
    try:
        shapes = [tuple(tensor.shape) for tensor in find_state_dict(content, str(path)).tensors.values()]
    except MtkdError:  # several state dicts: loading it as a teacher says so
        shapes = []
    plain = content if isinstance(content, Mapping) else {}
    return CheckpointFacts(dict(_architectures(plain)), tuple(map(str, plain)), _outputs(shapes))


def _safetensors_facts(path: Path) -> CheckpointFacts:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            shapes = [tuple(file.get_slice(name).get_shape()) for name in file.keys()]  # noqa: SIM118
    except (SafetensorError, OSError):
        return CheckpointFacts({})
    found = dict(_architectures(metadata))
    try:
        config = json.loads(read_regular(path.parent / "config.json"))
    except (OSError, ValueError, RecursionError):
        config = {}
    if isinstance(config, dict) and isinstance(config.get("architecture"), str):
        found["config.json: architecture"] = config["architecture"]
    return CheckpointFacts(found, tuple(metadata), _outputs(shapes))


def _architectures(content: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """Yield the names of architectures by dotted key."""
    parts: list[tuple[str, Any]] = [("", content)]
    parts += [(f"{key}.", content[key]) for key in SETTINGS if key in content]
    for before, part in parts:
        values = vars(part) if isinstance(part, argparse.Namespace) else part
        for name in NAMES if isinstance(values, Mapping) else ():
            if isinstance(values.get(name), str):
                yield f"{before}{name}", values[name]


def _outputs(shapes: list[tuple[int, ...]]) -> int | None:
    return next((shape[0] for shape in reversed(shapes) if len(shape) == 2), None)
