"""Install and remove distributions by the running interpreter's pip. No plugin is loaded here."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtkd_cli.errors import PluginError, UsageError, nearest_or_all
from mtkd_cli.plugin.registry import BUILTIN, ONLY, WITHOUT, Plugin, entry_points, normal

SECONDS_TO_LOAD = 120
"""How long new plugins may take to say what they offer."""


def install(arguments: Sequence[str]) -> list[str]:
    """Install what pip's arguments name, and return the distributions that are new or new again.

    Raises:
        UsageError: there is no pip; the line for uv is given.
        PluginError: pip fails; what it said is on stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        _pip("install", ["--report", str(report), *arguments], shown=arguments)
        found = json.loads(report.read_text(encoding="utf-8"))
    return sorted(normal(item["metadata"]["name"]) for item in found["install"])


def uninstall(names: Sequence[str]) -> list[Plugin]:
    """Remove distributions that have plugins, and return these plugins.

    Raises:
        UsageError: one of the names has no plugin, or is mtkd itself; nothing is removed then.
        PluginError: pip fails.
    """
    there = [plugin for _, plugin in entry_points() if not plugin.builtin]
    wanted = [normal(name) for name in names]
    for name, word in zip(wanted, names, strict=True):
        if name == BUILTIN:
            raise UsageError(
                "mtkd does not remove itself", hint=f"{shlex.quote(sys.executable)} -m pip uninstall mtkd"
            )
        if name not in {plugin.distribution for plugin in there}:
            raise UsageError(
                f"no distribution {word!r} has plugins of mtkd",
                hint=nearest_or_all(name, {plugin.distribution for plugin in there}),
            )
    _pip("uninstall", ["--yes", *wanted], shown=wanted)
    return [plugin for plugin in there if plugin.distribution in wanted]


def offers_of(distributions: Sequence[str]) -> list[dict[str, Any]]:
    """Return what `mtkd plugins --json` says of some distributions, asked in a process of its own.

    Only their plugins are loaded there; one that hangs or ends the process is no harm here.
    """
    environment = {key: value for key, value in os.environ.items() if key != WITHOUT}
    environment[ONLY] = ",".join(distributions)
    with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
        done = subprocess.run(
            [sys.executable, "-m", "mtkd_cli", "plugins", "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_TO_LOAD,
            env=environment,
        )
        rows = json.loads(done.stdout)
        return [row for row in rows if row["distribution"] in distributions]
    return []


def _pip(action: str, arguments: Sequence[str], shown: Sequence[str]) -> None:
    """Run pip; what it prints goes to stderr."""
    if importlib.util.find_spec("pip") is None:
        python = shlex.quote(sys.executable)
        raise UsageError(
            "this Python has no pip",
            where=sys.executable,
            hint=f"uv pip {action} --python {python} {shlex.join(shown)}",
        )
    command = [sys.executable, "-m", "pip", action, "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=2, check=False)  # noqa: S603
    if done.returncode:
        raise PluginError(
            f"pip {action} {shlex.join(shown)} failed with {done.returncode}",
            where=sys.executable,
            hint="pip's own messages are above",
        )
