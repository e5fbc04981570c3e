"""What users of other tools type: ``-h``, ``version``, and other programs' words for commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.main import get_command

from mtkd_cli import __version__
from mtkd_cli.cli.app import create
from mtkd_cli.cli.synonyms import COMMANDS
from tests.fixtures.command_line import mtkd

if TYPE_CHECKING:
    from tests.conftest import PluginWriter

NAMES = set(get_command(create(with_plugins=False)).commands)  # type: ignore[attr-defined]

PLUGIN = """
@hookimpl
def mtkd_register_commands(app):
    @app.command()
    def greet(loud: bool = False):
        "Greet."
"""


@pytest.mark.parametrize("command", [[], ["distill"], ["store"], ["store", "list"], ["greet"]])
def test_h_is_help_in_every_command(command: list[str], plugin: PluginWriter) -> None:
    plugin("mtkd-extra", PLUGIN)
    short, long = mtkd(*command, "-h"), mtkd(*command, "--help")
    assert (short.exit_code, short.stdout) == (0, long.stdout)
    assert "Usage:" in short.stdout


@pytest.mark.parametrize("command", [["distill"], ["greet"], ["list"]])
def test_help_of_a_flag_has_no_type(command: list[str], plugin: PluginWriter) -> None:
    plugin("mtkd-extra", PLUGIN)
    assert "bool" not in mtkd(*command, "--help").stdout


def test_version_is_a_command() -> None:
    assert mtkd("version").stdout == f"mtkd {__version__}\n"
    assert json.loads(mtkd("version", "--json").stdout) == {"version": __version__}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("train", "mtkd distill RECIPE"),
        ("Train", "mtkd distill RECIPE"),
        ("distil", "distill"),
        ("eval", "evaluate"),
        ("test", "mtkd evaluate RUN"),
        ("strategies", "mtkd list strategies"),
        ("help", "mtkd --help"),
    ],
)
def test_other_words_suggest_a_command(word: str, meant: str) -> None:
    result = mtkd(word, COLUMNS="200")
    assert result.exit_code == 2
    assert f"No such command '{word}'. Did you mean '{meant}'?" in result.stderr


def test_an_unrelated_word_suggests_nothing() -> None:
    assert "Did you mean" not in mtkd("zzzz").stderr


def test_words_of_other_tools_suggest_commands_that_exist() -> None:
    assert {meant.split()[1] for meant in COMMANDS.values()} <= NAMES | {"--help"}
    assert NAMES.isdisjoint(COMMANDS)
