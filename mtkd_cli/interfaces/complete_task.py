"""Tasks are complete when they are constructed: errors name all methods and attributes that are missing."""

from __future__ import annotations

import sys
from abc import ABCMeta
from typing import Any

from mtkd_cli.errors import PluginError

REQUIRED = ("primary", "outputs")
"""Attributes without a default, which a class or its constructor must set."""


class Complete(ABCMeta):
    """Metaclass that raises an error when a task with missing methods or attributes is constructed."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the task.

        Raises:
            PluginError: required methods or attributes are missing; names all of them.
        """
        methods = sorted(cls.__abstractmethods__)
        if methods:
            missing = ", ".join(f"{name}()" for name in methods)
            raise PluginError(
                f"the task {cls.__name__} lacks the methods {missing}",
                where=location(cls),
                hint="add them to the class; mtkd_cli.interfaces.Task documents them",
            )
        task = super().__call__(*args, **kwargs)
        attributes = [name for name in REQUIRED if not hasattr(task, name)]
        if attributes:
            raise PluginError(
                f"the task {cls.__name__} lacks the attributes {', '.join(attributes)}",
                where=location(cls),
                hint="set them in the class or in its __init__",
            )
        return task


def location(task: type) -> str:
    """Return the file (or the module without one) and the name of a class, for messages."""
    module = sys.modules.get(task.__module__)
    return f"{getattr(module, '__file__', None) or task.__module__}: {task.__qualname__}"
