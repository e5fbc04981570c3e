"""Completion in a shell: recipes, keys and values of recipes, entries and runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mtkd_cli.cli.app import create

if TYPE_CHECKING:
    from tests.conftest import PluginWriter


def fish(line: str) -> list[str]:
    """Return what fish is offered for a line; it keeps ``KEY=VALUE`` one word."""
    environment = {"_MTKD_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": line}
    environment["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    done = CliRunner().invoke(create(), [], prog_name="mtkd", env=environment)
    return [row.split("\t")[0] for row in done.stdout.splitlines() if row]


def bash(*words: str) -> list[str]:
    """Return what bash is offered for the last of the words; it splits words at ``=``."""
    environment = {"COMP_WORDS": "\n".join(("mtkd", *words)), "COMP_CWORD": str(len(words))}
    done = CliRunner().invoke(
        create(), [], prog_name="mtkd", env={"_MTKD_COMPLETE": "complete_bash", **environment}
    )
    return [row for row in done.stdout.splitlines() if row]


def test_recipes_are_built_in_names_and_files() -> None:
    Path("digits-mine.yaml").write_text("task: classification\n")
    Path("digits.txt").write_text("")
    assert fish("mtkd distill dig") == [
        "digit-scenes-det",
        "digit-scenes-merge",
        "digit-scenes-seg",
        "digits",
        "digits-merge",
        "digits-mine.yaml",
    ]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("train.ep", ["train.epochs=30"]),
        ("train.opti", ["train.optimizer=adamw", "train.optimizer=sgd"]),
        ("train.optimizer=s", ["train.optimizer=sgd"]),
        ("strategy=me", ["strategy=mean", "strategy=mean-logit", "strategy=median"]),
        ("strategy=consensus strategy.t", ["strategy.tau=0.1"]),
        ("teachers.2.na", ["teachers.2.name="]),
        ("teachers.3.na", []),
        ("nothing", []),
    ],
)
def test_keys_and_values_of_a_recipe(typed: str, offered: list[str]) -> None:
    assert fish(f"mtkd distill digits {typed}") == offered


def test_several_keys_are_offered_without_values() -> None:
    offered = fish("mtkd distill digits train.")
    assert {"train.epochs=", "train.lr=", "train.seed="} <= set(offered)
    assert len(offered) == len(set(offered))


def test_bash_gets_the_part_after_the_equals_sign() -> None:
    assert bash("distill", "digits", "strategy", "=", "me") == ["mean", "mean-logit", "median"]
    assert bash("distill", "digits", "train.optimizer", "=") == ["adamw", "sgd"]
    assert bash("distill", "digits", "strategy", "=", "consensus", "strategy.t") == ["strategy.tau=0.1"]


def test_options_of_a_plugin_are_keys(plugin: PluginWriter) -> None:
    plugin(
        "mtkd-loud",
        """
        @hookimpl
        def mtkd_register_aggregators():
            option = Option("power", str, None, "How loud.", choices=("low", "high"))
            return [AggregatorSpec("loud", "One line.", "m:A", options=(option,))]
        """,
    )
    assert fish("mtkd distill digits strategy=lo") == ["strategy=loud"]
    assert fish("mtkd distill digits strategy=loud strategy.p") == [
        "strategy.power=low",
        "strategy.power=high",
    ]


def test_runs_and_entries(run: Path) -> None:
    assert fish("mtkd evaluate s") == ["small"]
    assert fish("mtkd report s") == ["small"]
    assert fish("mtkd distill --resume s") == [], "it is done"
    assert fish("mtkd show conf") == ["confidence"]
    assert "runs" in fish("mtkd list r")


def test_a_failure_completes_nothing(plugin: PluginWriter) -> None:
    plugin("mtkd-extra", "@hookimpl\ndef mtkd_register_commands(app):\n    raise ValueError\n")
    Path("broken.yaml").write_text("a: [")
    environment = {"_MTKD_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    environment["COMP_WORDS"] = "mtkd distill broken.yaml train.ep"
    done = CliRunner().invoke(create(), [], prog_name="mtkd", env=environment)
    assert (done.stdout.strip(), done.stderr) == ("train.epochs=30", "")
