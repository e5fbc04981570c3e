"""Schema of recipes. The description of each field has its unit; unknown keys are errors.

`mtkd_cli.recipe.reader` reads files and overrides into it; `mtkd_cli.recipe.resolve` finds the plugins
that it names.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from mtkd_cli.interfaces.output_form import OutputLayout
from mtkd_cli.interfaces.types import LossOptions
from mtkd_cli.recipe.augment import Augment as Augment
from mtkd_cli.recipe.field_types import (
    AUTO,
    BatchSize,
    Candidates,
    Epochs,
    OrAuto,
    Rate,
    Samples,
    Seed,
    Share,
    Temperature,
    Weight,
    as_tuple,
)
from mtkd_cli.recipe.field_types import is_auto as is_auto
from mtkd_cli.recipe.limits import Limits
from mtkd_cli.recipe.model_io import Input as Input
from mtkd_cli.recipe.model_io import Outputs as Outputs
from mtkd_cli.recipe.section import Section as Section
from mtkd_cli.recipe.shorthand import expand
from mtkd_cli.specs import NAME as NAME


class Plug(BaseModel):
    """A section that names a plugin; keys that are not in the schema are options of the plugin."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    name: str = Field(description="Name of the plugin, or python:FILE:ATTRIBUTE for one in a local file.")

    @property
    def options(self) -> dict[str, Any]:
        """Options of the plugin, as in the recipe."""
        return dict(self.model_extra or {})


class Data(Plug):
    """The data source, its splits, and the number of labels that the student sees."""

    val: Share = Field(
        0.2,
        description="Share of the labeled training samples used for validation, if the source has no "
        "validation split.",
    )
    test: Share = Field(
        0.2, description="Share of the labeled samples used for the test, if the source has no test split."
    )
    labels: Samples | None = Field(
        None,
        description="Number of labels to keep; others are hidden. For training and validation together, or "
        "for training alone if the source has a validation split.",
    )
    seed: Seed = Field(0, description="Seed of the splits and of the choice of labels.")


class Views(Section):
    """Number of views of each sample that are recorded."""

    count: Annotated[
        int | Literal["auto", "live"],
        Limits(1, 1000, "each is recorded; views: live has a new one each epoch"),
    ] = Field(
        "auto",
        description="Recorded views per sample; auto: 1 without augmentation, else up to 8, by the number of "
        "epochs; live: a new view each epoch.",
    )
    seed: Seed = Field(0, description="Seed of the views; independent of train.seed.")


class Fit(Section):
    """Training of a teacher on the recipe's data before the student's."""

    train: Literal["head", "all"] = Field("all", description="Trained layers: the last layer (head), or all.")
    labels: Literal["student", "all"] = Field(
        "student", description="Training labels that it sees: the student's, or all, including hidden ones."
    )
    classes: tuple[str | int, ...] | None = Field(
        None,
        min_length=1,
        description="Classes of the data that it learns, by name or number; default: all.",
    )
    epochs: Epochs = Field(20, description="Passes over its labeled samples.")
    batch_size: OrAuto[BatchSize] = Field(
        AUTO,
        description="Samples per step; auto: 8 to 64, so that an epoch has at least 20 steps if it can.",
    )
    lr: Rate = Field(3e-3, gt=0, description="Peak learning rate of AdamW.")
    weight_decay: Rate = Field(1e-2, description="Decoupled weight decay.")
    seed: Seed = Field(0, description="Seed of initial weights, order and views.")


