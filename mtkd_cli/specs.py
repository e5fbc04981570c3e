"""Frozen descriptions of the entries of plugins.

A spec is cheap: it names an implementation as ``"module:attribute"`` and imports it only in `Spec.load`.
Listing, showing and checking a recipe only read specs.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from mtkd_cli.errors import nearest_or_all
from mtkd_cli.interfaces.types import Metric

API_VERSIONS = (1,)
"""Supported plugin API versions."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Valid names of plugin entries, teachers and runs."""

OPTION_TYPES = (int, float, bool, str, list, dict)
NEEDS = ("labels", "student", "validation", "averages")
ROLES = ("", "uniform", "best-teacher")
"""Roles of strategies in audits and comparisons: equal weights; the best teacher on validation."""


@dataclass(frozen=True)
class Option:
    """One option of a plugin entry, as a recipe sets it.

    Attributes:
        name: key in the recipe.
        type: ``int``, ``float``, ``bool``, ``str``, ``list`` (of numbers or strings; a single value is a
            list of one) or ``dict``.
        default: value if the key is missing.
        summary: description in one line, with the unit.
        minimum: smallest allowed number.
        maximum: largest allowed number.
        choices: allowed strings; empty allows all.
        required: whether the key must be set.
        aliases: former spellings of the key, which still work.
        pair: whether a list of two values is allowed too, such as [height, width].
        reason: why numbers outside the range do not work, as the end of the message of such a number.
    """

    name: str
    type: type
    default: Any = None
    summary: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False
    aliases: tuple[str, ...] = ()
    pair: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        if self.type not in OPTION_TYPES:
            known = ", ".join(t.__name__ for t in OPTION_TYPES)
            raise TypeError(f"option {self.name!r} has the type {self.type!r}; known: {known}")
        if (self.minimum, self.maximum) != (None, None) and self.type not in (int, float):
            raise TypeError(f"option {self.name!r} has a range but its type is not a number")
        if self.choices and self.type is not str:
            raise TypeError(f"option {self.name!r} has choices but its type is not str")


