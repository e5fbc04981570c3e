"""Tasks: the meaning of outputs, and how they are merged, learned and measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mtkd_cli.errors import PluginError
from mtkd_cli.interfaces.columns import Columns
from mtkd_cli.interfaces.complete_task import Complete, location
from mtkd_cli.interfaces.output_form import OutputForm, OutputLayout
from mtkd_cli.interfaces.placement import Placement
from mtkd_cli.interfaces.types import Alignment, Details, Labels, Merged, Metric, Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor


class Task(ABC, metaclass=Complete):
    """Base class of tasks, constructed as ``factory(data=TaskData, loss=LossOptions, **options)``.

    K teachers, B samples, C outputs. ``*`` stands for ``elements``, the shape of the weights within one
    sample: no dimensions for a class or boxes, ``H, W`` for a map.

    A task sets ``primary`` and ``outputs`` and implements six methods: `to_averageable`, `from_averageable`,
    `kd_loss`, `task_loss`, `statistics` and `metrics`. All other methods and attributes have a default.
    Override them to change how teachers are merged and measured, how classes and spatial labels are handled,
    and what reports show.

    Attributes:
        primary: the metric of selections and verdicts.
        outputs: number of outputs of a model that is built for the task.
        elements: shape of the weights within one sample.
        scale: mean and deviation of the targets, then of outputs that are not targets, for models that are
            trained here; see `Model.scale`.
        precision: default number format of recorded outputs: ``fp16``, ``fp32`` or ``fp64``; None: fp16 for
            logits, fp32 for others.
        by_element: whether the best output for each element gives the best `primary`, so that an audit has an
            oracle; False for metrics that rank all samples together.
        columns: names of the columns of `statistics`; None: no names.

        over_classes: whether outputs have classes along dimension 1, and targets are class numbers.
        any_label_space: whether `mix` and `kd_loss` support teachers that know only some of the classes.
        has_class_numbers: whether outputs contain class numbers, see `class_numbers`.
        class_score: name of a score per class in `details`, used to weigh teachers per class.
        top_k: default number of recorded classes; None: all.
        needs_probabilities_only: whether `kd_loss` needs only log-probabilities, so that it supports top-k
            recordings.
        logits: whether outputs are logits, and `from_averageable` converts probabilities to logits. `error`
            must then be the negative log-likelihood of a label, also for pixels passed as samples:
            `calibrate` needs it.
        spatial: whether labels have coordinates and follow a view's geometry, see `transform_labels`.
        pictured_samples: number of test samples that `picture` receives.
    """

    primary: Metric
    outputs: int
    elements: tuple[int, ...] = ()
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    precision: str | None = None
    by_element: bool = True
    columns: Columns | None = None

    over_classes: bool = False
    any_label_space: bool = True
    has_class_numbers: bool = False
    class_score: str = ""
    top_k: int | None = None
    needs_probabilities_only: bool = True

    logits: bool = False
    spatial: bool = False
    pictured_samples: int = 8

    # Methods that every task implements.

    @abstractmethod
    def to_averageable(self, output: Tensor) -> Tensor:
        """Convert an output to numbers that may be averaged over teachers: probabilities, values."""

    @abstractmethod
    def from_averageable(self, averaged: Tensor) -> Tensor:
        """Convert averaged numbers back to an output: log-probabilities, values."""

    @abstractmethod
    def kd_loss(self, student_output: Any, merged: Merged, temperature: float) -> Tensor:
        """Return the loss to the merged teachers per element, ``[B, *]``, times temperature squared."""

    @abstractmethod
    def task_loss(self, student_output: Any, target: Tensor) -> Tensor:
        """Return the loss to the labels per element, ``[B, *]``; 0 for missing labels."""

    @abstractmethod
    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the statistics of each sample for `metrics`, ``[B, S]``, which ignore missing labels.

        A task with several columns names them in `columns`, and packs and unpacks them by name.
        """

    @abstractmethod
    def metrics(self, statistics: Tensor) -> dict[str, float]:
        """Return the metrics of N samples from their statistics ``[N, S]``, the primary one first."""

    # Merging and measuring teachers, with defaults that use the six methods.

    def mix(self, merged: Merged) -> Tensor:
        """Return the weighted mixture ``[B, C, *]``, as an output.

        By default, the weighted mean of `to_averageable`, or the combined output.

        Raises:
            PluginError: a teacher knows only some of the classes, which the default does not support.
        """
        import torch

        if merged.combined is not None:
            return merged.combined
        if merged.known is not None:
            raise PluginError(
                f"the task {type(self).__name__} cannot mix teachers that know only some of the classes",
                where=location(type(self)),
                hint="set any_label_space = False in the task, or implement mix() for such teachers",
            )
        to_averageable = torch.stack(
            [self.to_averageable(output) for output in merged.outputs]
        )  # [K, B, C, *]
        weights = merged.weights.unsqueeze(2)  # type: ignore[union-attr]  # [K, B, 1, *]
        return self.from_averageable((weights * to_averageable).sum(dim=0))

    def error(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return each teacher's error on the labels, ``[K, B, *]``; 0 for missing labels.

        By default, the `task_loss` of the task without class weights. A task whose loss smooths labels must
        override it.
        """
        import torch

        plain = self.without_class_weights()
        return torch.stack([plain.task_loss(output, target) for output in outputs])

    def uncertainty(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return each teacher's uncertainty, ``[K, B, *]``, 0 (certain) to 1.

        By default, the entropy divided by the log of the number of classes that the teacher knows; 0 for
        outputs that are not ``over_classes``, which have no confidence.
        """
        import torch

        from mtkd_cli.interfaces.label_space import entropy_share

        if self.over_classes:
            return torch.stack([entropy_share(self.to_averageable(output), output) for output in outputs])
        return torch.zeros(len(outputs), len(outputs[0]), *self.elements, device=outputs[0].device)

    def without_class_weights(self) -> Task:
        """Return the task without class weights, which is used to fit and compare teachers.

        Class weights are for the student: `task_loss` and `kd_loss` each apply them once.
        """
        return self

    def evaluation_loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of an evaluated output per element, ``[B, *]``; it ranks equal scores."""
        return self.task_loss(output, target)

    # Form of outputs and labels.

    def to_task_shape(self, output: Any) -> Any:
        """Convert a module's output to the task's form, ``[B, C, *]``, on the task's grid.

        In training mode, a student's output may have another form that `kd_loss` and `task_loss` support.

        Raises:
            ValueError: the output cannot be converted; the message says what the task needs.
        """
        return output

    def output_form(
        self,
        output: Any,
        declared: OutputLayout,
        size: int | tuple[int, int],
        classes: Sequence[str] | None,
    ) -> OutputForm | None:
        """Return how to read a teacher's raw outputs; None if `to_task_shape` takes them as they are.

        Args:
            output: raw outputs of a few samples.
            declared: what the recipe says about them.
            size: side of the model's square input, or height and width, in pixels.
            classes: class names of the outputs; None if unknown.

        Raises:
            ValueError: they are not in the declared layout; the message says why.
        """
        return None

    def labeled(self, target: Tensor) -> Tensor:
        """Return the mask of labels, ``[B, *]`` bool; by default, elements with any number of a label."""
        from mtkd_cli.interfaces.missing_labels import label_mask

        mask, dims = label_mask(target), 1 + len(self.elements)
        # [B, *, ...] -> [B, *]
        return mask.flatten(dims).any(dim=-1) if mask.dim() > dims else mask

    def find_invalid_label(self, targets: NDArray[Any]) -> tuple[int, str] | None:
        """Return the index of the first invalid label, and the reason; None if all are valid."""
        return None

    # Labels of mixed views, which show two samples each.

    def can_mix(self, kind: Literal["mixup", "cutmix"]) -> bool:
        """Whether `mix_labels` supports a kind of mixed views; by default, unless labels are ``spatial``."""
        return not self.spatial

    def mix_labels(self, first: Tensor, second: Tensor, share: Tensor) -> Labels:
        """Return the labels of mixed samples; called only for kinds that `can_mix` supports.

        By default, the losses are mixed: ``share * loss(first) + (1 - share) * loss(second)``.

        Args:
            first: labels of the samples.
            second: labels of their partners.
            share: share of the sample in each element of the mixed sample, ``[B, *]``.
        """
        from mtkd_cli.interfaces.mixed_labels import weigh_labels

        return weigh_labels(first, second, share)

    # Class names, and teachers that know only some of the classes.

    def class_count(self, outputs: int) -> int | None:
        """Return the number of class names for a number of outputs; None if outputs have no class names.

        By default, one name per output; None in a task with its own `aligned` and without ``over_classes``.
        """
        return outputs if self.over_classes or type(self).align is Task.align else None

    def class_numbers(self, output: Tensor) -> Tensor | None:
        """Return the class numbers in outputs ``[B, C, *]``; None if the index of an output is its class.

        Raises:
            ValueError: a number is not a valid class number; the message names it.
        """
        return None

    def align(self, outputs: Tensor, alignment: Alignment) -> Tensor:
        """Convert a teacher's outputs ``[B, C', *]`` to the task's classes, ``[B, C, *]``.

        Raises:
            ValueError: an output is for a class without a name; the message names it.
        """
        from mtkd_cli.interfaces.label_space import align_logits

        return align_logits(outputs, alignment)

    def usage_mask(self, outputs: Sequence[Tensor], target: Tensor, known: Tensor | None) -> Tensor | None:
        """Return the mask of elements on which each teacher is used, ``[K, B, *]`` bool; None: all.

        It must be True for missing labels. By default, it is False for labels of classes that the teacher
        does not know.
        """
        from mtkd_cli.interfaces.label_space import usage_mask_of_labels

        return None if known is None else usage_mask_of_labels(target, known)

    def restrict_to_known(self, output: Tensor, known: Tensor) -> Tensor:
        """Return an output ``[B, C, *]`` without information on classes outside the mask ``known [C]``."""
        from mtkd_cli.interfaces.label_space import restrict_logits

        return restrict_logits(output.float(), known)

    def remove_unknown_labels(self, target: Tensor, known: Tensor) -> Tensor:
        """Return the labels without those of classes outside the mask ``known [C]``."""
        from mtkd_cli.interfaces.label_space import remove_unknown_labels

        return remove_unknown_labels(target, known)

    # Spatial labels.

    def transform_labels(self, target: Tensor, affine: Tensor) -> Tensor:
        """Transform labels to the geometry of a view; called only if ``spatial``.

        Args:
            target: labels of the plain samples.
            affine: ``[B, 2, 3]``, maps from coordinates in the view to coordinates in the sample, both from
                -1
                to 1 (as in `torch.nn.functional.affine_grid`).
        """
        return target

    def to_frame(self, output: Tensor, placement: Placement) -> Tensor:
        """Return outputs ``[B, C, *]`` on the original image, on which scores are computed.

        Called only if ``spatial``; by default, the output itself.

        Args:
            output: outputs on the grid, of samples with this placement.
            placement: where the original image lies on the grid.
        """
        return output

    # Predictions and reports.

    def predictions(self, output: Tensor, classes: Sequence[str]) -> list[Prediction]:
        """Return the predictions of outputs ``[B, C, *]``, in the user's terms.

        By default, a class with its probability, a map of classes, or a value for each name.
        """
        from mtkd_cli.interfaces.prediction_text import describe_predictions

        return describe_predictions(self, output, classes)

    def details(self, statistics: Tensor) -> Details:
        """Return the details that a report shows besides the metrics, from statistics ``[N, S]``."""
        return Details()

    def picture(self, inputs: NDArray[Any], answers: Mapping[str, Tensor], target: Tensor) -> Image | None:
        """Return a picture of predictions next to their labels; None if the task has no picture.

        Args:
            inputs: ``[B, C, H, W]`` uint8 or ``[B, F]``, as in the data.
            answers: outputs ``[B, C, *]`` by model: ``student``, a baseline's kind such as ``alone``,
                ``ensemble``, ``teacher NAME``.
            target: labels of the samples.
        """
        return None
