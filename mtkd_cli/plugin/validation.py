"""What a plugin's module registers, checked, so that its author is told what is wrong."""

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
        TypeError: a misspelt or unmarked hook, or arguments that the hook does not have.
    """
    for attribute in dir(module):
        options = getattr(getattr(module, attribute, None), "mtkd_impl", None)
        marked = isinstance(options, dict)
        name = (options.get("specname") if isinstance(options, dict) else None) or attribute
        if (marked or name.startswith("mtkd_register_")) and name not in HOOKS:
            raise TypeError(f"unknown hook {name!r}; {nearest_or_all(name, HOOKS)}")
        if name in HOOKS and not marked:
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
    """Return what a registering hook returns.

    Raises:
        TypeError: it is no list of the hook's specs, or they are for another plugin API.
        ValueError: a name that cannot be written in a recipe.
    """
    wanted = KINDS[REGISTERING[hook]]
    answer = call()
    if not isinstance(answer, Iterable) or isinstance(answer, str):
        raise TypeError(f"{hook} returned {answer!r}; it must return a list of {wanted.__name__}s")
    specs = list(answer)
    for spec in specs:
        if not isinstance(spec, wanted):
            raise TypeError(f"{hook} returned {spec!r}; it must return a list of {wanted.__name__}s")
        if spec.api not in API_VERSIONS:
            known = " and ".join(map(str, API_VERSIONS))
            raise TypeError(f"{spec.name!r} is written for plugin API {spec.api}; this mtkd has {known}")
        if not NAME.fullmatch(spec.name):
            raise ValueError(f"the name {spec.name!r} has more than letters, digits, '.', '_' and '-'")
    return specs


def refuse_twice(specs: list[Spec]) -> None:
    """Raise ValueError if one plugin offers a name twice."""
    names = [(spec.kind, spec.name) for spec in specs]
    for kind, name in names:
        if names.count((kind, name)) > 1:
            raise ValueError(f"it registers {name!r} in {kind} twice")
