"""Keep the global settings of this process while local code and plugins are imported and called.

A module that calls ``torch.set_num_threads`` or ``os.chdir`` changes the rest of a run, without a word and
without a trace in its manifest. So these settings are restored, and what was restored is said once. Code
that runs later, such as the ``forward`` of a model, is not watched.
"""

from __future__ import annotations

import contextlib
import locale
import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

SIGNALS = (signal.SIGINT, signal.SIGTERM)
WATCHED_VARIABLES = ("MTKD_", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""Beginnings of the names of environment variables that mtkd reads later."""

_said: set[tuple[str, str]] = set()


@dataclass(frozen=True)
class Setting:
    """One global setting.

    Attributes:
        name: what it is, in words.
        read: function that returns its value, which can be compared.
        write: function that sets it to a value that was read.
        module: module that has it; it is not read before this is imported.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    module: str = "sys"


@dataclass(frozen=True)
class GlobalState:
    """The values of all settings at one moment, by name."""

    values: Mapping[str, Any]


def _module(name: str) -> Any:
    return sys.modules[name]


def _attribute(name: str, module: str, attribute: str) -> Setting:
    """Return a setting that is an attribute of a module."""
    return Setting(
        name,
        lambda: getattr(_module(module), attribute),
        lambda value: setattr(_module(module), attribute, value),
        module,
    )


def _torch(name: str, getter: str, setter: str) -> Setting:
    """Return a setting with a getter and a setter in torch."""
    return Setting(
        name,
        lambda: getattr(_module("torch"), getter)(),
        lambda value: getattr(_module("torch"), setter)(value),
        "torch",
    )


def _write_deterministic(value: tuple[bool, bool]) -> None:
    _module("torch").use_deterministic_algorithms(value[0], warn_only=value[1])


def _write_device(value: Any) -> None:
    # A device that is set, even the default one, costs time in every call of torch.
    _module("torch").set_default_device(None if value.type == "cpu" else value)


def _numpy_random() -> tuple[Any, ...]:
    kind, keys, *rest = _module("numpy.random").get_state()
    return kind, keys.tobytes(), *rest


def _write_numpy_random(value: tuple[Any, ...]) -> None:
    numpy = _module("numpy")
    numpy.random.set_state((value[0], numpy.frombuffer(value[1], numpy.uint32), *value[2:]))


def _write_torch_random(value: bytes) -> None:
    torch = _module("torch")
    torch.set_rng_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))


def _is_broad(each: Any) -> bool:
    """Whether a filter concerns all messages of all modules; libraries add others for their own warnings."""
    return each[1] is None and each[3] is None and each[2].__module__ == "builtins"


def _filters() -> tuple[Any, ...]:
    return tuple(each for each in warnings.filters if _is_broad(each))


def _write_filters(value: tuple[Any, ...]) -> None:
    kept = [each for each in warnings.filters if not _is_broad(each)]
    cast("list[Any]", warnings.filters)[:] = [*kept, *value]
    with warnings.catch_warnings():  # its end makes Python read the filters again
        pass


def _variables() -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in os.environ.items() if name.startswith(WATCHED_VARIABLES))


def _write_variables(value: tuple[tuple[str, str], ...]) -> None:
    for name, _ in _variables():
        del os.environ[name]
    os.environ.update(value)


def _handlers() -> tuple[Any, ...]:
    return tuple(signal.getsignal(number) for number in SIGNALS)


