"""One name for a metric wherever people read it."""

from __future__ import annotations

import pytest

from mtkd_cli.report.metric_names import spelt


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("accuracy", "accuracy"),
        ("map", "mAP"),
        ("miou", "mIoU"),
        ("pixel_accuracy", "pixel accuracy"),
        ("rmse", "RMSE"),
        ("rmse net_price", "RMSE net_price"),
        ("deviance", "deviance"),
    ],
)
def test_a_metric_is_called_what_papers_call_it_and_targets_keep_their_names(metric: str, name: str) -> None:
    assert spelt(metric) == name
