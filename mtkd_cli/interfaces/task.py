"""Tasks: what outputs mean, how they are merged, learnt and measured."""

from __future__ import annotations

import sys
from abc import ABC, ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mtkd_cli.errors import PluginError
from mtkd_cli.interfaces.columns import Columns
from mtkd_cli.interfaces.types import Alignment, Details, Merged, Metric, Prediction

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

REQUIRED = ("primary", "outputs")
"""Attributes without a default that a class or its constructor sets."""


class _Complete(ABCMeta):
    """Refuses to construct a task with missing methods or attributes."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the task.

        Raises:
            PluginError: methods or attributes that every task has are missing; all of them are named.
        """
        methods = sorted(cls.__abstractmethods__)
        if methods:
            missing = ", ".join(f"{name}()" for name in methods)
            raise PluginError(
                f"the task {cls.__name__} lacks the methods {missing}",
                where=_place(cls),
                hint="write them in the class; mtkd_cli.interfaces.Task says what each returns",
            )
        task = super().__call__(*args, **kwargs)
        attributes = [name for name in REQUIRED if not hasattr(task, name)]
        if attributes:
            raise PluginError(
                f"the task {cls.__name__} lacks the attributes {', '.join(attributes)}",
                where=_place(cls),
                hint="set them in the class or in its __init__",
            )
        return task


def _place(task: type) -> str:
    """Return the file and the name of a class; its module where there is no file."""
    module = sys.modules.get(task.__module__)
    return f"{getattr(module, '__file__', None) or task.__module__}: {task.__qualname__}"


