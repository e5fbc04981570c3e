"""Discover plugins: isolate failures, report duplicate names, and skip blocked plugins."""

from __future__ import annotations

import functools
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

from mtkd_cli.errors import UsageError, nearest_or_all, type_and_first_line
from mtkd_cli.plugin.fault_location import fault_location
from mtkd_cli.plugin.task_options import with_losses
from mtkd_cli.plugin.validation import COMMANDS, hooks_of, refuse_duplicates, specs_of
from mtkd_cli.safe_loading.global_state import keep_global_state
from mtkd_cli.safe_loading.stdout import stdout_on_stderr
from mtkd_cli.specs import LossSpec, Spec, TaskSpec

if TYPE_CHECKING:
    import typer

GROUP = "mtkd"
BUILTIN = "mtkd"
ONLY, WITHOUT = "MTKD_PLUGINS", "MTKD_DISABLE_PLUGINS"
HEAVY = ("torch", "torchvision", "timm", "tensorflow", "keras", "transformers", "sklearn", "scipy", "pandas")
"""Modules that take a second or more to import. A plugin that imports one when listed slows every command."""


@dataclass(frozen=True)
class Plugin:
    """An entry point and the result of loading it.

    Attributes:
        name: name of the entry point.
        distribution: normalized name of its distribution.
        version: version of the distribution.
        status: ``ok``, ``broken`` (loading failed) or ``blocked`` (not loaded).
        error: error of a broken plugin, in one line.
        location: ``FILE:LINE`` of that error, as far as it is known.
        registers: ``kind:name`` of each entry that it offers.
        seconds: load time in seconds.
        heavy: modules of `HEAVY` that loading it imported.
        module: module with its hooks.
    """

    name: str
    distribution: str
    version: str
    status: Literal["ok", "broken", "blocked"] = "ok"
    error: str = ""
    location: str = ""
    registers: tuple[str, ...] = ()
    seconds: float = 0.0
    heavy: tuple[str, ...] = ()
    module: str = ""

    @property
    def builtin(self) -> bool:
        """Whether the plugin is part of mtkd."""
        return self.distribution == BUILTIN

    @property
    def fault(self) -> str:
        """``FILE:LINE: error`` of a broken plugin, or ``""``."""
        return ": ".join(filter(None, (self.location, self.error)))

    @property
    def remedy(self) -> str:
        """The command that uninstalls the plugin, or ``""`` for a built-in one."""
        return "" if self.builtin else f"mtkd uninstall {self.distribution}"


@dataclass(frozen=True)
class Registered:
    """A spec and the plugin that registered it."""

    spec: Spec
    plugin: Plugin

    @property
    def full_name(self) -> str:
        """``distribution:name``, which is unique if two plugins use one name."""
        return f"{self.plugin.distribution}:{self.spec.name}"