def _write_handlers(value: tuple[Any, ...]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in zip(SIGNALS, value, strict=True):
            signal.signal(number, handler)


RANDOM = (
    Setting("the random numbers of Python", random.getstate, random.setstate),
    Setting("the random numbers of numpy", _numpy_random, _write_numpy_random, "numpy.random"),
    Setting(
        "the random numbers of torch",
        lambda: _module("torch").get_rng_state().numpy().tobytes(),
        _write_torch_random,
        "torch",
    ),
)
"""Generators. Code that builds a model draws from them, so their change is not worth a message then."""

SETTINGS = (
    # Its change says that code calls torch.manual_seed; the state of the generator is in RANDOM.
    Setting("torch's seed", lambda: _module("torch").initial_seed(), lambda value: None, "torch"),
    _torch("the number of torch's threads", "get_num_threads", "set_num_threads"),
    _torch("torch's default dtype", "get_default_dtype", "set_default_dtype"),
    Setting("torch's default device", lambda: _module("torch").get_default_device(), _write_device, "torch"),
    _torch("torch's gradient mode", "is_grad_enabled", "set_grad_enabled"),
    Setting(
        "torch's check for anomalies",
        lambda: _module("torch").is_anomaly_enabled(),
        lambda value: _module("torch").autograd.set_detect_anomaly(value),
        "torch",
    ),
    Setting(
        "torch's deterministic algorithms",
        lambda: (
            _module("torch").are_deterministic_algorithms_enabled(),
            _module("torch").is_deterministic_algorithms_warn_only_enabled(),
        ),
        _write_deterministic,
        "torch",
    ),
    _torch("torch's matmul precision", "get_float32_matmul_precision", "set_float32_matmul_precision"),
    _attribute("cudnn.benchmark", "torch.backends.cudnn", "benchmark"),
    _attribute("cudnn.deterministic", "torch.backends.cudnn", "deterministic"),
    _attribute("cudnn.allow_tf32", "torch.backends.cudnn", "allow_tf32"),
    Setting(
        "numpy's errors",
        lambda: tuple(_module("numpy").geterr().items()),
        lambda value: _module("numpy").seterr(**dict(value)),
        "numpy",
    ),
    _attribute("Pillow's limit of pixels", "PIL.Image", "MAX_IMAGE_PIXELS"),
    _attribute("Pillow's truncated images", "PIL.ImageFile", "LOAD_TRUNCATED_IMAGES"),
    Setting("the working directory", os.getcwd, os.chdir),
    Setting("environment variables of mtkd", _variables, _write_variables),
    Setting("the signal handlers", _handlers, _write_handlers),
    Setting("the filters of warnings", _filters, _write_filters),
    Setting("the level of logs", lambda: logging.root.manager.disable, logging.disable),
    Setting(
        "the locale",
        lambda: locale.setlocale(locale.LC_ALL),
        lambda value: locale.setlocale(locale.LC_ALL, value),
    ),
    Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    _attribute("stdout", "sys", "stdout"),
    _attribute("stderr", "sys", "stderr"),
)


def take_snapshot() -> GlobalState:
    """Return the values of all settings of the modules that are imported."""
    found = {}
    for each in (*SETTINGS, *RANDOM):
        with contextlib.suppress(OSError):  # the working directory was deleted
            if each.module in sys.modules:
                found[each.name] = each.read()
    return GlobalState(MappingProxyType(found))


def restore(state: GlobalState) -> list[str]:
    """Set all settings to the values of a snapshot; return the names of those that had changed."""
    now, changed = take_snapshot().values, []
    for each in (*SETTINGS, *RANDOM):
        if each.name in state.values and now.get(each.name) != state.values[each.name]:
            with contextlib.suppress(OSError, RecursionError, locale.Error):
                each.write(state.values[each.name])
            changed.append(each.name)
    return changed


@contextmanager
def keep_global_state(who: str, draws: bool = False) -> Iterator[None]:
    """Restore all global settings after the block, and say once on stderr which the block had changed.

    Args:
        who: what runs in the block, for the message.
        draws: whether the block may draw random numbers, as code that builds a model does.
    """
    before = take_snapshot()
    try:
        yield
    finally:
        changed = restore(before)
        silent = {each.name for each in RANDOM} if draws else set()
        _say(who, [name for name in changed if name not in silent])


def _say(who: str, names: list[str]) -> None:
    new = [name for name in names if (who, name) not in _said]
    _said.update((who, name) for name in new)
    if new and os.environ.get("RANK", "0") == "0":
        sys.stderr.write(f"warning: {who} changed {', '.join(new)}; mtkd restored it\n")