class Task(ABC, metaclass=_Complete):
    """What outputs mean. Constructed as ``factory(data=TaskData, loss=LossOptions, **options)``.

    K teachers, B samples, C outputs. ``*`` stands for ``elements``, the shape of what is weighed
    within one sample: nothing for a class or boxes, ``H, W`` for a map.

    A task has ``primary`` and ``outputs`` and writes six methods: `averageable`, `as_output`, `kd_loss`,
    `task_loss`, `statistics` and `metrics`. All else has a default, and is written where the task has more
    to say: of how teachers are merged and judged, of classes, of labels with places, of what users see.

    Attributes:
        primary: the metric that decides.
        outputs: number of outputs that a model built for the task has.
        elements: shape of what is weighed within one sample.
        scale: mean and deviation of the targets, then of outputs that are no targets, for models that are
            trained here; see `Model.scale`.
        precision: number format in which outputs are recorded by default: ``fp16``, ``fp32`` or ``fp64``;
            None: fp16 for logits, fp32 for all else.
        by_element: whether `primary` is best where each element's answer is; not of a metric that ranks the
            answers of all samples together. Only then an audit has an oracle.
        columns: names of the columns of `statistics`; None: they have none.

        over_classes: whether outputs have classes along dimension 1, and targets are class numbers.
        any_label_space: whether `mix` and `kd_loss` understand teachers that know some classes only.
        numbered: whether outputs hold class numbers, see `class_numbers`.
        class_score: of `details`, the measure by which a teacher is believed about each class.
        top_k: classes that are recorded by default, None for all.
        plain_logits: whether `kd_loss` needs no more of outputs than log-probabilities, so that top-k
            recordings serve it.

        logits: whether outputs are logits, which `as_output` makes of probabilities. Then `error` is the
            negative log-likelihood of a label, also of pixels that come as samples: `calibrate` needs it.
        spatial: whether labels have places, so that they follow a view's geometry, see `moved`.
        pictured: test samples that `picture` is given.
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
    numbered: bool = False
    class_score: str = ""
    top_k: int | None = None
    plain_logits: bool = True

    logits: bool = False
    spatial: bool = False
    pictured: int = 8

    # What every task writes.

    @abstractmethod
    def averageable(self, output: Tensor) -> Tensor:
        """Return an output as what may be averaged over teachers: probabilities, values."""

    @abstractmethod
    def as_output(self, averaged: Tensor) -> Tensor:
        """Return what was averaged as an output again: log-probabilities, values."""

    @abstractmethod
    def kd_loss(self, student_output: Any, merged: Merged, temperature: float) -> Tensor:
        """Return the loss to the merged teachers per element, ``[B, *]``, times temperature squared."""

    @abstractmethod
    def task_loss(self, student_output: Any, target: Tensor) -> Tensor:
        """Return the loss to the labels per element, ``[B, *]``; 0 where there is no label."""

    @abstractmethod
    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        """Return what the metrics need of each sample, ``[B, S]``; nothing of what has no label.

        A task with several columns names them in `columns`, and packs and unpacks them by name.
        """

    @abstractmethod
    def metrics(self, statistics: Tensor) -> dict[str, float]:
        """Return the metrics of N samples by their statistics ``[N, S]``, the primary one first."""

    # How teachers are merged and judged, and what is learnt: defaults that follow from the six.

    def mix(self, merged: Merged) -> Tensor:
        """Return the weighted mixture ``[B, C, *]``, as an output.

        By default the weighted mean of what is `averageable`; a combined answer as it is.

        Raises:
            PluginError: a teacher knows some classes only, which the default cannot mix.
        """
        import torch

        if merged.combined is not None:
            return merged.combined
        if merged.known is not None:
            raise PluginError(
                f"the task {type(self).__name__} cannot mix teachers that know some classes only",
                where=_place(type(self)),
                hint="set any_label_space = False in the task, or write mix() for such teachers",
            )
        averageable = torch.stack([self.averageable(output) for output in merged.outputs])
        weights = merged.weights.unsqueeze(2)  # type: ignore[union-attr]  # [K, B, 1, *]
        return self.as_output((weights * averageable).sum(dim=0))

    def error(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return each teacher's error against the label, ``[K, B, *]``; 0 where there is no label.

        By default the `task_loss` of the task without class weights. A task whose loss smooths labels
        writes its own.
        """
        import torch

        plain = self.unweighted()
        return torch.stack([plain.task_loss(output, target) for output in outputs])

    def uncertainty(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return how unsure each teacher is, ``[K, B, *]``, 0 (sure) to 1.

        By default the entropy over the log of how many classes a teacher knows; of outputs that are not
        ``over_classes`` 0, since they do not say how sure they are.
        """
        import torch

        from mtkd_cli.interfaces.label_space import entropy_share

        if self.over_classes:
            return torch.stack([entropy_share(self.averageable(output), output) for output in outputs])
        return torch.zeros(len(outputs), len(outputs[0]), *self.elements, device=outputs[0].device)

    def unweighted(self) -> Task:
        """Return the task without class weights: teachers are fitted, and compared, with that one.

        Class weights are the student's: in `task_loss` and in `kd_loss`, once each.
        """
        return self

    def evaluation_loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of an evaluated output per element, ``[B, *]``: it ranks equal scores."""
        return self.task_loss(output, target)

    # Form of outputs and labels.

    def shaped(self, output: Any) -> Any:
        """Return a module's answer in the task's form, ``[B, C, *]``; on the task's grid.

        While training, a student may answer something else that `kd_loss` and `task_loss` understand.

        Raises:
            ValueError: it cannot be brought to it; one sentence says what the task needs.
        """
        return output

    def labelled(self, target: Tensor) -> Tensor:
        """Return where there is a label, ``[B, *]`` bool; by default where any of an element's numbers is."""
        from mtkd_cli.interfaces.missing_labels import present

        there, elements = present(target), 1 + len(self.elements)
        return there.flatten(elements).any(dim=-1) if there.dim() > elements else there

    def wrong_label(self, targets: NDArray[Any]) -> tuple[int, str] | None:
        """Return the first sample whose label cannot be learnt, and what is wrong with it; None: all can."""
        return None

    # Class names, and teachers that know some classes only.

    def counted(self, outputs: int) -> int | None:
        """Return how many class names so many outputs answer; None where they do not go by names.

        By default one name an output; None in a task with its own `aligned` and without ``over_classes``.
        """
        return outputs if self.over_classes or type(self).aligned is Task.aligned else None

    def class_numbers(self, output: Tensor) -> Tensor | None:
        """Return the class numbers that stand in answers ``[B, C, *]``; None where outputs go by their place.

        Raises:
            ValueError: a number that cannot be one of a class; one sentence says which.
        """
        return None

    def aligned(self, outputs: Tensor, alignment: Alignment) -> Tensor:
        """Return a teacher's outputs ``[B, C', *]`` in the task's classes, ``[B, C, *]``.

        Raises:
            ValueError: an answer of a class that has no name; one sentence says which.
        """
        from mtkd_cli.interfaces.label_space import on_classes

        return on_classes(outputs, alignment)

    def heard(self, outputs: Sequence[Tensor], target: Tensor, known: Tensor | None) -> Tensor | None:
        """Return where each teacher may be heard, ``[K, B, *]`` bool; everywhere without a label.

        None: everywhere. By default: not on a label of a class that it does not know.
        """
        from mtkd_cli.interfaces.label_space import speaks

        return None if known is None else speaks(target, known)

    def restricted(self, output: Tensor, known: Tensor) -> Tensor:
        """Return an output ``[B, C, *]`` that says nothing of the classes that are not ``known [C]``."""
        from mtkd_cli.interfaces.label_space import restricted

        return restricted(output.float(), known)

    def within(self, target: Tensor, known: Tensor) -> Tensor:
        """Return the labels without those of the classes that are not ``known [C]``."""
        from mtkd_cli.interfaces.label_space import within

        return within(target, known)

    # Labels with places.

    def moved(self, target: Tensor, affine: Tensor) -> Tensor:
        """Return labels as a view shows them; only asked where ``spatial``.

        Args:
            target: labels of the plain samples.
            affine: ``[B, 2, 3]``, places in the view to places in the sample, both from -1 to 1
                (as `torch.nn.functional.affine_grid` has them).
        """
        return target

    # What users see.

    def predictions(self, output: Tensor, classes: Sequence[str]) -> list[Prediction]:
        """Return what outputs ``[B, C, *]`` say, in words.

        By default a class with its probability, a map of classes, or a value for each name.
        """
        from mtkd_cli.interfaces.prediction_text import said

        return said(self, output, classes)

    def details(self, statistics: Tensor) -> Details:
        """Return what a report shows besides the metrics, by statistics ``[N, S]``."""
        return Details()

    def picture(self, inputs: NDArray[Any], answers: Mapping[str, Tensor], target: Tensor) -> Image | None:
        """Return a picture of answers beside their labels, None if there is nothing to see.

        Args:
            inputs: ``[B, C, H, W]`` uint8 or ``[B, F]``, as the data has them.
            answers: outputs ``[B, C, *]`` by who gave them: ``student``, a baseline's kind such as ``alone``,
                ``ensemble``, ``teacher NAME``.
            target: the labels.
        """
        return None
