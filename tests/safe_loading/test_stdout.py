"""stdout is for results: what plugins and local code print goes to stderr."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtkd_cli.plugin.registry import discover
from mtkd_cli.safe_loading import load_attribute
from mtkd_cli.safe_loading.stdout import stdout_on_stderr
from tests.conftest import PluginWriter


def test_redirects_stdout_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with stdout_on_stderr():
        print("within")
    print("after")
    assert capsys.readouterr() == ("after\n", "within\n")


def test_local_code_prints_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text("print('loading')\nvalue = 1\n")
    assert load_attribute("mine.py:value") == 1
    assert capsys.readouterr() == ("", "loading\n")


def test_plugin_prints_to_stderr(plugin: PluginWriter, capsys: pytest.CaptureFixture[str]) -> None:
    plugin("mtkd-loud", "print('loading')\n", point="loud")
    discover()
    assert capsys.readouterr() == ("", "loading\n")
