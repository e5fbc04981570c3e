"""Discover plugins: isolate failures, refuse duplicates, block what the user blocks."""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pluggy

from mtkd_cli import hookspecs
from mtkd_cli.errors import UsageError, nearest, nearest_or_all
from mtkd_cli.specs import API_VERSIONS, KINDS, Spec

if TYPE_CHECKING:
    import typer

GROUP = "mtkd"
REGISTERING = {
    "strategies": "mtkd_register_aggregators",
    "tasks": "mtkd_register_tasks",
    "teachers": "mtkd_register_teachers",
    "data": "mtkd_register_data",
    "recipes": "mtkd_register_recipes",
    "trackers": "mtkd_register_trackers",
}
HOOKS = (*REGISTERING.values(), "mtkd_register_commands")


@dataclass(frozen=True)
class Plugin:
    """One entry point and what became of it. ``seconds`` is the time that loading took."""

    name: str
    distribution: str
    version: str
    status: Literal["ok", "broken", "blocked"] = "ok"
    error: str = ""
    registers: tuple[str, ...] = ()
    seconds: float = 0.0
    builtin: bool = False

    @property
    def remedy(self) -> str:
        """The command that gets rid of the plugin, or ``''`` for a built-in one."""
        return "" if self.builtin else f"mtkd uninstall {self.distribution}"


@dataclass(frozen=True)
class Registered:
    """A spec and the plugin it came from."""

    spec: Spec
    plugin: Plugin


@dataclass(frozen=True)
class Registry:
    """Everything that the installed plugins offer, sorted by name."""

    plugins: tuple[Plugin, ...]
    entries: tuple[Registered, ...]
    command_hooks: tuple[tuple[Plugin, Callable[..., None]], ...] = field(default=(), repr=False)

    def listing(self, kind: str) -> list[Registered]:
        """Return the entries of one kind, by name and then by distribution."""
        return [entry for entry in self.entries if entry.spec.kind == kind]

    def names(self, kind: str) -> list[str]:
        """Return the names of one kind, sorted."""
        return sorted({entry.spec.name for entry in self.listing(kind)})

    def find(self, kind: str, name: str) -> Registered:
        """Return the entry called ``name`` or ``distribution:name``.

        Raises:
            UsageError: nothing has that name (the nearest one is named), or two plugins do.

        """
        entries = self.listing(kind)
        exact = [e for e in entries if name in (e.spec.name, f"{e.plugin.distribution}:{e.spec.name}")]
        if len(exact) == 1:
            return exact[0]
        if exact:
            owners = [f"{e.plugin.distribution}:{name}" for e in exact]
            raise UsageError(
                f"{len(exact)} plugins offer {name!r} in {kind}: {', '.join(owners)}",
                hint=f"write {' or '.join(owners)}, or remove one with {exact[-1].plugin.remedy!r}",
            )
        raise UsageError(f"no {name!r} in {kind}", hint=nearest_or_all(name, self.names(kind)))

    def warnings(self) -> list[str]:
        """Return one line for each broken plugin and each name that two plugins offer."""
        lines = [
            f"plugin {p.name!r} of {p.distribution} {p.version} is broken: {p.error}"
            + (f" (remove it: {p.remedy})" if p.remedy else "")
            for p in self.plugins
            if p.status == "broken"
        ]
        owners: dict[tuple[str, str], list[str]] = {}
        for entry in self.entries:
            owners.setdefault((entry.spec.kind, entry.spec.name), []).append(entry.plugin.distribution)
        lines += [
            f"{kind}: {name!r} is offered by {' and by '.join(by)}; "
            f"write {' or '.join(f'{d}:{name}' for d in by)}"
            for (kind, name), by in owners.items()
            if len(by) > 1
        ]
        return lines

    def add_commands(self, app: typer.Typer) -> list[str]:
        """Let plugins add commands to ``app``; return one line for each that fails."""
        failed = []
        for plugin, hook in self.command_hooks:
            try:
                hook(app=app)
            except Exception as error:
                failed.append(f"plugin {plugin.name!r} could not add its commands: {_describe(error)}")
        return failed


