"""Validate the hooks and specs of a plugin's module."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pluggy

from mtkd_cli import hookspecs
from mtkd_cli.errors import nearest_or_all
from mtkd_cli.specs import API_VERSIONS, KINDS, NAME, Spec

REGISTERING = {
    "mtkd_register_aggregators": "strategies",
    "mtkd_register_tasks": "tasks",
    "mtkd_register_losses": "losses",
    "mtkd_register_teachers": "teachers",
    "mtkd_register_data": "data",
    "mtkd_register_recipes": "recipes",
    "mtkd_register_trackers": "trackers",
}
COMMANDS = "mtkd_register_commands"
HOOKS = (*REGISTERING, COMMANDS)


def hooks_of(module: object) -> dict[str, Callable[..., Any]]:
    """Return the module's hook implementations by name, validated by pluggy.

    Raises:
        TypeError: a hook is unknown or not marked with ``@hookimpl``, or has other arguments.
    """
    for attribute in dir(module):
        options = getattr(getattr(module, attribute, None), "mtkd_impl", None)
        is_marked = isinstance(options, dict)
        name = (options.get("specname") if isinstance(options, dict) else None) or attribute
        if (is_marked or name.startswith("mtkd_register_")) and name not in HOOKS:
            raise TypeError(f"unknown hook {name!r}; {nearest_or_all(name, HOOKS)}")
        if name in HOOKS and not is_marked:
            raise TypeError(f"{name!r} is not marked with @hookimpl")
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
    except pluggy.PluginValidationError as error:
        raise TypeError(str(error).replace("\n", "; ")) from error
    hooks: dict[str, Callable[..., Any]] = {}
    for name in HOOKS:
        for implementation in getattr(manager.hook, name).get_hookimpls():
            if implementation.kwargnames:
                argument = implementation.kwargnames[0]
                raise TypeError(f"{name!r}: the argument {argument!r} must not have a default")
            hooks[name] = implementation.function
    return hooks


def specs_of(hook: str, call: Callable[..., Any]) -> list[Spec]:
    """Call a registering hook and return its specs.

    Args:
        hook: name of the hook.
        call: implementation of the hook.

    Raises:
        TypeError: the hook did not return a list of its specs, or a spec is for another plugin API.
        ValueError: a spec has a name that recipes cannot use.
    """
    spec_type = KINDS[REGISTERING[hook]]
    returned = call()
    if not isinstance(returned, Iterable) or isinstance(returned, str):
        raise TypeError(f"{hook} returned {returned!r}; it must return a list of {spec_type.__name__}s")
    specs = list(returned)
    for spec in specs:
        if not isinstance(spec, spec_type):
            raise TypeError(f"{hook} returned {spec!r}; it must return a list of {spec_type.__name__}s")
        if spec.api not in API_VERSIONS:
            supported = " and ".join(map(str, API_VERSIONS))
            raise TypeError(f"{spec.name!r} is for plugin API {spec.api}; this mtkd supports {supported}")
        if not NAME.fullmatch(spec.name):
            raise ValueError(f"invalid name {spec.name!r}: use letters, digits, '.', '_' and '-'")
    return specs


def refuse_duplicates(specs: list[Spec]) -> None:
    """Raise ValueError if a plugin registers a name twice in one kind."""
    names = [(spec.kind, spec.name) for spec in specs]
    for kind, name in names:
        if names.count((kind, name)) > 1:
            raise ValueError(f"it registers {name!r} in {kind} twice")
