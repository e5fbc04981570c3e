"""Output and exit code of each command."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from mtkd_cli import __version__
from mtkd_cli.cli import app as application
from mtkd_cli.distributed.parent_watch import PARENT
from mtkd_cli.specs import KINDS
from tests.fixtures.command_line import mtkd

if TYPE_CHECKING:
    from tests.conftest import PluginWriter

BAD = "task: classification\ndata: digits\nteachers: ['mlp:8']\nstrategy: meen\nstudent: mlp:4\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        *(["list", kind] for kind in KINDS),
        ["plugins"],
        ["show", "strategy", "weighted"],
        ["show", "task", "classification"],
        ["show", "teacher", "timm"],
        ["show", "data", "image-folder"],
        ["show", "recipe", "digits"],
        ["init", "digits"],
        ["list", "nothing"],
        ["list", "runs"],
        ["report", "nothing"],
        ["show", "strategy", "nothing"],
        ["distill", "nothing"],
        ["init", "nothing"],
    ],
)
def test_json_is_the_only_output(arguments: list[str]) -> None:
    result = mtkd(*arguments, "--json")
    answer = json.loads(result.stdout)
    if "nothing" in arguments:
        assert result.exit_code == 2
        assert set(answer["error"]) >= {"code", "message", "hint", "where"}
    else:
        assert result.exit_code == 0
        assert result.stderr == ""


def test_list_strategies_shows_summary_needs_and_tasks() -> None:
    arguments = ("list", "strategies", "--long")
    wide, narrow = mtkd(*arguments, COLUMNS="200").stdout, mtkd(*arguments).stdout
    for said in ("confidence", "(CA-MKD)", "labels, validation", "classification", f"mtkd {__version__}"):
        assert said in wide
        assert said in narrow
    assert max(map(len, narrow.splitlines())) <= 80
    for heading in ("name", "what it does", "tasks", "needs", "plugin"):
        assert heading in wide.splitlines()[1]


@pytest.mark.parametrize("columns", ["60", "80", "100", "200"])
def test_list_never_cuts_names(columns: str, registry: Any) -> None:
    names = mtkd("list", COLUMNS=columns).stdout.replace(",", " ").split()
    assert {entry.spec.name for entry in registry.entries} <= set(names)
    printed = mtkd("list", "--long", COLUMNS=columns).stdout
    for entry in registry.entries:
        assert entry.spec.name in printed
        assert getattr(entry.spec, "example", "") in printed
    assert "…" not in printed


def test_list_shows_the_plugin_of_what_is_not_built_in(plugin: PluginWriter) -> None:
    plugin(
        "mtkd-extra",
        """
        @hookimpl
        def mtkd_register_aggregators():
            return [AggregatorSpec(name, "One line.", "m:A") for name in ("mean", "other")]
        """,
        version="3.1",
    )
    listed = mtkd("list", "strategies", COLUMNS="200").stdout
    assert [line.split()[0] for line in listed.splitlines() if "(mtkd-extra 3.1)" in line] == [
        "mtkd-extra:mean",
        "other",
    ]
    assert __version__ not in listed
    assert "other (mtkd-extra 3.1)" in " ".join(mtkd("list", COLUMNS="200").stdout.split())


def test_list_json_has_plugin_and_version() -> None:
    rows = json.loads(mtkd("list", "strategies", "--json").stdout)
    row = next(row for row in rows if row["name"] == "confidence")
    assert (row["plugin"], row["version"], row["needs"]) == ("mtkd", __version__, "labels, validation")
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)


def test_show_prints_options_formula_and_paper() -> None:
    printed = mtkd("show", "strategy", "weighted").stdout
    for said in ("formula", "mtkd_aggregators.weighted:Weighted", "tau", "0.1", "validation, class, fixed"):
        assert said in printed
    facts = json.loads(mtkd("show", "strategy", "weighted", "--json").stdout)
    assert facts["options"][1]["minimum"] > 0


def test_show_accepts_plural_and_full_name() -> None:
    assert mtkd("show", "strategies", "mtkd:mean").stdout == mtkd("show", "strategy", "mean").stdout


def test_show_finds_the_kind() -> None:
    assert mtkd("show", "confidence").stdout == mtkd("show", "strategy", "confidence").stdout
    assert mtkd("show", "mtkd:confidence").stdout == mtkd("show", "strategy", "confidence").stdout


def test_show_names_the_kinds_of_an_ambiguous_name() -> None:
    result = mtkd("show", "digits")
    assert result.exit_code == 2
    assert "2 kinds have 'digits': data, recipes" in result.stderr
    assert "write mtkd show data digits or mtkd show recipe digits" in result.stderr


def test_show_recipe_prints_the_file() -> None:
    mtkd("init", "digits", "copy.yaml")
    assert mtkd("show", "recipe", "digits").stdout == Path("copy.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["list", "strategy"], "did you mean 'strategies'?"),
        (["show", "stratgy", "mean"], "did you mean 'strategy'?"),
        (["show", "strategy", "meen"], "did you mean 'mean'?"),
        (["show", "meen"], "did you mean 'mean'?"),
        (["show", "zzzz"], "mtkd list shows all names"),
        (["show", "strategies"], "mtkd list strategies shows the names"),
        (["distill", "digts"], "did you mean 'digits'?"),
        (["distill", "train.epochs=3"], "the recipe is missing"),
        (["distill", "digits", "train.epochs"], "for example train.epochs=3"),
        (["init", "digts"], "did you mean 'digits'?"),
        (["lst"], "list"),
        (["list", "--jsn"], "--json"),
    ],
)
def test_suggests_nearest_name(arguments: list[str], says: str) -> None:
    result = mtkd(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_reports_every_problem_of_a_recipe(registry: Any) -> None:
    Path("r.yaml").write_text(BAD)
    result = mtkd("distill", "r.yaml", "student=nope:1")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: the recipe has 2 problems",
        "  where: r.yaml",
        "- no 'meen' in strategies",
        "  where: r.yaml: strategy",
        "  do: did you mean 'mean'?",
        "- no 'nope' in teachers",
        "  where: r.yaml: student.model",
        f"  do: known: {', '.join(sorted(registry.names('teachers')))}",
    ]


def stub(monkeypatch: pytest.MonkeyPatch, distill: Any) -> None:
    """Stand in for the part of the command that needs torch."""
    for module in (ModuleType("mtkd_cli.runs.start"), ModuleType("mtkd_cli.cli.render.plan")):
        module.run_recipe = module.plan = distill  # type: ignore[attr-defined]
        module.resume_hint = nullcontext  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_warns_about_local_code(monkeypatch: pytest.MonkeyPatch) -> None:
    stub(monkeypatch, lambda *_: None)
    Path("my.py").write_text("class Mine:\n    'Mine.'\n")
    result = mtkd("distill", "digits", "strategy=python:my.py:Mine")
    assert result.exit_code == 0
    assert result.stderr == "warning: this recipe runs local code: python:my.py:Mine\n"


def test_worker_does_not_repeat_warnings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stub(monkeypatch, lambda *_: None)
    Path("my.py").write_text("class Mine:\n    'Mine.'\n")
    result = mtkd("distill", "digits", "strategy=python:my.py:Mine", **{PARENT: "1"})
    assert (result.exit_code, result.stderr) == (0, "")


def test_shows_traceback_only_with_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("lost\nmore")

    stub(monkeypatch, fail)
    result = mtkd("distill", "digits")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: unexpected KeyError")
    assert "mtkd --debug" in result.stderr
    with pytest.raises(KeyError):
        mtkd("--debug", "distill", "digits")


def test_interrupt_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    stub(monkeypatch, interrupt)
    assert mtkd("distill", "digits").exit_code == 130


def test_init_never_overwrites() -> None:
    assert mtkd("init", "digits").exit_code == 0
    Path("digits.yaml").write_text("mine")
    result = mtkd("init", "digits")
    assert result.exit_code == 2
    assert "digits.yaml exists" in result.stderr
    assert Path("digits.yaml").read_text() == "mine"
    assert mtkd("init", "digits", "no/such/folder.yaml").exit_code == 2


def test_init_schema_writes_all_or_nothing() -> None:
    Path("mtkd-recipe.schema.json").write_text("mine")
    assert mtkd("init", "digits", "--schema").exit_code == 2
    assert not Path("digits.yaml").exists()
    Path("mtkd-recipe.schema.json").unlink()
    assert mtkd("init", "digits", "--schema").exit_code == 0
    assert "$schema=mtkd-recipe.schema.json" in Path("digits.yaml").read_text().splitlines()[0]
    assert json.loads(Path("mtkd-recipe.schema.json").read_text())["title"] == "mtkd recipe"


def test_broken_plugin_is_one_warning(plugin: PluginWriter) -> None:
    plugin("mtkd-broken", "raise RuntimeError('[red]boom[/red]\\x1b[31m')", version="0.7")
    for arguments in (["list", "strategies"], ["show", "strategy", "mean"], ["plugins"], ["list", "--json"]):
        result = mtkd(*arguments)
        assert result.exit_code == 0
        assert result.stderr.count("warning: ") == 1
        assert (
            "RuntimeError: [red]boom[/red]\\x1b[31m (remove it: mtkd uninstall mtkd-broken)" in result.stderr
        )
    assert "broken" in mtkd("plugins", COLUMNS="200").stdout
    assert mtkd("--help").exit_code == 0


def test_escapes_markup_and_control_characters(plugin: PluginWriter) -> None:
    plugin(
        "mtkd-markup",
        """
        @hookimpl
        def mtkd_register_aggregators():
            text = "[bold]loud[/bold] :heart: \\x1b[31mred"
            option = Option("power", float, 1.0, "[i]of what[/i]")
            return [AggregatorSpec("markup", text, "m:A", formula="w[k]", options=(option,))]
        """,
    )
    listed = mtkd("list", "strategies", COLUMNS="200").stdout
    assert "[bold]loud[/bold] :heart: \\x1b[31mred" in listed
    shown = mtkd("show", "strategy", "markup").stdout
    assert "w[k]" in shown
    assert "[i]of what[/i]" in shown
    assert "\x1b" not in listed + shown


def test_plugins_lists_blocked_plugin(plugin: PluginWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin("mtkd-broken", "1 / 0")
    monkeypatch.setenv("MTKD_DISABLE_PLUGINS", "*")
    result = mtkd("plugins")
    assert "blocked" in result.stdout
    assert result.stderr == ""


def test_plugin_command_runs_and_is_in_help(plugin: PluginWriter) -> None:
    plugin(
        "mtkd-extra",
        """
        @hookimpl
        def mtkd_register_commands(app):
            @app.command()
            def greet():
                "Greet."
                print("hello")
        """,
    )
    assert "greet" in mtkd("--help").stdout
    assert mtkd("greet").stdout == "hello\n"


def test_respects_force_color_and_no_color() -> None:
    assert "\x1b[" not in mtkd("list").stdout
    assert "\x1b[" in mtkd("list", FORCE_COLOR="1").stdout
    plain = mtkd("list", FORCE_COLOR="1", NO_COLOR="1").stdout
    assert "\x1b[3" not in plain, "bold remains, colors do not"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mtkd", *arguments])
    with pytest.raises(SystemExit) as caught:
        application.run()
    return int(caught.value.code or 0)


@pytest.mark.parametrize("arguments", [["list", "--bogus"], ["bogus"], ["show", "strategy"], ["distill"]])
def test_usage_error_is_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments, "--json") == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"


def test_json_exits_with_0(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "list", "recipes", "--json") == 0
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [["--version"], ["--debug", "--version"]])
def test_version_loads_no_plugin(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    plugin: PluginWriter,
    arguments: list[str],
) -> None:
    plugin("marker", "open('it-ran', 'w').close()")
    assert run(monkeypatch, *arguments) == 0
    assert capsys.readouterr().out == f"mtkd {__version__}\n"
    assert not Path("it-ran").exists()
