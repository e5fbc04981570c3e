"""Read and write YAML 1.2, strictly.

PyYAML reads ``1e-3`` as a string and ``no`` as False, and silently uses the last of duplicate keys. Here
``1e-3`` is a number, ``no`` is a string, and a duplicate key is an error.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

from mtkd_cli.errors import MtkdError, UsageError

LONGEST_NUMBER = 1000
"""Maximum number of characters of a number; Python itself refuses 4,300 digits."""


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of the YAML 1.2 core schema; every key is a string."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  (PyYAML's own shape)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed here", mark)
        if getattr(event, "tag", None) not in (None, "!"):
            raise yaml.composer.ComposerError(None, None, "tags are not allowed here", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key.start_mark)
            if key.value in mapping:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key {key.value!r}", key.start_mark
                )
            mapping[key.value] = self.construct_object(value, deep=deep)
        return mapping


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float:
    text = node.value
    if len(text) > LONGEST_NUMBER:
        raise yaml.constructor.ConstructorError(None, None, "a number of too many digits", node.start_mark)
    if re.fullmatch(r"[-+]?[0-9]+", text):
        return int(text)
    if re.fullmatch(r"0o[0-7]+|0x[0-9a-fA-F]+", text):
        return int(text, 0)
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_NUMBER = re.compile(
    r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan"
)
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:null", re.compile(r"~|null|"), ["~", "n", ""]),
    ("tag:yaml.org,2002:bool", re.compile(r"true|false"), ["t", "f"]),
    ("tag:mtkd,2026:number", _NUMBER, list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern.pattern})$"), _first)
_Loader.add_constructor("tag:mtkd,2026:number", _number)


def load(text: str, source: str) -> Any:
    """Return the value of a YAML document.

    Args:
        text: one YAML document.
        source: name of the file, for messages.

    Raises:
        UsageError: the text is not YAML, or has a duplicate key, an alias or a tag.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader)
    except yaml.YAMLError as error:
        raise _explain(error, source) from error
    except RecursionError as error:
        raise UsageError("invalid YAML: nested too deeply", where=source) from error


def _explain(error: yaml.YAMLError, source: str) -> MtkdError:
    mark = getattr(error, "problem_mark", None)
    where = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark else source
    reasons = [getattr(error, name, None) for name in ("context", "problem", "reason")]
    problem = ", ".join(reason for reason in reasons if reason) or "it cannot be read"
    return UsageError(f"invalid YAML: {problem}", where=where, hint="fix this line")


def dump(value: Any) -> str:
    """Return ``value`` as YAML text, from which `load` returns the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None)


def dump_inline(value: Any) -> str:
    """Return ``value`` as YAML in one line, to be written after a key."""
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**9
    )
    return text.removesuffix("...\n").strip()


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes strings which YAML 1.2 would read as numbers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_str(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if _NUMBER.fullmatch(value) or value in ("", "~", "null", "true", "false"):
        style = "'"
    elif not value.isprintable():
        style = '"'  # the only style that keeps every kind of line break
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _represent_str)
