"""`mtkd plugins`: the list, new ones, the checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from mtkd_cli.cli.app import create

if TYPE_CHECKING:
    from tests.conftest import PluginWriter

LOUD = """
@hookimpl
def mtkd_register_aggregators():
    option = Option("power", float, 1.0, "of the confidence", minimum=0.0)
    return [AggregatorSpec("loud", "One line.", "{module}:Loud", options=(option,){more})]

class Loud:
    def __init__(self, power):
        self.power = power

    def weights(self, batch):
        import torch
        weights = torch.softmax(-self.power * batch.uncertainty, dim=0)
        return {answer}
"""


def mtkd(*arguments: str) -> Any:
    return CliRunner().invoke(create(), arguments, env={"COLUMNS": "200"})


def loud(plugin: PluginWriter, answer: str = "weights", more: str = "") -> None:
    """Install a strategy whose weights are ``answer``."""
    plugin("mtkd-loud", LOUD.format(module="mtkd_loud_0", answer=answer, more=more), version="2.0")


def test_lists_origin_offers_and_load_time(plugin: PluginWriter) -> None:
    loud(plugin)
    (line,) = [line for line in mtkd("plugins").stdout.splitlines() if line.startswith("mtkd-loud")]
    name, distribution, version, status, milliseconds, unit, *registers = line.split()
    assert (name, distribution, version, status, unit) == ("mtkd-loud", "mtkd-loud", "2.0", "ok", "ms")
    assert float(milliseconds) >= 0
    assert registers == ["strategies:", "loud"]
    rows = json.loads(mtkd("plugins", "--json").stdout)
    assert [row["remedy"] for row in rows if row["name"] == "mtkd-loud"] == ["mtkd uninstall mtkd-loud"]


def test_check_accepts_name_and_distribution(plugin: PluginWriter) -> None:
    loud(plugin)
    for name in ("loud", "mtkd-loud:loud", "Mtkd_Loud"):
        done = mtkd("plugins", "check", name, "power=3", "--json")
        assert done.exit_code == 0, done.output
        listing, strategy = json.loads(done.stdout)
        assert (listing["kind"], listing["result"]) == ("listing", "ok")
        assert (strategy["name"], strategy["kind"], strategy["result"]) == ("loud", "strategies", "ok")
        assert strategy["plugin"] == "mtkd-loud 2.0"
        assert "classification" in strategy["said"]


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ("weights / len(weights)", "weights sum to 1 for each sample"),
        ("weights + 0 * batch.error", "it uses 'labels' but does not declare it"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_check_reports_broken_rule(plugin: PluginWriter, answer: str, rule: str) -> None:
    loud(plugin, answer)
    done = mtkd("plugins", "check", "loud")
    assert done.exit_code == 1
    assert "broken" in done.stdout
    assert rule in " ".join(done.stdout.split())


def test_check_reports_missing_requirement(plugin: PluginWriter) -> None:
    rows = json.loads(mtkd("plugins", "check", "image-folder", "--json").stdout)
    assert [(row["result"], row["said"]) for row in rows if row["kind"] == "data"] == [
        ("not checked", "pass the required options: path=…")
    ]


def test_check_reports_broken_plugin(plugin: PluginWriter) -> None:
    plugin("mtkd-broken", "1 / 0")
    done = mtkd("plugins", "check", "mtkd-broken")
    assert done.exit_code == 1
    assert "offers nothing: " in done.stderr
    assert ".py:5: ZeroDivisionError" in done.stderr
    assert "mtkd uninstall mtkd-broken" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check", "confidance"), "did you mean 'confidence'?"),
        (("check", "consensus", "tua=1"), "did you mean 'tau'?"),
        (("check", "consensus", "tau=-1"), "must be at least 0.001"),
        (("check", "consensus", "tau"), "is not key=value"),
        (("new", "mtkd-mine", "--kind", "stratgy"), "did you mean 'strategy'?"),
        (("new", "../mine"), "invalid distribution name"),
    ],
)
def test_rejects_wrong_arguments(arguments: tuple[str, ...], says: str) -> None:
    done = mtkd("plugins", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr
    found = json.loads(mtkd("plugins", *arguments, "--json").stdout)
    assert found["error"]["code"] in ("usage", "recipe")


def test_new_writes_plugin_and_next_step() -> None:
    done = mtkd("plugins", "new", "mtkd-mine", "--kind", "tracker")
    assert "mtkd install -e ./mtkd-mine" in done.stdout
    assert "mtkd_register_trackers" in Path("mtkd-mine/mtkd_mine.py").read_text()
    assert mtkd("plugins", "new", "mtkd-mine").exit_code == 2, "nothing is overwritten"
    assert json.loads(mtkd("plugins", "new", "mtkd-b", "--json").stdout) == {
        "folder": "mtkd-b",
        "kind": "strategy",
    }
