"""Frozen descriptions of what plugins offer.

A spec is cheap: it names an implementation as ``"module:attribute"`` and imports it
only in `Spec.load`. Listing, showing and checking a recipe read specs alone.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from mtkd_cli.errors import nearest_or_all

API_VERSIONS = (1,)
"""Plugin API versions that this mtkd understands."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a plugin offers, a teacher and a run may be called."""

OPTION_TYPES = (int, float, bool, str, list, dict)
NEEDS = ("labels", "student", "validation", "averages")


@dataclass(frozen=True)
class Option:
    """One option of a plugin, as it is written in a recipe.

    Attributes:
        name: the key in the recipe.
        type: ``int``, ``float``, ``bool``, ``str``, ``list`` (of numbers or strings, one
            alone stands for a list of it) or ``dict``.
        default: the value when the key is absent.
        summary: one line, with the unit.
        minimum: smallest allowed number.
        maximum: largest allowed number.
        choices: the allowed strings, if there are only some.
        required: whether the key must be given.
    """

    name: str
    type: type
    default: Any = None
    summary: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False

    def __post_init__(self) -> None:
        if self.type not in OPTION_TYPES:
            known = ", ".join(t.__name__ for t in OPTION_TYPES)
            raise TypeError(f"option {self.name!r} has the type {self.type!r}; known: {known}")
        if (self.minimum, self.maximum) != (None, None) and self.type not in (int, float):
            raise TypeError(f"option {self.name!r} has a range but is no number")
        if self.choices and self.type is not str:
            raise TypeError(f"option {self.name!r} has choices but is no str")


@dataclass(frozen=True)
class Spec:
    """What every kind of spec has.

    Attributes:
        name: the name users write.
        summary: one line, shown by ``mtkd list``.
        factory: ``"module:attribute"`` of the implementation.
        options: the keys that a recipe may set.
        api: the plugin API version that the implementation was written for.
    """

    name: str
    summary: str
    factory: str
    options: tuple[Option, ...] = ()
    api: int = 1

    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            wanted = {"str": str, "int": int, "bool": bool}.get(str(field.type), tuple)
            if not isinstance(value, wanted):
                raise TypeError(f"{self.name!r}: {field.name} must be a {wanted.__name__}, it is {value!r}")

    def load(self) -> Any:
        """Import and return the implementation. Nothing else in a spec imports it."""
        module, _, attribute = self.factory.partition(":")
        return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True)
class AggregatorSpec(Spec):
    """A strategy: how much each teacher counts.

    Attributes:
        needs: any of ``"labels"``, ``"student"`` (its output), ``"validation"`` (calls ``fit``): what is not
            named here is not given; ``"averages"``: outputs that may be averaged number by number.
        tasks: names of the tasks it serves; empty means all.
        formula: the weights or the combined output, in one line.
        paper: where it comes from.
    """

    needs: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    formula: str = ""
    paper: str = ""

    kind: ClassVar[str] = "strategies"

    def __post_init__(self) -> None:
        super().__post_init__()
        for need in self.needs:
            if need not in NEEDS:
                raise ValueError(f"{self.name!r} needs {need!r}; {nearest_or_all(need, NEEDS)}")


@dataclass(frozen=True)
class TaskSpec(Spec):
    """A task: what outputs mean, how they are merged, learnt and measured.

    Attributes:
        primary: the metric that decides, with its direction (``"accuracy (higher is better)"``).
        averages: whether outputs may be averaged number by number, as boxes may not.
    """

    primary: str = ""
    averages: bool = True

    kind: ClassVar[str] = "tasks"


@dataclass(frozen=True)
class TeacherSpec(Spec):
    """A provider of teachers, and of students where it can build trainable modules.

    Attributes:
        example: a model reference as it is written in a recipe.
        trainable: whether it can build students.
        requires: distributions whose version decides what a model answers.
        inputs: what its models take: any of ``"image"`` and ``"table"``.
        tasks: names of the tasks that its models serve; empty means all.
        by_id: whether its models have their answers by sample id (`Model.predictions`) and see no views.
    """

    example: str = ""
    trainable: bool = True
    requires: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ("image",)
    tasks: tuple[str, ...] = ()
    by_id: bool = False

    kind: ClassVar[str] = "teachers"


@dataclass(frozen=True)
class DataSpec(Spec):
    """A data source.

    Attributes:
        tasks: names of the tasks whose targets it has.
        inputs: what its samples are: ``"image"`` or ``"table"``.
    """

    tasks: tuple[str, ...] = ()
    inputs: str = "image"

    kind: ClassVar[str] = "data"


@dataclass(frozen=True)
class TrackerSpec(Spec):
    """A tracker of runs; see `mtkd_cli.interfaces.Tracker`."""

    kind: ClassVar[str] = "trackers"


@dataclass(frozen=True)
class RecipeSpec(Spec):
    """A built-in recipe; ``factory`` is ``"package:file.yaml"``."""

    kind: ClassVar[str] = "recipes"

    def load(self) -> str:
        """Return the recipe's text, comments included."""
        import importlib.resources

        package, _, file = self.factory.partition(":")
        return importlib.resources.files(package).joinpath(file).read_text(encoding="utf-8")


KINDS: dict[str, type[Spec]] = {
    spec.kind: spec for spec in (AggregatorSpec, TaskSpec, TeacherSpec, DataSpec, RecipeSpec, TrackerSpec)
}
"""Spec type of each kind, by the plural name that the command line uses."""