@dataclass(frozen=True)
class Spec:
    """The fields of every kind of spec.

    Attributes:
        name: name in recipes and on the command line.
        summary: one line, shown by ``mtkd list``.
        factory: ``"module:attribute"`` of the implementation.
        options: options that a recipe may set.
        api: plugin API version of the implementation.
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
            expected = {"str": str, "int": int, "bool": bool}.get(str(field.type), tuple)
            if not isinstance(value, expected):
                raise TypeError(f"{self.name!r}: {field.name} must be a {expected.__name__}, it is {value!r}")

    def load(self) -> Any:
        """Import and return the implementation. No other method of a spec imports it."""
        return imported(self.factory)


def imported(reference: str) -> Any:
    """Import and return what ``"module:attribute"`` names."""
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True)
class AggregatorSpec(Spec):
    """A strategy: how much each teacher counts.

    Attributes:
        needs: any of ``"labels"``, ``"student"`` (its output) and ``"validation"`` (calls ``fit``), which are
            passed only if named; and ``"averages"``, for outputs that may be averaged element by element.
        tasks: names of the supported tasks; empty means all.
        weighs: whether it implements ``weights``. If not, it implements ``combine``, and every teacher must
            have outputs for all samples and classes.
        role: reference that audits and comparisons use it for: ``"uniform"`` (equal weights),
            ``"best-teacher"`` (the best teacher on validation), or none.
        formula: the weights or the combined output, in one line.
        paper: reference of the method.
        complexity: of equally good strategies an audit prefers the lowest number: 0 one teacher, 1 equal
            weights, 2 weights by score, 3 weights per sample or a combined output, 4 weights fitted to
            labels.
        labels_per_teacher: labeled validation samples per teacher that ``fit`` needs; with fewer an audit
            does not recommend the strategy.
        per_sample: whether what it returns for a sample depends on that sample only: not on the others of the
            batch, the student, the progress or a random number. It is then called once per sample and view.
    """

    needs: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    weighs: bool = True
    role: str = ""
    formula: str = ""
    paper: str = ""
    complexity: int = 3
    labels_per_teacher: int = 0
    per_sample: bool = False

    kind: ClassVar[str] = "strategies"

    def __post_init__(self) -> None:
        super().__post_init__()
        for need in self.needs:
            if need not in NEEDS:
                raise ValueError(f"{self.name!r} needs {need!r}; {nearest_or_all(need, NEEDS)}")
        if self.role not in ROLES:
            raise ValueError(f"{self.name!r} has the role {self.role!r}; {nearest_or_all(self.role, ROLES)}")
        if self.per_sample and "student" in self.needs:
            raise ValueError(f"{self.name!r} needs the student, so it cannot be per_sample")


@dataclass(frozen=True)
class TaskSpec(Spec):
    """A task: the meaning of outputs, and how they are merged, learned and measured.

    Attributes:
        primary: primary metric with its direction (``"accuracy (higher is better)"``).
        averages: whether outputs may be averaged element by element. Boxes may not.
        loss: name of the default distillation loss. If set, the registry adds the option ``kd``, whose
            choices are the losses registered for the task, and the options of these losses.
        metrics: its metrics, with labels for reports. Other metrics are shown by name. The label of ``rmse``
            also applies to ``rmse price``, the metric of one target.
        hub_tasks: names of the task on model hubs, for the model card: pairs of the data's input
            (``"image"``, ``"table"``) and the name (``"image-classification"``).
    """

    primary: str = ""
    metrics: tuple[Metric, ...] = ()
    hub_tasks: tuple[tuple[str, str], ...] = ()
    averages: bool = True
    loss: str = ""

    kind: ClassVar[str] = "tasks"


@dataclass(frozen=True)
class LossSpec(Spec):
    """A distillation loss: a function ``(student, teacher, temperature, **options)`` of logits ``[B, C, *]``.

    It returns one value per element, ``[B, *]``, times temperature squared if it uses the temperature. A
    recipe selects it with the key ``kd`` of the task, and sets the option ``scale`` of a loss ``l1`` with the
    key ``l1_scale``.

    Attributes:
        tasks: names of the supported tasks.
        needs_every_logit: whether it needs the logits of all classes. If so, ``store.top_k`` is refused.
        any_label_space: whether it supports teachers that know only some of the classes.
        to_mixture: whether ``teacher`` are softened probabilities, and the gradient is linear in them.
            Teachers are then mixed first, and the loss is computed once.
        whole_maps: whether it compares whole class maps and returns a value per class, ``[B, C]``.
        formula: the loss in one line.
        paper: reference of the method.
    """

    tasks: tuple[str, ...] = ()
    needs_every_logit: bool = True
    any_label_space: bool = False
    to_mixture: bool = False
    whole_maps: bool = False
    formula: str = ""
    paper: str = ""

    kind: ClassVar[str] = "losses"

    @property
    def recipe_options(self) -> tuple[Option, ...]:
        """The options by their keys in a recipe: the loss's name, an underscore, the option's name."""
        prefix = re.sub(r"[^A-Za-z0-9]+", "_", self.name)
        return tuple(
            replace(o, name=f"{prefix}_{o.name}", summary=f"{self.name}: {o.summary}") for o in self.options
        )


@dataclass(frozen=True)
class TeacherSpec(Spec):
    """A provider of teachers, and of students if it can build trainable modules.

    Attributes:
        example: a model reference, as in a recipe.
        trainable: whether it can build students.
        requires: distributions whose versions affect the outputs of its models.
        inputs: inputs of its models: any of ``"image"`` and ``"table"``.
        tasks: names of the supported tasks; empty means all.
        by_id: whether its models look up outputs by sample id (`Model.predictions`) instead of seeing views.
        local_code: whether a model is Python code, ``FILE:ATTRIBUTE``, whose source affects its outputs.
        endings: endings of the files it loads, lower case (``.onnx``); for folders, the name of a file in
            them. ``mtkd init --teacher`` finds the provider by them.
        guess: ``"module:function"`` that looks into such a file without running code in it:
            ``(path, task) -> Sequence[TeacherGuess]``, ``task`` being ``""`` if unknown. Empty: every file
            with such an ending is the model ``provider:path``.
        small: reference of a small model that ``mtkd init`` suggests as a student.
    """

    example: str = ""
    trainable: bool = True
    requires: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ("image",)
    tasks: tuple[str, ...] = ()
    by_id: bool = False
    local_code: bool = False
    endings: tuple[str, ...] = ()
    guess: str = ""
    small: str = ""

    kind: ClassVar[str] = "teachers"


@dataclass(frozen=True)
class DataSpec(Spec):
    """A data source.

    Attributes:
        tasks: names of the tasks that it has targets for.
        inputs: kind of its samples: ``"image"`` or ``"table"``.
        guess: ``"module:function"`` that recognizes the source's layout, for ``mtkd init --data``:
            ``(path, task) -> Sequence[DataGuess]``, ``task`` being ``""`` if unknown. Several guesses mean
            that the path contains several data sets.
    """

    tasks: tuple[str, ...] = ()
    inputs: str = "image"
    guess: str = ""

    kind: ClassVar[str] = "data"


@dataclass(frozen=True)
class TrackerSpec(Spec):
    """A tracker of runs; see `mtkd_cli.interfaces.Tracker`."""

    kind: ClassVar[str] = "trackers"


@dataclass(frozen=True)
class RecipeSpec(Spec):
    """A built-in recipe; ``factory`` is ``"package:file.yaml"``.

    Attributes:
        own_data: whether it needs data of the user, whose path must be written into it first.
    """

    own_data: bool = False

    kind: ClassVar[str] = "recipes"

    def load(self) -> str:
        """Return the recipe's text, comments included."""
        import importlib.resources

        package, _, file = self.factory.partition(":")
        return importlib.resources.files(package).joinpath(file).read_text(encoding="utf-8")


KINDS: dict[str, type[Spec]] = {
    spec.kind: spec
    for spec in (AggregatorSpec, TaskSpec, LossSpec, TeacherSpec, DataSpec, RecipeSpec, TrackerSpec)
}
"""Spec type of each kind, by the plural name on the command line."""
