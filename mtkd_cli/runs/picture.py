"""Draw a few test samples with the outputs of all models and the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data.subset import sample_rows
from mtkd_cli.errors import type_and_first_line
from mtkd_cli.training.context import Context

if TYPE_CHECKING:
    from PIL.Image import Image


def draw_picture(
    context: Context, answers: Mapping[str, Callable[[NDArray[np.int64]], Tensor]]
) -> Image | None:
    """Return the task's picture of labeled test samples; None if the task draws none, or fails.

    A failure is shown and logged; the run continues.

    Args:
        context: the run.
        answers: function from rows of the test split to outputs, by model.
    """
    test, task = context.data.test, context.task
    rows = sample_rows(test.labeled, task.pictured_samples)
    try:
        with torch.no_grad():
            shown = {who: answer(rows) for who, answer in answers.items()}
            targets = torch.from_numpy(test.samples.targets[rows])
            return task.picture(test.samples.read(rows), shown, targets)
    except Exception as error:  # a task is a plugin
        context.progress.say(f"no picture of predictions: {type_and_first_line(error)}")
        return None
