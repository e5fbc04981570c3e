"""Label spreading: class probabilities of unlabeled samples from labeled neighbors, without any teacher.

Zhou et al., "Learning with local and global consistency", NeurIPS 2004, as scikit-learn has it.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.data.dataset import Split
from mtkd_cli.models.preprocess import prepare
from mtkd_cli.training.context import Context
from mtkd_cli.training.evaluation import plain_views

ALPHAS = (0.2, 0.8, 0.99)
"""How much a sample takes from its neighbors: scikit-learn's default, one between, that of the paper."""
NEIGHBORS = 7
DIMENSIONS = 64
"""Principal components that distances are taken in, at most."""
MAX_SAMPLES = 50_000
MAX_VALUES = 2**26
"""Numbers of all inputs together, at most: 256 MiB."""
MIN_PROBABILITY = 1e-6
"""Probability of a class that no neighbor has."""


def is_possible(context: Context) -> bool:
    """Whether labels can be spread: one class for each sample, and few enough numbers to be cheap."""
    data, task = context.data, context.task
    samples = len(data.train) + len(data.val)
    values = samples * int(np.prod(data.train.samples.inputs.shape[1:]))
    of_classes = task.logits and not task.elements and data.train.samples.targets.ndim == 1
    return of_classes and samples <= MAX_SAMPLES and values <= MAX_VALUES


def spread_labels(context: Context) -> dict[float, tuple[Tensor, Tensor]]:
    """Return log-probabilities of the training samples ``[N, C]`` and of validation ``[M, C]`` by alpha.

    The labels of the training samples are spread over both; those of validation are not seen.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neighbors import kneighbors_graph
    from sklearn.semi_supervised import LabelSpreading

    data = context.data
    points = _embed_samples(context)
    labels = np.concatenate([data.train.samples.targets, np.full(len(data.val), -1)])
    graph = kneighbors_graph(points, min(NEIGHBORS, len(points)), include_self=True)
    found = {}
    for alpha in ALPHAS:
        model = LabelSpreading(kernel=lambda *_: graph, alpha=alpha, max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(points, labels)
        shares = np.full((len(points), context.task.outputs), MIN_PROBABILITY)
        shares[:, model.classes_.astype(np.int64)] += model.label_distributions_
        whole = torch.from_numpy(np.log(shares / shares.sum(axis=1, keepdims=True))).float()
        found[alpha] = whole[: len(data.train)], whole[len(data.train) :]
    return found


def _embed_samples(context: Context) -> NDArray[Any]:
    """Return training and validation samples, standardized as models see them, in few dimensions."""
    from sklearn.decomposition import PCA

    data = context.data

    def inputs(split: Split) -> Tensor:
        return torch.cat([prepare(views, data.input).flatten(1) for views in plain_views(split)])

    points = torch.cat([inputs(data.train), inputs(data.val)]).numpy()
    few = min(DIMENSIONS, *points.shape)
    return PCA(few, random_state=0).fit_transform(points) if few < points.shape[1] else points
