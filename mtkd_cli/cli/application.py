"""Typer applications with ``-h``, flags without a type in the help, and suggestions for other words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from mtkd_cli.cli.synonyms import suggestion

Function = TypeVar("Function", bound=Callable[..., Any])

HELP = {"help_option_names": ["--help", "-h"]}
"""Settings of a context whose commands show their help with either option."""


class Command(TyperCommand):
    """A command whose help shows a flag without ``<bool>``."""

    def get_params(self, ctx: Any) -> Any:
        return _without_flag_types(super().get_params(ctx))

    def get_help_option_names(self, ctx: Any) -> list[str]:
        return _in_order(super().get_help_option_names(ctx), ctx)


class Group(TyperGroup):
    """A group of commands that suggests a command where the given one is unknown."""

    def get_params(self, ctx: Any) -> Any:
        return _without_flag_types(super().get_params(ctx))

    def get_help_option_names(self, ctx: Any) -> list[str]:
        return _in_order(super().get_help_option_names(ctx), ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            if ctx.parent is None and (hint := suggestion(args[0], self.commands)):
                error.message = f"No such command {args[0]!r}. {hint}"
            raise


class Application(typer.Typer):
    """An application of `Group` and `Command`; commands of plugins become such commands, too."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"cls": Group, "context_settings": HELP, **settings})

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
        return super().command(name, **{"cls": Command, **settings})


def _without_flag_types(params: Any) -> Any:
    """Return the parameters; an empty metavar of each flag keeps ``<bool>`` out of the help."""
    for param in params:
        if isinstance(param, TyperOption) and param.is_bool_flag:
            param.metavar = param.metavar or ""
    return params


def _in_order(names: list[str], ctx: Any) -> list[str]:
    """Return help options in the order of the settings; Typer returns them as a set has them."""
    return [name for name in ctx.help_option_names if name in names]
