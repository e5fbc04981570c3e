"""Write what is generated of the documentation; a test checks that it is current.

python docs/generate.py
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import ModuleType

import typer
from typer.cli import get_docs_for_click

from mtkd_cli import hookspecs
from mtkd_cli.cli.app import create
from mtkd_cli.plugin.validation import HOOKS, REGISTERING
from mtkd_cli.recipe.json_schema import json_schema
from mtkd_cli.report import (
    audit_result,
    calibration,
    comparison_result,
    costs,
    gallery,
    results,
    run_result,
    search_result,
    timing,
)
from mtkd_cli.specs import KINDS, Option

HERE = Path(__file__).parent
INCLUDED = re.compile(r"(<!-- (plugins/\S+) -->\n```python\n).*?(```)", re.DOTALL)
"""A block of code that is a file's content."""


def pages() -> dict[Path, str]:
    """Return the text of every generated page."""
    found = {
        HERE / "recipe.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        HERE / "hooks.md": hooks_page(),
        HERE / "commands.md": commands_page(),
        HERE / "report-format.md": report_format_page(),
    }
    for page in sorted(HERE.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if INCLUDED.search(text):
            found[page] = INCLUDED.sub(_with_content, text)
    return found


def commands_page() -> str:
    """Return the reference of the commands, as ``--help`` has them, without those of plugins."""
    command = typer.main.get_command(create(with_plugins=False))
    context = typer.Context(command, info_name="mtkd", **command.context_settings)
    text = get_docs_for_click(obj=command, ctx=context, name="mtkd", title="Commands")
    return (
        text.replace("# Commands\n", "# Commands\n\nGenerated from the command line itself.\n", 1).strip()
        + "\n"
    )


def hooks_page() -> str:
    """Return the reference of the hooks and of the specs that they return."""
    about = inspect.cleandoc(hookspecs.__doc__ or "").partition("\n\n")[2].replace("::\n", ":\n")
    lines = ["# Hooks", "", "Generated from `mtkd_cli/hookspecs.py` and `mtkd_cli/specs.py`.", ""]
    lines += [_fenced(_markdown(about))]
    for name in HOOKS:
        hook = getattr(hookspecs, name)
        arguments = ", ".join(inspect.signature(hook).parameters)
        lines += [f"## `{name}({arguments})`", "", _markdown(inspect.getdoc(hook) or ""), ""]
        if name in REGISTERING:
            kind = KINDS[REGISTERING[name]]
            lines += [f"Returns a list of `{kind.__name__}`:", "", *_table(kind), ""]
    lines += ["## `Option`", "", (inspect.getdoc(Option) or "").partition("\n")[0], "", *_table(Option), ""]
    return "\n".join(lines)


FORMATS = {
    results.REPORT: ("a finished run", "RunResult", (run_result, costs, calibration, gallery, timing)),
    results.AUDIT: ("an audit", "Audit", (audit_result,)),
    results.COMPARISON: ("a comparison", "Comparison", (comparison_result,)),
    results.SEARCH: ("a search", "Search", (search_result,)),
}
"""Result files: what they are of, the type of the whole, and the modules with the types of their parts."""

REPORT_FORMAT = """# Result files

Generated from the types in `mtkd_cli/report/`.

`report.json`, `audit.json`, `comparison.json` and `search.json` have a `format` number. mtkd reads files of
earlier versions, also those without a number, and refuses files with a later one. `--json` prints a result
as its file has it; `mtkd.distill` returns the same, and trackers receive the same.

`Number` is a number, or `null` where it is undefined (R2 of labels that are all the same). `Scores` are
numbers by metric, the one that decides first. An `Estimate` has a `value` and the ends of its 95 % interval,
`low` and `high`, `null` where there are too few samples for one; a `Difference` also has a two-sided p value,
`p`. `None` is `null`, a `tuple` is an array, a `Mapping` an object.

`mtkd_cli.report.results.read(folder)` returns the typed result of a folder.
"""


def report_format_page() -> str:
    """Return the reference of the result files."""
    lines = [REPORT_FORMAT]
    for file, (what, whole, modules) in FORMATS.items():
        lines += [f"## `{file}`: {what}", ""]
        kinds = {kind.__name__: kind for module in modules for kind in _types_of(module)}
        for name in (whole, *(name for name in kinds if name != whole)):
            about = (inspect.getdoc(kinds[name]) or "").partition("\n")[0]
            title = [] if name == whole else [f"### {name}", "", _markdown(about), ""]
            lines += [*title, *_typed_table(kinds[name]), ""]
    return "\n".join(lines)


def _types_of(module: ModuleType) -> list[type]:
    """Return the types that a module defines."""
    own = (kind for kind in vars(module).values() if isinstance(kind, type) and is_dataclass(kind))
    return [kind for kind in own if kind.__module__ == module.__name__]


def _typed_table(kind: type) -> list[str]:
    """Return a row for each field of a part of a result; the format number first, as in the file."""
    said = _attributes(kind.__doc__ or "")
    rows = ["| field | type | meaning |", "| --- | --- | --- |"]
    for field in sorted(fields(kind), key=lambda field: field.name != "format"):  # type: ignore[arg-type]
        written = str(field.type).replace("|", "\\|")
        rows.append(f"| `{field.name}` | `{written}` | {said[field.name]} |")
    return rows


def _table(kind: type) -> list[str]:
    """Return a row for each field of a spec, as its docstrings say what it is."""
    said = {}
    for ancestor in reversed(kind.__mro__):
        said |= _attributes(ancestor.__doc__ or "")
    rows = ["| field | default | meaning |", "| --- | --- | --- |"]
    for field in fields(kind):  # type: ignore[arg-type]
        default = "required" if field.default is MISSING else f"`{field.default!r}`"
        rows.append(f"| `{field.name}` | {default} | {said[field.name]} |")
    return rows


def _attributes(doc: str) -> dict[str, str]:
    """Return what a docstring says of each attribute."""
    section = inspect.cleandoc(doc).partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    for line in section.splitlines():
        if match := re.match(r"    (\w+): (.*)", line):
            found[match[1]] = match[2]
        elif found and line.strip():
            found[[*found][-1]] += f" {line.strip()}"
    return {name: _markdown(text) for name, text in found.items()}


def _markdown(text: str) -> str:
    """Return a docstring's text with code as Markdown has it."""
    return re.sub("``(.+?)``", r"`\1`", text)


def _fenced(text: str) -> str:
    """Return a docstring with its indented code between fences."""
    return re.sub(
        r"\n\n((?:    .*\n|\n)+)",
        lambda match: "\n\n```python\n" + inspect.cleandoc(match[1]) + "\n```\n\n",
        text + "\n",
    )


def _with_content(match: re.Match[str]) -> str:
    return match[1] + (HERE / match[2]).read_text(encoding="utf-8") + match[3]


def main() -> None:
    """Write every page."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