@dataclass(frozen=True)
class Registry:
    """The installed plugins and their entries, sorted by kind and name."""

    plugins: tuple[Plugin, ...]
    entries: tuple[Registered, ...]
    command_hooks: tuple[tuple[Plugin, Callable[[typer.Typer], None]], ...] = ()

    def listing(self, kind: str) -> list[Registered]:
        """Return the entries of one kind, sorted by name, then by distribution."""
        return [entry for entry in self.entries if entry.spec.kind == kind]

    def names(self, kind: str) -> list[str]:
        """Return the names of one kind, sorted."""
        return sorted({entry.spec.name for entry in self.listing(kind)})

    def find(self, kind: str, name: str) -> Registered:
        """Return the entry called ``name`` or ``distribution:name``. A built-in name is the built-in entry.

        Raises:
            UsageError: the name is unknown, or two third-party plugins use it.
        """
        found = [entry for entry in self.listing(kind) if name in (entry.spec.name, entry.full_name)]
        found = [entry for entry in found if entry.plugin.builtin] or found
        if len(found) == 1:
            return found[0]
        if found:
            owners = [entry.full_name for entry in found]
            remedies = [entry.plugin.remedy for entry in found if entry.plugin.remedy]
            raise UsageError(
                f"{len(found)} plugins offer {name!r} in {kind}: {', '.join(owners)}",
                hint=f"write {' or '.join(owners)}, or remove one: {' or '.join(remedies)}",
            )
        raise UsageError(f"no {name!r} in {kind}", hint=nearest_or_all(name, self.names(kind)))

    def warnings(self) -> list[str]:
        """Return one line for each broken plugin and each name that several plugins use."""
        lines = [
            f"plugin {p.name!r} of {p.distribution} {p.version} is broken: {p.fault}"
            + (f" (remove it: {p.remedy})" if p.remedy else "")
            for p in self.plugins
            if p.status == "broken"
        ]
        return lines + self._taken_names() + self._unknown_names()

    def is_shadowed(self, entry: Registered) -> bool:
        """Whether a third-party entry has a built-in name, so that only its full name selects it."""
        return not entry.plugin.builtin and any(
            other.plugin.builtin and other.spec.name == entry.spec.name
            for other in self.listing(entry.spec.kind)
        )

    def _taken_names(self) -> list[str]:
        """Return one line for each name that several plugins use."""
        same: dict[tuple[str, str], list[Registered]] = {}
        for entry in self.entries:
            same.setdefault((entry.spec.kind, entry.spec.name), []).append(entry)
        lines = []
        for (kind, name), entries in same.items():
            others = [entry.full_name for entry in entries if not entry.plugin.builtin]
            if len(others) < len(entries) and others:
                lines.append(built_in_name(kind, name, others))
            elif len(others) > 1:
                lines.append(
                    f"{kind}: {name!r} is offered by {len(others)} plugins; write {' or '.join(others)}"
                )
        return lines

    def _unknown_names(self) -> list[str]:
        """Return one line for each name in the environment variables that no third-party plugin has."""
        known = {name for p in self.plugins if not p.builtin for name in (p.name, p.distribution)}
        return [
            f"{variable} names {word!r}, which is not an installed plugin; {nearest_or_all(word, known)}"
            for variable in (ONLY, WITHOUT)
            for word in _words(os.environ.get(variable, ""))
            if word != "*" and not {word, normalize_name(word)} & known
        ]

    def add_commands(self, app: typer.Typer) -> list[str]:
        """Let plugins add commands to ``app``; return a warning for each plugin that fails.

        If a plugin fails, or uses the name of an existing command, none of its commands is added.
        """
        failed = []
        for plugin, hook in self.command_hooks:
            commands, groups = list(app.registered_commands), list(app.registered_groups)
            before = _command_names(app)
            try:
                with keep_global_state(f"plugin {plugin.name}"), stdout_on_stderr():
                    hook(app)
                names = _command_names(app)
                if taken := next((name for name in names if name in before and names.count(name) > 1), None):
                    raise ValueError(f"the command {taken!r} exists already")
            except (Exception, SystemExit) as error:
                app.registered_commands[:], app.registered_groups[:] = commands, groups
                failed.append(
                    f"plugin {plugin.name!r} of {plugin.distribution} {plugin.version} "
                    f"could not add its commands: {type_and_first_line(error)}"
                )
        return failed


def built_in_name(kind: str, name: str, others: Sequence[str]) -> str:
    """Return the warning about a built-in name that plugins use, too.

    Args:
        kind: plural kind of the entries.
        name: the name.
        others: full names of the plugins' entries.
    """
    return f"{kind}: {name!r} is built in; write {' or '.join(others)} for that of the plugin"


@functools.cache
def load_registry() -> Registry:
    """Return the result of `discover`, cached for this process."""
    return discover()


def discover(third_party: bool = True) -> Registry:
    """Load every plugin of the entry-point group ``mtkd``; a failure does not affect other plugins.

    Environment variables select third-party plugins by the name of the entry point or distribution:
    ``MTKD_PLUGINS=a,b`` loads only these (empty: none), ``MTKD_DISABLE_PLUGINS=a,b`` others (``*``: none).

    Args:
        third_party: whether to load plugins besides the built-in ones.
    """
    plugins: list[Plugin] = []
    entries: list[Registered] = []
    commands: list[tuple[Plugin, Callable[[typer.Typer], None]]] = []
    for point, found in entry_points():
        if not found.builtin and not third_party:
            continue
        if not found.builtin and _is_blocked(found):
            plugins.append(replace(found, status="blocked"))
            continue
        plugin, specs, command = _load(point, found)
        plugins.append(plugin)
        entries += [Registered(spec, plugin) for spec in specs]
        if command is not None:
            commands.append((plugin, command))
    losses = _losses(entries)
    entries = [
        replace(entry, spec=with_losses(entry.spec, losses)) if isinstance(entry.spec, TaskSpec) else entry
        for entry in entries
    ]
    entries.sort(key=lambda entry: (entry.spec.kind, entry.spec.name, entry.plugin.distribution))
    return Registry(tuple(plugins), tuple(entries), tuple(commands))