class Teacher(Section):
    """A frozen model with an output for every sample."""

    model: str = Field(description="provider:model; mtkd list teachers shows examples.")
    name: str = Field("", description="Name in tables; must be unique. Default: the model's.")
    checkpoint: str | None = Field(
        None, description="File of weights: safetensors, .pt, .ckpt of Lightning, or another checkpoint."
    )
    checkpoint_key: str | None = Field(
        None, description="Which weights of the checkpoint to use, if it contains several: model_ema."
    )
    pretrained: bool | None = Field(
        None, description="Load the provider's trained weights. Default: true without a checkpoint."
    )
    classes: tuple[str | int, ...] | str | None = Field(
        None,
        description="Class names of its outputs in order, or a file: one name per line, or JSON; a number is "
        "an index of the data's classes.",
    )
    background: Literal["first", "none"] | None = Field(
        None, description="Whether a detector's class number 0 is the background; default: detected."
    )
    map: dict[str, tuple[str, ...]] | None = Field(
        None,
        description="Its classes that belong to a class of the data: {dog: [beagle, husky]}; other classes "
        "are matched by name.",
    )
    input: Input = Field(default_factory=Input, description="Preprocessing of its images.")
    outputs: Outputs | None = Field(
        None, description="Its outputs: logits, probabilities, values, or a mapping for a detector."
    )
    weight: Weight | None = Field(None, description="Fixed weight, for strategies that use it.")
    fit: Fit | None = Field(None, description="Training on this data first: head, all, or a mapping.")
    saw: Literal["none", "train", "all"] | None = Field(
        None,
        description="Labels of this data that it was trained on elsewhere: none, train, or all (with test). "
        "Default: unknown.",
    )

    @field_validator("map", mode="before")
    @classmethod
    def _short_map(cls, value: Any) -> Any:
        return {key: as_tuple(part) for key, part in value.items()} if isinstance(value, dict) else value

    @field_validator("fit", mode="before")
    @classmethod
    def _short_fit(cls, value: Any) -> Any:
        return {"train": value} if isinstance(value, str) else value

    @field_validator("outputs", mode="before")
    @classmethod
    def _short_outputs(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @property
    def output_kind(self) -> Literal["logits", "probabilities", "values"] | None:
        """Declared kind of its outputs."""
        return self.outputs.kind if self.outputs else None

    @property
    def output_layout(self) -> OutputLayout:
        """Declared layout of a detector's outputs."""
        declared = self.outputs.model_dump(exclude={"kind"}) if self.outputs else {}
        return OutputLayout(**declared)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if value and not NAME.fullmatch(value):
            raise ValueError("a name has letters, digits, '.', '_' and '-' only")
        return value


class Student(Section):
    """The model that is trained."""

    model: str = Field(description="provider:model; mtkd list teachers shows which can be students.")
    pretrained: bool = Field(False, description="Start from the provider's trained weights.")
    checkpoint: str | None = Field(None, description="File of weights to start from.")
    checkpoint_key: str | None = Field(
        None, description="Which weights of the checkpoint to use, if it contains several: model_ema."
    )
    input: Input = Field(default_factory=Input, description="Preprocessing of its images.")


class Loss(Section):
    """loss = (1 - kd_ratio) * task_loss + kd_ratio * kd_loss; kd_loss includes temperature squared."""

    temperature: Temperature = Field(1.0, description="Softening of teachers and student in kd_loss.")
    kd_ratio: Annotated[float | Literal["auto"], Limits(0, 1, "it is a share")] = Field(
        "auto",
        description="Share of kd_loss. auto: 0.9 if under half of the samples are labeled, else 0.5.",
    )
    features: Weight = Field(
        0.0,
        description="Weight of a loss to the teachers' features, besides kd_loss; needs recorded views.",
    )
    label_smoothing: Share = Field(
        0.0, description="Share of a label that is spread over all classes, in task_loss."
    )
    class_weights: Literal["balanced"] | tuple[Weight, ...] | None = Field(
        None, description="Weight of each class, in both losses: balanced (inverse frequency) or a list."
    )

    @field_validator("class_weights")
    @classmethod
    def _some_weight(cls, value: str | tuple[float, ...] | None) -> str | tuple[float, ...] | None:
        if isinstance(value, tuple) and not any(value):
            raise ValueError("at least one weight must be above 0")
        return value

    @property
    def for_task(self) -> LossOptions:
        """The options that the task receives."""
        return LossOptions(self.temperature, self.label_smoothing, self.class_weights)


class Train(Section):
    """Training of the student; the baselines are trained in the same way."""

    epochs: Epochs = Field(30, description="Passes over the training samples, labeled or not.")
    batch_size: OrAuto[BatchSize] = Field(
        AUTO,
        description="Samples per step; auto: 8 to 64, so that an epoch has at least 20 steps if it can.",
    )
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="adamw, or sgd with Nesterov momentum.")
    lr: Candidates = Field(
        (1e-3, 3e-3, 1e-2), description="Peak learning rate, or several; validation selects one."
    )
    weight_decay: Candidates = Field(
        (1e-2,), description="Decoupled weight decay, or several; validation selects one."
    )
    momentum: Share = Field(0.9, description="Momentum of sgd.")
    warmup: Share = Field(0.05, description="Share of the steps in which the learning rate rises.")
    clip: Annotated[float, Limits(0, 1e6, "0 sets no limit")] = Field(
        1.0, description="Maximum norm of the gradient; 0: no limit."
    )
    ema: Share = Field(0.0, description="Decay of the averaged weights per step; 0: no averaging.")
    seed: Seed = Field(0, description="Seed of initial weights, sample order and dropout.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Number format of the forward pass; auto: bf16 on a CUDA device that supports it.",
    )
    compile: bool = Field(False, description="Compile the student while training (needs a C++ compiler).")
    sync_batchnorm: bool = Field(
        False, description="Compute BatchNorm statistics over all processes; on CUDA devices only."
    )


