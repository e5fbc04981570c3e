"""Schema of ``student.json``. The document is validated before anything that it names is loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces.data import Column
from mtkd_cli.interfaces.models import InputSpec
from mtkd_cli.interfaces.placement import Fit, sides
from mtkd_cli.interfaces.table_format import TableFormat
from mtkd_cli.recipe.schema import Data, Loss
from mtkd_cli.safe_loading.local_code import PREFIX

FORMAT = 1
AGAIN = "copy the run again, or run its recipe again"

Name = Annotated[str, Field(min_length=1, max_length=4096)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Channels = Annotated[int, Field(ge=1, le=1_000_000)]
Side = Annotated[int, Field(ge=1, le=65_536)]
Size = Side | tuple[Side, Side]
Length = Annotated[int, Field(ge=0, le=1_000_000)]
MAX_LABEL = 100_000_000
"""Maximum size of the label of one sample, in numbers."""


class _Part(BaseModel):
    """A part of the document, with strict keys and types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Request(_Part):
    """The request to the student's provider, see `mtkd_cli.interfaces.ModelRequest`."""

    model: Name
    channels: Channels
    size: Size
    outputs: Annotated[int, Field(ge=1, le=1_000_000)]


class TaskName(_Part):
    """The task and its options."""

    name: Name
    options: dict[str, JsonValue]


class Labels(_Part):
    """Shape and type of one sample's label."""

    shape: Annotated[tuple[Length, ...], Field(max_length=8)]
    dtype: Annotated[str, Field(pattern=r"^(int(8|16|32|64)|float(16|32|64))$")]

    @model_validator(mode="after")
    def _not_huge(self) -> Labels:
        if math.prod(self.shape) > MAX_LABEL:
            raise ValueError("the label is too large")
        return self


@dataclass(frozen=True, kw_only=True)
class Reads(InputSpec):
    """Inputs of the training data, and the conversion of a file to such an input.

    Attributes:
        kind: ``image`` or ``table``.
        fit: how an image fills the grid, see `mtkd_cli.interfaces.placement.Fit`.
        table: format of the files of a table.
    """

    kind: Literal["image", "table"]
    fit: Fit
    table: TableFormat | None = None


class StudentDocument(_Part):
    """The content of ``student.json``.

    Attributes:
        code: SHA-256 of the source of each local file or module that the run used, by reference.
        signature: signature of the other keys by the run's user, see `mtkd_cli.inference.own_runs`.
    """

    format: Literal[1]
    model: str
    provider: Name
    request: Request
    task: TaskName
    loss: Loss
    data: Data
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=1_000_000)]
    input: InputSpec
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None
    reads: Reads
    labels: Labels
    test: dict[str, float | None]
    weights: Sha256
    code: dict[str, str] | None = None
    signature: Sha256 | None = None

    @property
    def model_code(self) -> list[str]:
        """References to the local code of the student's model and task."""
        model = f"{self.provider.rpartition(':')[2]}:{self.request.model}"
        return [name for name in (model, self.task.name) if name.startswith(PREFIX)]

    @model_validator(mode="after")
    def _check_inputs(self) -> StudentDocument:
        for spec in (self.input, self.reads):
            _check_input(spec)
        return self


def parse_document(facts: Mapping[str, Any], where: str) -> StudentDocument:
    """Return the validated document.

    Raises:
        DataError: the format is not supported, or a key is invalid; names the first one.
    """
    found = facts.get("format")
    if found != FORMAT:
        raise DataError(
            f"student.json has the format {found!r:.40}; this version of mtkd supports format {FORMAT}",
            where=where,
            hint="use the version of mtkd that wrote it",
        )
    try:
        return StudentDocument.model_validate_json(json.dumps(facts))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the document"
        raise DataError(
            f"student.json is not valid: {key}: {first['msg']}", where=where, hint=AGAIN
        ) from error


def _check_input(spec: InputSpec) -> None:
    numbers = (*spec.mean, *spec.std, *spec.range, spec.crop)
    if not all(map(math.isfinite, numbers)) or not 0 < spec.crop <= 1:
        raise ValueError("an input has an invalid mean, std, range or crop")
    if not all(1 <= side <= 65_536 for side in sides(spec.size or 1)):
        raise ValueError("an input has an invalid size")
    if not (spec.channels is None or 1 <= spec.channels <= 1_000_000):
        raise ValueError("an input has an invalid number of channels")
    if not all(isinstance(column, Column) for column in spec.columns):
        raise ValueError("an input has an invalid column")
