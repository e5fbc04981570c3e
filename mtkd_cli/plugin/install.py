"""Install and uninstall distributions with the running interpreter's pip. Loads no plugin."""

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
from mtkd_cli.plugin.registry import BUILTIN, ONLY, WITHOUT, Plugin, entry_points, normalize_name

SECONDS_TO_LOAD = 120
"""Timeout for loading newly installed plugins."""


def install(arguments: Sequence[str]) -> list[str]:
    """Run ``pip install`` and return the names of the distributions that it installed.

    Args:
        arguments: arguments of ``pip install``.

    Raises:
        UsageError: pip is not installed; the hint is the command for uv.
        PluginError: pip failed; its messages are on stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        _pip("install", ["--report", str(report), *arguments], shown=arguments)
        found = json.loads(report.read_text(encoding="utf-8"))
    return sorted(normalize_name(item["metadata"]["name"]) for item in found["install"])


def uninstall(names: Sequence[str]) -> list[Plugin]:
    """Uninstall distributions with plugins, and return these plugins.

    Raises:
        UsageError: a distribution has no plugin, or is mtkd itself; nothing is uninstalled then.
        PluginError: pip failed.
    """
    plugins = [plugin for _, plugin in entry_points() if not plugin.builtin]
    distributions = [normalize_name(name) for name in names]
    for name, word in zip(distributions, names, strict=True):
        if name == BUILTIN:
            raise UsageError(
                "mtkd cannot uninstall itself", hint=f"{shlex.quote(sys.executable)} -m pip uninstall mtkd"
            )
        if name not in {plugin.distribution for plugin in plugins}:
            raise UsageError(
                f"no distribution {word!r} with mtkd plugins is installed",
                hint=nearest_or_all(name, {plugin.distribution for plugin in plugins}),
            )
    _pip("uninstall", ["--yes", *distributions], shown=distributions)
    return [plugin for plugin in plugins if plugin.distribution in distributions]


def offers_of(distributions: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of `mtkd plugins --json` for some distributions, from a separate process.

    The process loads only these plugins. If one hangs or ends the process, the result is empty.
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
    """Run pip with its output on stderr; ``shown`` are the arguments for messages."""
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
            hint="see the messages of pip above",
        )
