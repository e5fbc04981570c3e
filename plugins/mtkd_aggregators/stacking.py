"""The convex combination with the lowest task loss on validation, shrunk towards equal weights.

Minimizes ``n L(w) - sum_k log w_k`` over the simplex: n labeled samples with mean loss L of the mixture, and
a Dirichlet(2, ..., 2) prior, which is one label's worth of evidence for each teacher. The influence of the
prior falls with 1 / n. Where L is not a log-likelihood but has a unit, it is divided by twice the loss of
equal weights: the likelihood of normal errors whose variance is that of the mean.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import AggregationBatch, Merged
from mtkd_cli.interfaces.missing_labels import any_per_sample
from mtkd_cli.interfaces.precision import at_least_float32
from mtkd_cli.losses import mean_over

STEPS = 40
SMALLEST_LOSS = 1e-12


class Stacking:
    """One weight per teacher, on the simplex: the task loss on validation, with a prior of equal weights."""

    def __init__(self) -> None:
        self.fitted: dict[str, float] = {}

    def fit(self, validation: AggregationBatch) -> None:
        """Fit the weights with L-BFGS on their logits, starting from equal weights.

        Raises:
            DataError: no validation sample has a label.
        """
        target, labeled = validation.target, validation.labeled
        if target is None or labeled is None or not labeled.any():
            raise DataError("stacking needs labeled samples", where="strategy", hint="use consensus or mean")
        # keep the samples with any label: [B, C, *] -> [N, C, *]
        samples = any_per_sample(labeled)
        count = int(samples.sum())  # images count, not pixels: the pixels of an image are alike
        outputs = tuple(at_least_float32(output[samples]) for output in validation.outputs)
        shape = (len(outputs), len(outputs[0]), *validation.task.elements)
        # one logit per teacher, [K, 1, *]: broadcast over samples and pixels
        logits = torch.zeros(
            len(outputs),
            *(1,) * (len(shape) - 1),
            dtype=torch.float64,
            device=target.device,
            requires_grad=True,
        )
        optimizer = torch.optim.LBFGS([logits], max_iter=STEPS, line_search_fn="strong_wolfe")

        def task_loss() -> Tensor:
            weights = logits.softmax(dim=0).float().expand(shape)
            merged = Merged(outputs, weights, known=validation.known)
            losses = validation.task.task_loss(validation.task.mix(merged), target[samples])
            return mean_over(losses, labeled[samples])

        with torch.no_grad():
            unit = 1.0 if validation.task.logits else 2 * task_loss().clamp(min=SMALLEST_LOSS).item()

        def loss() -> float:
            with torch.enable_grad():
                total = task_loss() / unit - logits.log_softmax(dim=0).sum() / count
            optimizer.zero_grad()
            total.backward()  # type: ignore[no-untyped-call]
            return total.item()

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        weights = logits.detach().softmax(dim=0).flatten().tolist()
        self.fitted = dict(zip(validation.teacher_names, weights, strict=True))

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, the same for every sample."""
        first = batch.outputs[0]
        per_teacher = torch.tensor([self.fitted[name] for name in batch.teacher_names], device=first.device)
        return per_teacher[:, None].expand(-1, len(first))
