"""Label spreading: class probabilities of unlabeled samples from labeled neighbors, without teachers.

Zhou et al., "Learning with local and global consistency", NeurIPS 2004, as implemented in scikit-learn.
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
"""Shares that a sample takes from its neighbors: scikit-learn's default, one in between, and the paper's."""
NEIGHBORS = 7
DIMENSIONS = 64
"""Maximum number of principal components in which distances are measured."""
MAX_SAMPLES = 50_000
MAX_VALUES = 2**26
"""Maximum number of values of all inputs: 256 MiB."""
MIN_PROBABILITY = 1e-6
"""Probability of a class that no neighbor has, before normalization."""


def is_possible(context: Context) -> bool:
    """Whether labels can be spread: each sample has one class, and the data is small enough."""
    data, task = context.data, context.task
    samples = len(data.train) + len(data.val)
    values = samples * int(np.prod(data.train.samples.inputs.shape[1:]))
    is_classification = task.logits and not task.elements and data.train.samples.targets.ndim == 1
    return is_classification and samples <= MAX_SAMPLES and values <= MAX_VALUES


def spread_labels(context: Context) -> dict[float, tuple[Tensor, Tensor]]:
    """Return log-probabilities of the training ``[N, C]`` and validation samples ``[M, C]``, by alpha.

    Spreads the labels of the training samples over both; the labels of validation are not used.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neighbors import kneighbors_graph
    from sklearn.semi_supervised import LabelSpreading

    data = context.data
    points = _embed_samples(context)
    # [N + M], -1: no label
    labels = np.concatenate([data.train.samples.targets, np.full(len(data.val), -1)])
    graph = kneighbors_graph(points, min(NEIGHBORS, len(points)), include_self=True)
    by_alpha = {}
    for alpha in ALPHAS:
        model = LabelSpreading(kernel=lambda *_: graph, alpha=alpha, max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(points, labels)
        # [N + M, K known classes] -> [N + M, C]
        shares = np.full((len(points), context.task.outputs), MIN_PROBABILITY)
        shares[:, model.classes_.astype(np.int64)] += model.label_distributions_
        whole = torch.from_numpy(np.log(shares / shares.sum(axis=1, keepdims=True))).float()
        by_alpha[alpha] = whole[: len(data.train)], whole[len(data.train) :]
    return by_alpha


def _embed_samples(context: Context) -> NDArray[Any]:
    """Return training and validation samples as points ``[N + M, D]``, standardized and reduced by PCA."""
    from sklearn.decomposition import PCA

    data = context.data

    def inputs(split: Split) -> Tensor:
        return torch.cat([prepare(views, data.input).flatten(1) for views in plain_views(split)])

    points = torch.cat([inputs(data.train), inputs(data.val)]).numpy()
    few = min(DIMENSIONS, *points.shape)
    return PCA(few, random_state=0).fit_transform(points) if few < points.shape[1] else points
