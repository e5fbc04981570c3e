"""What a one-stage detector answers while it is trained, and its loss: soft classes, boxes, centres."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou, generalized_box_iou_loss

from mtkd_cli.interfaces import Wanted

SAME = 0.5
"""Overlap above which two wanted boxes are one object that may have several classes."""

NEGATIVES = 3
"""Places without a box that count, for each with one, where classes share a softmax (SSD)."""

SILENT = -1e9


@dataclass(frozen=True)
class Claims:
    """Which places a wanted box claims.

    Attributes:
        strength: ``[B, P, M]``, 0 where it does not. A place answers for the box with the largest, times
            its score: a box that is hardly there takes no place from one that is.
        ignored: ``[B, P]`` bool, places that neither have a box nor are clearly without one.
    """

    strength: Tensor
    ignored: Tensor | None = None


@dataclass(frozen=True)
class DenseAnswer:
    """A detector's answer at each of its P places, in training mode.

    Attributes:
        logits: ``[B, P, C]``, one sigmoid a class; with ``background`` ``[B, P, 1 + C]``, one softmax.
        boxes: ``[B, P, 4]``, shares of the sides.
        places: ``[P, 2]``, their middles, shares of the sides.
        claims: gives wanted boxes ``[B, M, 4]`` to places.
        centred: ``[B, P]`` logits of lying in the middle of the box (FCOS); None: the network has none.
        background: whether the first class is that there is no box.
        focus: power of how far off a class is, by which it counts; 0: as much as any other.
    """

    logits: Tensor
    boxes: Tensor
    places: Tensor
    claims: Callable[[Tensor], Claims]
    centred: Tensor | None = None
    background: bool = False
    focus: float = 2.0

    def loss(self, wanted: Wanted, temperature: float) -> Tensor:
        """Return the loss of each sample ``[B]``: classes, boxes (GIoU) and centres over the sum of scores.

        The class that is wanted at a place has the score of its box (soft target). Boxes that overlap by
        more than half may be one object of which teachers differ, so each is wanted there. Classes count
        the more the further off they are (quality focal loss, arXiv 2006.04388), at the temperature, times
        its square; boxes and centres by the score.
        """
        used = (wanted.labels >= 0) & (wanted.scores > 0)
        some = used.any(dim=0)
        used, boxes = used[:, some], wanted.boxes[:, some]
        scores, labels = wanted.scores[:, some] * used, wanted.labels[:, some].clamp(min=0)
        if not some.any():
            used, boxes = wanted.labels.new_zeros(len(boxes), 1, dtype=torch.bool), wanted.boxes[:, :1] * 0
            scores, labels = wanted.scores[:, :1] * 0, wanted.labels[:, :1] * 0
        claims = self.claims(boxes)
        strength = claims.strength * scores.unsqueeze(1)
        value = _of_one_object(strength, boxes) * scores.unsqueeze(1).clamp(min=0)
        first = torch.zeros_like(value).scatter(2, strength.argmax(dim=2, keepdim=True), 1e-3)
        sure, chosen = (value + first * (value > 0)).max(dim=2)
        sure = value.gather(2, chosen.unsqueeze(2)).squeeze(2)
        soft = torch.zeros_like(self.logits[..., int(self.background) :])
        soft = soft.scatter_reduce(2, labels.unsqueeze(1).expand_as(value), value, "amax")
        if self.background:
            classes = self._softmax(soft, sure > 0, claims.ignored, wanted.spoken, temperature)
        else:
            classes = self._sigmoid(soft, claims.ignored, wanted.spoken, temperature)
        matched = boxes.gather(1, chosen.unsqueeze(2).expand(-1, -1, 4))
        total = classes + (sure * self._places(matched, sure > 0)).sum(dim=1)
        return total / sure.sum(dim=1).clamp(min=1)

    def _places(self, matched: Tensor, there: Tensor) -> Tensor:
        """Return the losses of the box and the centre ``[B, P]``; 0 where there is no box.

        Args:
            matched: ``[B, P, 4]``, the box that each place answers for.
            there: ``[B, P]``, whether it answers for one.
        """
        loss = self.boxes.new_zeros(there.shape)
        answered, right = self.boxes[there], matched[there]
        found = generalized_box_iou_loss(answered, right)
        if self.centred is not None:
            centre = centredness(self.places.expand(len(there), -1, 2)[there], right)
            found = found + F.binary_cross_entropy_with_logits(self.centred[there], centre, reduction="none")
        return loss.masked_scatter(there, found)

    def _sigmoid(
        self, soft: Tensor, ignored: Tensor | None, spoken: Tensor | None, temperature: float
    ) -> Tensor:
        logits = self.logits / temperature
        target = softened(soft, temperature)
        focus = (target - logits.sigmoid()).abs() ** self.focus
        loss = focus * F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        if spoken is not None:
            loss = loss * spoken.unsqueeze(1)
        if ignored is not None:
            loss = loss * ~ignored.unsqueeze(2)
        return temperature**2 * loss.sum(dim=(1, 2))

    def _softmax(
        self,
        soft: Tensor,
        there: Tensor,
        ignored: Tensor | None,
        spoken: Tensor | None,
        temperature: float,
    ) -> Tensor:
        logits = self.logits / temperature
        if spoken is not None:
            logits = logits.masked_fill(~F.pad(spoken, (1, 0), value=True).unsqueeze(1), SILENT)
        nothing = (1 - soft.sum(dim=2, keepdim=True)).clamp(min=0)
        target = torch.cat([nothing, soft], dim=2) ** (1 / temperature)
        target = target / target.sum(dim=2, keepdim=True)
        loss = -(target * logits.log_softmax(dim=2)).sum(dim=2)
        away = ~there if ignored is None else ~there & ~ignored
        hardest = loss.detach().masked_fill(~away, -1).argsort(dim=1, descending=True).argsort(dim=1)
        counted = there | (away & (hardest < NEGATIVES * there.sum(dim=1, keepdim=True).clamp(min=1)))
        return temperature**2 * (loss * counted).sum(dim=1)


def _of_one_object(strength: Tensor, boxes: Tensor) -> Tensor:
    """Return whether a box claims a place and overlaps the one that the place answers for, ``[B, P, M]``."""
    pairs = torch.stack([box_iou(own, own) for own in boxes])
    winner = strength.argmax(dim=2, keepdim=True).expand(-1, -1, pairs.shape[2])
    return ((pairs.gather(1, winner) > SAME) & (strength > 0)).float()


def softened(scores: Tensor, temperature: float) -> Tensor:
    """Return probabilities whose logits are divided by the temperature; 0 and 1 stay."""
    if temperature == 1:
        return scores
    there, gone = scores ** (1 / temperature), (1 - scores) ** (1 / temperature)
    return there / (there + gone)


def centredness(places: Tensor, boxes: Tensor) -> Tensor:
    """Return how near places ``[n, 2]`` lie to the middle of boxes ``[n, 4]``, 0 to 1 (FCOS, equation 3)."""
    before, after = places - boxes[:, :2], boxes[:, 2:] - places
    ratio = torch.minimum(before, after) / torch.maximum(before, after)
    return ratio.clamp(min=0).prod(dim=1).sqrt()