def entry_points() -> list[tuple[metadata.EntryPoint, Plugin]]:
    """Return the group's entry points without loading them: built-in ones first, then by name."""
    distributions: dict[int, tuple[str, str]] = {}
    found = []
    for point in metadata.entry_points(group=GROUP):
        # Each access to the metadata parses it again, so read it once per distribution.
        key = id(point.dist)
        if key not in distributions:
            fields = point.dist.metadata if point.dist else {"Name": "unknown", "Version": "unknown"}
            distributions[key] = (normalize_name(str(fields["Name"])), str(fields["Version"]))
        found.append((point, Plugin(point.name, *distributions[key], module=point.value)))
    return sorted(found, key=lambda pair: (not pair[1].builtin, pair[1].distribution, pair[1].name))


def _losses(entries: list[Registered]) -> dict[str, LossSpec]:
    """Return the losses by their names in a recipe; a duplicate name belongs to the first loss."""
    found: dict[str, LossSpec] = {}
    for entry in entries:
        if isinstance(entry.spec, LossSpec):
            found[entry.full_name if entry.spec.name in found else entry.spec.name] = entry.spec
    return found


def _is_blocked(plugin: Plugin) -> bool:
    names = {plugin.name, plugin.distribution}
    only, without = os.environ.get(ONLY), os.environ.get(WITHOUT, "")
    if only is not None and not names & _plugin_names(only):
        return True
    return bool({*names, "*"} & _plugin_names(without))


def _plugin_names(text: str) -> set[str]:
    """Return the names in an environment variable, as written and normalized."""
    return {name for word in _words(text) for name in (word, normalize_name(word))}


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]


def normalize_name(name: str) -> str:
    """Return the normalized name of a distribution: ``My_Plugin`` becomes ``my-plugin``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _load(
    point: metadata.EntryPoint, plugin: Plugin
) -> tuple[Plugin, list[Spec], Callable[[typer.Typer], None] | None]:
    """Load a plugin; return it with its specs and its hook for commands. A failure makes it ``broken``."""
    started, modules_before = time.perf_counter(), set(sys.modules)
    hook: Callable[..., Any] | None = None
    specs: list[Spec] = []
    try:
        with keep_global_state(f"plugin {plugin.name}"), stdout_on_stderr():
            hooks = hooks_of(point.load())
            for name, hook in hooks.items():
                specs += specs_of(name, hook) if name != COMMANDS else []
        refuse_duplicates(specs)
    except (Exception, SystemExit) as error:
        where = fault_location(error, point.module, hook)
        return replace(plugin, status="broken", error=type_and_first_line(error), location=where), [], None
    registers = [f"{spec.kind}:{spec.name}" for spec in specs] + (["commands"] if COMMANDS in hooks else [])
    heavy = tuple(name for name in HEAVY if name in sys.modules and name not in modules_before)
    seconds = time.perf_counter() - started
    loaded = replace(plugin, registers=tuple(registers), seconds=seconds, heavy=heavy)
    return loaded, specs, hooks.get(COMMANDS)


def _command_names(app: typer.Typer) -> list[str]:
    """Return the names of the application's commands and groups in the order they were added."""
    from typer.main import get_command_name

    commands = [
        c.name or get_command_name(getattr(c.callback, "__name__", "")) for c in app.registered_commands
    ]
    groups = [
        g.name or (g.typer_instance.info.name if g.typer_instance else None) for g in app.registered_groups
    ]
    return [*commands, *(str(name) for name in groups)]
