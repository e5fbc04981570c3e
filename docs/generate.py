"""Write what is generated of the documentation; a test checks that it is current.

python docs/generate.py
"""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import MISSING, fields
from pathlib import Path

import typer
from typer.cli import get_docs_for_click

from mtkd_cli import hookspecs
from mtkd_cli.cli.app import create
from mtkd_cli.plugin.validation import HOOKS, REGISTERING
from mtkd_cli.recipe.json_schema import json_schema
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
    }
    for page in sorted(HERE.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if INCLUDED.search(text):
            found[page] = INCLUDED.sub(_with_content, text)
    return found


def commands_page() -> str:
    """Return the reference of the commands, as ``--help`` has them, without those of plugins."""
    command = typer.main.get_command(create(with_plugins=False))
    context = typer.Context(command, info_name="mtkd")
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