class Store(Section):
    """Format of recorded outputs."""

    precision: Literal["auto", "fp16", "fp32", "fp64"] = Field(
        "auto",
        description="Number format of recorded outputs; auto: fp16 for logits, fp32 for boxes, fp64 for "
        "values.",
    )
    top_k: Annotated[int | Literal["auto"] | None, Limits(1, 1_000_000, "null records all classes")] = Field(
        "auto",
        description="Recorded classes per sample or pixel, and the total of the rest; null: all; "
        "auto: 4 per pixel of a map, and 50 on training views of 1,000 classes and more, at "
        "loss.temperature 1 without calibrate; else all.",
    )
    on_nan: Literal["error", "drop"] = Field(
        "error",
        description="Samples with non-finite teacher outputs: error, or drop to ignore the teacher on them.",
    )
    runtime: Literal["torch", "onnx"] = Field(
        "torch",
        description="What computes the outputs of teachers while they are recorded: torch, or onnx for ONNX "
        "Runtime, which is faster on a CPU and gives the same outputs up to rounding. It needs mtkd[onnx].",
    )


class Recipe(Section):
    """Everything that determines a run."""

    task: Plug
    data: Data
    views: Views = Field(default_factory=Views)
    augment: OrAuto[Augment] = Field(
        AUTO,
        description="Random changes in views. auto: those that keep labels true, by task and kind of image; "
        "none: no changes.",
    )
    fit: Fit = Field(default_factory=Fit, description="Defaults of fit for all teachers.")
    teachers: tuple[Teacher, ...] = Field(min_length=1, max_length=1000)
    calibrate: OrAuto[bool] = Field(
        AUTO,
        description="Fit one temperature for each teacher on validation. auto: only where outputs have "
        "scores, such as boxes, which it turns into probabilities.",
    )
    strategy: Plug = Field(
        Plug(name="weighted"),
        description="How much each teacher counts. Default: weighted, by the score on validation.",
    )
    student: Student
    loss: Loss = Field(default_factory=Loss)
    train: Train = Field(default_factory=Train)
    store: Store = Field(default_factory=Store)
    trackers: tuple[Plug, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _longhand(cls, raw: Any) -> Any:
        return expand(raw) if isinstance(raw, dict) else raw

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as lists, dicts and scalars, defaults included."""
        return self.model_dump(mode="json")
