"""What metrics are called where people read; files and programs keep the metrics' own names."""

from __future__ import annotations

SHOWN = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ece": "ECE",
    "f1": "F1",
    "iou": "IoU",
    "mae": "MAE",
    "map": "mAP",
    "miou": "mIoU",
    "nll": "NLL",
    "nrmse": "NRMSE",
    "r2": "R2",
    "rmse": "RMSE",
}


def spelt(metric: str) -> str:
    """Return a metric's name for people; of ``rmse price`` the first word is the metric's."""
    name, space, of = metric.partition(" ")
    return SHOWN.get(name, name.replace("_", " ")) + space + of
