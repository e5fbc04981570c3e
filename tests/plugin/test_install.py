"""`mtkd install` and `uninstall` call pip, load nothing, and say what is new."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from mtkd_cli.cli import app
from mtkd_cli.errors import PluginError, UsageError
from mtkd_cli.plugin import install

if TYPE_CHECKING:
    from tests.conftest import PluginWriter

NEVER = "raise AssertionError('it was loaded')"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Note pip's command lines instead of running them; everything becomes installed as ``Mtkd_Mine``."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        commands.append(command)
        if "--report" in command:
            report = {"install": [{"metadata": {"name": "Mtkd_Mine"}}, {"metadata": {"name": "other"}}]}
            Path(command[command.index("--report") + 1]).write_text(json.dumps(report))
        offers = [
            {
                "name": "mine",
                "distribution": "mtkd-mine",
                "version": "1.0",
                "status": "ok",
                "registers": ["strategies:mine"],
            }
        ]
        said = b"pip says why" if "pip" in command else json.dumps(offers)
        return SimpleNamespace(returncode=int("fails" in command), stdout=said)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def mtkd(*arguments: str) -> Any:
    return CliRunner().invoke(app.create(with_plugins=False), arguments)


def test_forwards_pip_options_in_order(pip: list[list[str]]) -> None:
    done = mtkd("install", "-e", "./mine", "--upgrade", "--index-url", "https://a.b/c", "other>=1.2", "-v")
    assert done.exit_code == 0, done.output
    start = pip[0].index("--report") + 2
    assert pip[0][:4] == [sys.executable, "-m", "pip", "install"]
    expected = ["-e", "./mine", "--upgrade", "--index-url", "https://a.b/c", "other>=1.2", "-v"]
    assert pip[0][start:] == expected


def test_lists_new_offers(pip: list[list[str]]) -> None:
    done = mtkd("install", "mtkd-mine")
    assert "mtkd-mine 1.0 offers: strategies mine" in done.stdout
    assert "Also installed, without mtkd plugins: other" in done.stdout
    assert pip[1][1:] == ["-m", "mtkd_cli", "plugins", "--json"], "asked in a process of its own"
    found = json.loads(mtkd("install", "mtkd-mine", "--json").stdout)
    assert found["installed"] == ["mtkd-mine", "other"]
    assert found["plugins"][0]["registers"] == ["strategies:mine"]


def test_reports_pip_failure(pip: list[list[str]]) -> None:
    with pytest.raises(PluginError, match="pip install fails failed with 1"):
        install.install(["fails"])
    done = mtkd("install", "fails")
    assert done.exit_code == 1
    assert "pip says why" in done.stderr


@pytest.mark.parametrize(("option", "shown"), [([], False), (["--verbose"], True), (["-v"], True)])
def test_output_of_pip_is_shown_only_on_request(
    pip: list[list[str]], monkeypatch: pytest.MonkeyPatch, option: list[str], shown: bool
) -> None:
    given, run = [], subprocess.run

    def noted(command: list[str], **settings: Any) -> Any:
        given.append(settings)
        return run(command, **settings)

    monkeypatch.setattr(subprocess, "run", noted)
    done = mtkd("install", "mtkd-mine", *option)
    assert done.exit_code == 0
    assert "pip says why" not in done.stderr
    assert (given[0]["stdout"] == 2) is shown
    assert ("--no-input" in pip[0]) is not shown


def test_warns_about_built_in_name_and_shows_location_of_a_fault(
    pip: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    thief = {"distribution": "mtkd-mine", "version": "1.0", "status": "ok", "registers": ["strategies:mean"]}
    broken = {"distribution": "other", "version": "2.0", "status": "broken", "registers": []}
    broken |= {"error": "OSError: no", "location": "/site/other.py:7", "remedy": "mtkd uninstall other"}
    monkeypatch.setattr(install, "offers_of", lambda names: [thief, broken])
    done = mtkd("install", "mtkd-mine")
    assert "strategies: 'mean' is built in; write mtkd-mine:mean for that of the plugin" in done.stderr
    assert "broken: /site/other.py:7: OSError: no (remove it: mtkd uninstall other)" in " ".join(
        done.stdout.split()
    )


def test_hints_at_uv_without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else there(name))
    with pytest.raises(UsageError, match="no pip") as caught:
        install.install(["-e", "./my folder"])
    assert caught.value.hint == f"uv pip install --python {sys.executable} -e './my folder'"


def test_uninstalls_without_loading(plugin: PluginWriter, pip: list[list[str]]) -> None:
    plugin("Mtkd_Broken", NEVER, point="broken", version="0.7")
    done = mtkd("uninstall", "mtkd.broken")
    assert done.stdout == "uninstalled mtkd-broken 0.7 (plugin broken)\n"
    assert pip == [
        [sys.executable, "-m", "pip", "uninstall", "--disable-pip-version-check", "--yes", "mtkd-broken"]
    ]


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        ("mtkd-brokn", "no distribution 'mtkd-brokn' with mtkd plugins", "did you mean 'mtkd-broken'?"),
        ("torch", "no distribution 'torch' with mtkd plugins", "known: mtkd-broken"),
        ("mtkd", "mtkd cannot uninstall itself", "pip"),
    ],
)
def test_uninstalls_only_plugins(
    plugin: PluginWriter, pip: list[list[str]], name: str, says: str, hint: str
) -> None:
    plugin("mtkd-broken", NEVER)
    with pytest.raises(UsageError, match=says) as caught:
        install.uninstall(["mtkd-broken", name])
    assert hint in caught.value.hint
    assert pip == []


def test_installs_plugin_without_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], **_: Any) -> Any:
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(subprocess, "run", hang)
    assert install.offers_of(["mtkd-mine"]) == []