def discover(third_party: bool = True) -> Registry:
    """Load every plugin of the entry-point group ``mtkd``, each apart from the others.

    Args:
        third_party: False loads the built-in plugins only.

    The environment may narrow it: ``MTKD_PLUGINS=a,b`` loads of the third-party plugins only
    these (empty: none), ``MTKD_DISABLE_PLUGINS=a,b`` all but these (``*``: none). A name is an
    entry point's or a distribution's.

    """
    plugins: list[Plugin] = []
    entries: list[Registered] = []
    commands: list[tuple[Plugin, Callable[..., None]]] = []
    for point in _entry_points():
        builtin = _distribution(point) == "mtkd"
        if not builtin and not third_party:
            continue
        if not builtin and _blocked(point):
            plugins.append(_row(point, status="blocked"))
            continue
        plugin, specs, command = _load(point, builtin)
        plugins.append(plugin)
        entries += [Registered(spec, plugin) for spec in specs]
        if command is not None:
            commands.append((plugin, command))
    entries.sort(key=lambda entry: (entry.spec.kind, entry.spec.name, entry.plugin.distribution))
    return Registry(tuple(plugins), tuple(entries), tuple(commands))


def _entry_points() -> Iterator[importlib.metadata.EntryPoint]:
    points = importlib.metadata.entry_points(group=GROUP)
    yield from sorted(points, key=lambda p: (_distribution(p) != "mtkd", _distribution(p), p.name))


def _distribution(point: importlib.metadata.EntryPoint) -> str:
    return re.sub(r"[-_.]+", "-", point.dist.name).lower() if point.dist else "unknown"


def _row(point: importlib.metadata.EntryPoint, **facts: Any) -> Plugin:
    version = point.dist.version if point.dist else "unknown"
    return Plugin(name=point.name, distribution=_distribution(point), version=version, **facts)


def _blocked(point: importlib.metadata.EntryPoint) -> bool:
    names = {point.name, _distribution(point)}
    only, without = os.environ.get("MTKD_PLUGINS"), os.environ.get("MTKD_DISABLE_PLUGINS", "")
    if only is not None and not names & set(_words(only)):
        return True
    return bool({*names, "*"} & set(_words(without)))


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]


def _load(
    point: importlib.metadata.EntryPoint, builtin: bool
) -> tuple[Plugin, list[Spec], Callable[..., None] | None]:
    """Load one plugin and collect its specs; any failure becomes a broken row."""
    started = time.perf_counter()
    try:
        module = point.load()
        hooks = _hooks_of(module, name=f"{_distribution(point)}:{point.name}")
        specs = [spec for kind, hook in hooks.items() if kind != "commands" for spec in _specs(kind, hook)]
    except (Exception, SystemExit) as error:
        row = _row(point, status="broken", error=_describe(error), builtin=builtin)
        return row, [], None
    command = hooks.get("commands")
    registers = [f"{spec.kind}:{spec.name}" for spec in specs] + (["commands"] if command else [])
    seconds = time.perf_counter() - started
    return _row(point, registers=tuple(registers), seconds=seconds, builtin=builtin), specs, command


def _hooks_of(module: object, name: str) -> dict[str, Callable[..., Any]]:
    """Return the module's hook implementations by kind, validated by pluggy."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    for attribute, function in inspect.getmembers(module, callable):
        if attribute.startswith("mtkd_register_") and attribute not in HOOKS:
            raise TypeError(f"unknown hook {attribute!r}; {nearest(attribute, HOOKS)}".rstrip("; "))
        if attribute in HOOKS and not hasattr(function, "mtkd_impl"):
            raise TypeError(f"{attribute!r} is not marked with @hookimpl")
    manager.register(module, name=name)
    manager.check_pending()
    kinds = {hook: kind for kind, hook in REGISTERING.items()} | {"mtkd_register_commands": "commands"}
    return {
        kinds[hook]: implementation.function
        for hook in HOOKS
        for implementation in getattr(manager.hook, hook).get_hookimpls()
    }


def _specs(kind: str, hook: Callable[..., Any]) -> list[Spec]:
    wanted = KINDS[kind]
    specs = list(hook())
    for spec in specs:
        if not isinstance(spec, wanted):
            raise TypeError(f"{REGISTERING[kind]} returned {spec!r}; it must return {wanted.__name__}s")
        if spec.api not in API_VERSIONS:
            known = " and ".join(map(str, API_VERSIONS))
            raise TypeError(f"{spec.name!r} is written for plugin API {spec.api}; this mtkd has {known}")
    return specs


def _describe(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")
