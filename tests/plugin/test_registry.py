"""A broken plugin is a warning row, a built-in name stays built-in, and the built-in plugins always work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer

from mtkd_cli.errors import UsageError
from mtkd_cli.plugin.registry import discover
from tests.conftest import HEADER

if TYPE_CHECKING:
    from tests.conftest import PluginWriter

GOOD = """
@hookimpl
def mtkd_register_aggregators():
    return [AggregatorSpec("{name}", "One line.", "nowhere:Mine")]
"""


def test_lists_third_party_strategy(plugin: PluginWriter) -> None:
    plugin("Loud_est", GOOD.format(name="loudest"), point="loud", version="3.1")
    entry = discover().find("strategies", "loudest")
    assert (entry.plugin.distribution, entry.plugin.version, entry.plugin.name) == ("loud-est", "3.1", "loud")
    assert entry.plugin.registers == ("strategies:loudest",)
    assert entry.plugin.remedy == "mtkd uninstall loud-est"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module_here", "ModuleNotFoundError: "),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("1 / 0", "ZeroDivisionError: "),
        ("def broken(:", "SyntaxError"),
        (
            "@hookimpl\ndef mtkd_register_agregators():\n    return []",
            "unknown hook 'mtkd_register_agregators'; did you mean 'mtkd_register_aggregators'?",
        ),
        (
            "@hookimpl\ndef mtkd_regster_data():\n    return []",
            "unknown hook 'mtkd_regster_data'; did you mean 'mtkd_register_data'?",
        ),
        ("def mtkd_register_data():\n    return []", "'mtkd_register_data' is not marked with @hookimpl"),
        ("@hookimpl\ndef mtkd_register_data(config):\n    return []", "config"),
        (
            "@hookimpl\ndef mtkd_register_commands(app=None):\n    pass",
            "the argument 'app' must not have a default",
        ),
        ("@hookimpl\ndef mtkd_register_data():\n    return None", "it must return a list of DataSpecs"),
        ("@hookimpl\ndef mtkd_register_data():\n    return DataSpec('a', 's', 'm:A')", "must return a list"),
        ("@hookimpl\ndef mtkd_register_data():\n    return ['digits']", "returned 'digits'; it must return"),
        ("@hookimpl\ndef mtkd_register_data():\n    return [TeacherSpec('a', 's', 'm:A')]", "DataSpecs"),
        ("@hookimpl\ndef mtkd_register_data():\n    raise SystemExit(3)", "SystemExit: 3"),
        (
            "@hookimpl\ndef mtkd_register_data():\n    return [DataSpec('a', 's', 'm:A', api=0)]",
            "'a' is for plugin API 0; this mtkd supports 1",
        ),
        (
            "@hookimpl\ndef mtkd_register_data():\n    return [DataSpec('../a', 's', 'm:A')]",
            "invalid name '../a'",
        ),
        (
            "@hookimpl\ndef mtkd_register_data():\n    return [DataSpec('a', 's', 'm:A')] * 2",
            "it registers 'a' in data twice",
        ),
        (
            "@hookimpl\ndef mtkd_register_aggregators():\n"
            "    return [AggregatorSpec('a', 's', 'm:A', needs=('student_output',))]",
            "'a' needs 'student_output'; did you mean 'student'?",
        ),
    ],
)
def test_broken_plugin_has_error_and_remedy(plugin: PluginWriter, text: str, says: str) -> None:
    plugin("mtkd-broken", text, version="0.7")
    found = discover()
    (row,) = [p for p in found.plugins if p.status == "broken"]
    (warning,) = found.warnings()
    assert says in row.error
    assert warning.startswith("plugin 'mtkd-broken' of mtkd-broken 0.7 is broken: ")
    assert warning.endswith("(remove it: mtkd uninstall mtkd-broken)")
    assert "\n" not in warning
    assert "mean" in found.names("strategies")


def test_rejects_ambiguous_name(plugin: PluginWriter) -> None:
    plugin("first-dist", GOOD.format(name="twin"), point="same")
    plugin("second-dist", GOOD.format(name="twin"), point="same")
    found = discover()
    with pytest.raises(UsageError) as caught:
        found.find("strategies", "twin")
    assert "first-dist:twin, second-dist:twin" in caught.value.what
    assert "write first-dist:twin or second-dist:twin" in caught.value.hint
    assert found.find("strategies", "second-dist:twin").plugin.distribution == "second-dist"
    (warning,) = found.warnings()
    assert "write first-dist:twin or second-dist:twin" in warning


def test_a_built_in_name_is_the_built_in_entry(plugin: PluginWriter) -> None:
    plugin("thief", GOOD.format(name="mean"))
    found = discover()
    assert found.find("strategies", "mean").plugin.builtin
    assert found.find("strategies", "mtkd:mean").plugin.builtin
    assert found.find("strategies", "thief:mean").plugin.distribution == "thief"
    assert found.warnings() == ["strategies: 'mean' is built in; write thief:mean for that of the plugin"]
    assert [e.full_name for e in found.listing("strategies") if found.is_shadowed(e)] == ["thief:mean"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1\n\n1 / 0\n", 3),
        ("def broken(:\n", 1),
        ("import no_such_module_here", 1),
        ("@hookimpl\ndef mtkd_register_data():\n    x = 1\n    return [DataSpec('a', 's', 3)]", 4),
        ("@hookimpl\ndef mtkd_register_data():\n    return None", 1),
        ("@hookimpl\ndef mtkd_register_data():\n    return json.loads('{')\nimport json", 3),
        ("@hookimpl\ndef mtkd_register_agregators():\n    return []", None),
    ],
)
def test_broken_plugin_has_file_and_line(plugin: PluginWriter, text: str, line: int | None) -> None:
    site = plugin("mtkd-broken", text)
    found = discover()
    (row,) = [p for p in found.plugins if p.status == "broken"]
    expected = str(site / "mtkd_broken_0.py")
    assert row.location == (f"{expected}:{HEADER.count(chr(10)) + line}" if line else expected)
    assert f"is broken: {row.location}: {row.error} (remove it" in found.warnings()[0]


def test_error_of_a_library_is_located_in_the_plugin(plugin: PluginWriter) -> None:
    site = plugin("mtkd-broken", "import their_library\n")
    (site / "their_library.py").write_text("\n\n\nraise OSError('no license')\n")
    (row,) = [p for p in discover().plugins if p.status == "broken"]
    assert row.location == f"{site / 'mtkd_broken_0.py'}:{HEADER.count(chr(10)) + 1}"


def test_suggests_nearest_entry(plugin: PluginWriter) -> None:
    with pytest.raises(UsageError, match="no 'confidance' in strategies") as caught:
        discover().find("strategies", "confidance")
    assert caught.value.hint == "did you mean 'confidence'?"


@pytest.mark.parametrize(
    ("variable", "value", "loaded"),
    [
        ("MTKD_PLUGINS", "one", {"one"}),
        ("MTKD_PLUGINS", "Dist_One, two", {"one", "two"}),
        ("MTKD_PLUGINS", "", set()),
        ("MTKD_DISABLE_PLUGINS", "one", {"two"}),
        ("MTKD_DISABLE_PLUGINS", "*", set()),
        ("MTKD_DISABLE_PLUGINS", "", {"one", "two"}),
    ],
)
def test_environment_selects_plugins(
    plugin: PluginWriter, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, loaded: set[str]
) -> None:
    plugin("dist-one", GOOD.format(name="s-one"), point="one")
    plugin("dist-two", GOOD.format(name="s-two"), point="two")
    monkeypatch.setenv(variable, value)
    found = discover()
    assert {p.name for p in found.plugins if p.status == "ok" and not p.builtin} == loaded
    assert {p.name for p in found.plugins if p.status == "blocked"} == {"one", "two"} - loaded
    assert "mean" in found.names("strategies"), "the built-in plugins cannot be blocked"
    assert found.warnings() == []


def test_warns_about_unknown_plugin_in_environment(
    plugin: PluginWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin("dist-one", GOOD.format(name="s-one"))
    monkeypatch.setenv("MTKD_DISABLE_PLUGINS", "dist-onee")
    assert discover().warnings() == [
        "MTKD_DISABLE_PLUGINS names 'dist-onee', which is not an installed plugin; did you mean 'dist-one'?"
    ]


def test_discover_without_third_party_runs_no_plugin_code(plugin: PluginWriter) -> None:
    plugin("never-run", "raise AssertionError('it was run')")
    found = discover(third_party=False)
    assert {p.distribution for p in found.plugins} == {"mtkd"}


def test_listing_is_sorted(plugin: PluginWriter) -> None:
    plugin("z-dist", GOOD.format(name="aaa"))
    plugin("a-dist", GOOD.format(name="zzz"))
    names = [entry.spec.name for entry in discover().listing("strategies")]
    assert names == sorted(names)
    assert {"aaa", "zzz"} < set(names)


def test_plugin_output_goes_to_stderr(plugin: PluginWriter, capsys: pytest.CaptureFixture[str]) -> None:
    plugin("chatty", "print('hello from chatty')")
    discover()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "hello from chatty" in printed.err


COMMANDS = """
@hookimpl
def mtkd_register_commands(app):
    app.command()({name})

def {name}():
    print("did it")
"""


def test_plugin_adds_command(plugin: PluginWriter) -> None:
    plugin("extra", COMMANDS.format(name="do_it"))
    app = typer.Typer()
    assert discover().add_commands(app) == []
    assert [command.callback.__name__ for command in app.registered_commands if command.callback] == ["do_it"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "@hookimpl\ndef mtkd_register_commands(app):\n    app.command('x')(print)\n    [][0]",
            "IndexError",
        ),
        (COMMANDS.format(name="taken"), "the command 'taken' exists already"),
        ("@hookimpl\ndef mtkd_register_commands():\n    pass", "TypeError"),
    ],
)
def test_failing_commands_hook_adds_nothing(plugin: PluginWriter, text: str, says: str) -> None:
    plugin("extra", text)
    app = typer.Typer()
    app.command(name="taken")(lambda: None)
    (line,) = discover().add_commands(app)
    assert says in line
    assert "extra 1.0" in line
    assert [command.name for command in app.registered_commands] == ["taken"]
