"""COCO's average precision from statistics per sample, fast enough for a bootstrap.

torchmetrics needs a second for 300 images, and a bootstrap evaluates a thousand times. The tests compare
the results with torchmetrics.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.interfaces import Columns
from mtkd_tasks.boxes import MOST, best_first, overlap

OVERLAPS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""Overlap thresholds for a true positive; mAP is the mean over them."""

RECALLS = np.linspace(0, 1, 101)
BITS = 2 ** torch.arange(len(OVERLAPS))


def columns_of(classes: int) -> Columns:
    """Return the columns of `facts`.

    For each of 100 predicted boxes: the score, the label, and the overlap thresholds at which it is a true
    positive, as bits; then the number of labeled boxes of each class.
    """
    return Columns(wide={"score": MOST, "label": MOST, "found": MOST, "labeled": classes})


def facts(answer: Tensor, target: Tensor, classes: int) -> Tensor:
    """Return the statistics of each sample for `average_precision`, ``[B, 300 + C]``; see `columns_of`.

    In order of their scores, each predicted box is matched to the free labeled box of its class with the
    largest overlap.

    Args:
        answer: predicted boxes ``[B, M, 6]``.
        target: labeled boxes ``[B, N, 5]``; NaN for unlabeled samples.
        classes: number of classes C.
    """
    answer = best_first(answer)
    labels = target[..., 4].nan_to_num(nan=-1)
    # [B, 100, N]: IoU and equal classes of each predicted and each labeled box
    iou = overlap(answer[..., :4].double(), target[..., :4].nan_to_num().double())
    same = (answer[..., 5].unsqueeze(2) == labels.unsqueeze(1)) & (labels >= 0).unsqueeze(1)
    # [B, 10, N]: labeled boxes that are still free at each threshold
    free = torch.ones(len(answer), len(OVERLAPS), target.shape[1], dtype=torch.bool, device=answer.device)
    thresholds = torch.tensor(OVERLAPS, dtype=torch.float64, device=answer.device).view(1, -1, 1)
    found = torch.zeros(len(answer), MOST, dtype=torch.long, device=answer.device)
    is_box = answer[..., 4] > 0
    for rank in range(int(is_box.sum(dim=1).max()) if target.shape[1] and len(answer) else 0):
        candidates = iou[:, rank].unsqueeze(1) * (free & same[:, rank].unsqueeze(1))
        hit = candidates >= thresholds
        # best free box at each threshold: [B, 10, N] -> [B, 10, 1]
        best = (candidates * hit).argmax(dim=2, keepdim=True)
        matched = hit.gather(2, best) & is_box[:, rank, None, None]
        free.scatter_(2, best, free.gather(2, best) & ~matched)
        found[:, rank] = (matched.squeeze(2) * BITS.to(answer.device)).sum(dim=1)
    counts = (labels.unsqueeze(2) == torch.arange(classes, device=answer.device)).sum(dim=1)
    return columns_of(classes).pack(
        score=answer[..., 4], label=answer[..., 5], found=found.float(), labeled=counts.float()
    )


def average_precision(statistics: Tensor, classes: int) -> NDArray[np.float64]:
    """Return the average precision of each class at each overlap, ``[C, 10]``; NaN for classes without boxes.

    Args:
        statistics: ``[N, 300 + C]``, see `facts`.
        classes: number of classes C.
    """
    numbers = {name: part.numpy() for name, part in columns_of(classes).unpack(statistics).items()}
    scores, labels, found = (numbers[name].ravel() for name in ("score", "label", "found"))
    counts = numbers["labeled"].sum(axis=0)
    # predicted boxes of all samples by descending score: [N * 100] -> [n]
    valid = np.flatnonzero(scores > 0)
    order = valid[np.argsort(-scores[valid], kind="stable")]
    labels = labels[order]
    hits = (found[order].astype(np.int64)[:, None] & BITS.numpy()) > 0
    precision = np.full((classes, len(OVERLAPS)), np.nan)
    for label in np.flatnonzero(counts):
        precision[label] = _mean_precision(hits[labels == label], counts[label])
    return precision


def _mean_precision(hits: NDArray[np.bool_], positives: float) -> NDArray[np.float64]:
    """Return the mean of the interpolated precision at 101 recalls, ``[10]``.

    Args:
        hits: ``[n, 10]``, true positives, by descending score.
        positives: number of labeled boxes.
    """
    right = hits.cumsum(axis=0)
    precision = right / np.arange(1, len(hits) + 1)[:, None]
    best_from_here = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    padded = np.vstack([best_from_here, np.zeros(len(OVERLAPS))])
    needed = np.searchsorted(np.arange(int(positives) + 1) / positives, RECALLS)  # [101], boxes per recall
    # first row with that many true positives: [positives + 1, 10]; rows beyond the last have precision 0
    first = np.full((int(positives) + 1, len(OVERLAPS)), len(hits))
    first[0] = 0
    rows, columns = np.nonzero(hits)
    first[right[rows, columns], columns] = rows
    reached: NDArray[np.float64] = np.take_along_axis(padded, first[needed], axis=0)
    mean: NDArray[np.float64] = np.ascontiguousarray(reached.T).mean(axis=1)
    return mean
