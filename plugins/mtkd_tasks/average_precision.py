"""Average precision as COCO defines it, from facts of single samples, so that a bootstrap is affordable.

torchmetrics needs a second for 300 images, and a bootstrap asks a thousand times; the tests hold this
to its numbers.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_tasks.boxes import MOST, best_first, overlap

OVERLAPS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""Overlaps from which a box counts as found; mAP is the mean over them."""

RECALLS = np.linspace(0, 1, 101)
BITS = 2 ** torch.arange(len(OVERLAPS))


def facts(answer: Tensor, target: Tensor, classes: int) -> Tensor:
    """Return what average precision needs of each sample, ``[B, 300 + C]``.

    Of each answered box the score, the label, and at which overlaps it found a labelled box (a bit
    each); then the number of labelled boxes of each class. In order of their scores, each answered box
    takes the free labelled box of its class that it overlaps most.

    Args:
        answer: ``[B, M, 6]``.
        target: ``[B, N, 5]``; of samples without labels NaN.
        classes: their number C.
    """
    answer = best_first(answer)
    labels = target[..., 4].nan_to_num(nan=-1)
    shared = overlap(answer[..., :4].double(), target[..., :4].nan_to_num().double())
    same = (answer[..., 5].unsqueeze(2) == labels.unsqueeze(1)) & (labels >= 0).unsqueeze(1)
    free = torch.ones(len(answer), len(OVERLAPS), target.shape[1], dtype=torch.bool, device=answer.device)
    thresholds = torch.tensor(OVERLAPS, dtype=torch.float64, device=answer.device).view(1, -1, 1)
    found = torch.zeros(len(answer), MOST, dtype=torch.long, device=answer.device)
    there = answer[..., 4] > 0
    for place in range(int(there.sum(dim=1).max()) if target.shape[1] and len(answer) else 0):
        candidates = shared[:, place].unsqueeze(1) * (free & same[:, place].unsqueeze(1))
        hit = candidates >= thresholds
        best = (candidates * hit).argmax(dim=2, keepdim=True)
        taken = hit.gather(2, best) & there[:, place, None, None]
        free.scatter_(2, best, free.gather(2, best) & ~taken)
        found[:, place] = (taken.squeeze(2) * BITS.to(answer.device)).sum(dim=1)
    counts = (labels.unsqueeze(2) == torch.arange(classes, device=answer.device)).sum(dim=1)
    return torch.cat([answer[..., 4], answer[..., 5], found.float(), counts.float()], dim=1)


def average_precision(statistics: Tensor, classes: int) -> NDArray[np.float64]:
    """Return the average precision of each class at each overlap, ``[C, 10]``; NaN of classes without boxes.

    Args:
        statistics: ``[N, 300 + C]``, see `facts`.
        classes: their number C.
    """
    numbers = statistics.numpy()
    scores, labels, found = (numbers[:, part * MOST : (part + 1) * MOST].ravel() for part in range(3))
    counts = numbers[:, 3 * MOST :].sum(axis=0)
    there = np.flatnonzero(scores > 0)
    order = there[np.argsort(-scores[there], kind="stable")]
    labels = labels[order]
    hits = (found[order].astype(np.int64)[:, None] & BITS.numpy()) > 0
    precision = np.full((classes, len(OVERLAPS)), np.nan)
    for label in np.flatnonzero(counts):
        precision[label] = _of_class(hits[labels == label], counts[label])
    return precision


def _of_class(hits: NDArray[np.bool_], positives: float) -> NDArray[np.float64]:
    """Return the mean precision over 101 recalls, ``[10]``.

    Args:
        hits: ``[n, 10]``, whether an answered box is right, by falling score.
        positives: how many boxes there are to be found.
    """
    right = hits.cumsum(axis=0)
    precision = right / np.arange(1, len(hits) + 1)[:, None]
    best_from_here = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    padded = np.vstack([best_from_here, np.zeros(len(OVERLAPS))])
    wanted = np.searchsorted(np.arange(int(positives) + 1) / positives, RECALLS)  # boxes found by each recall
    first = np.full((int(positives) + 1, len(OVERLAPS)), len(hits))
    first[0] = 0
    rows, columns = np.nonzero(hits)
    first[right[rows, columns], columns] = rows
    reached: NDArray[np.float64] = np.take_along_axis(padded, first[wanted], axis=0)
    mean: NDArray[np.float64] = np.ascontiguousarray(reached.T).mean(axis=1)
    return mean
