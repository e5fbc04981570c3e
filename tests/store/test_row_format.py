"""Row formats of recorded outputs, and their rounding."""

import pytest
import torch

from mtkd_cli.store.rounding import measure_rounding
from mtkd_cli.store.row_format import Layout


@pytest.mark.parametrize("offset", [0.0, 4e3, -6e4, 7e4, 1e6])
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_constant_added_to_logits_keeps_probabilities(offset: float, precision: str) -> None:
    logits = torch.randn(64, 10, 3, generator=torch.Generator().manual_seed(0)).round(decimals=1) * 4
    shifted = logits + offset  # rounding by float32 itself does not count
    layout = Layout((10, 3), precision, kind="classes")
    rows = layout.encode(shifted)
    back = layout.decode(rows)
    torch.testing.assert_close(back.softmax(1), shifted.softmax(1), atol=5e-4 + abs(offset) * 1e-7, rtol=0)
    assert (back.argmax(1) == shifted.argmax(1)).all()
    told = measure_rounding(layout, shifted, rows).error
    assert told == pytest.approx((back.double().softmax(1) - shifted.double().softmax(1)).abs().max().item())


def test_clamps_large_label_logits() -> None:
    logits = torch.tensor([[250000.0, 1.5, -250000.0]])
    layout = Layout((3,), "fp16", kind="labels")
    back = layout.decode(layout.encode(logits))
    assert back.sigmoid().tolist() == logits.sigmoid().tolist()


def test_does_not_clamp_values() -> None:
    values = torch.tensor([[70000.0]])
    with pytest.raises(OverflowError):
        Layout((1,), "fp16").encode(values)
    assert Layout((1,), "fp32").decode(Layout((1,), "fp32").encode(values)).item() == 70000
    far = torch.tensor([[1.7e12 + 0.25]], dtype=torch.float64)
    assert Layout((1,), "fp64").decode(Layout((1,), "fp64").encode(far)).item() == 1.7e12 + 0.25


@pytest.mark.parametrize(("precision", "off"), [("fp32", 1e-4), ("fp16", 1e-2)])
@pytest.mark.parametrize("classes", [10, 40_000])
def test_top_k_keeps_largest_probabilities_and_rest(classes: int, precision: str, off: float) -> None:
    logits = torch.randn(5, classes, generator=torch.Generator().manual_seed(0)) * 3
    logits[:3, classes - 1] = 20
    logits[3, 0] = 2000  # all others are beyond what any float tells from 0
    layout = Layout((classes,), precision, top_k=4)
    back = layout.decode(layout.encode(logits)).softmax(dim=1)
    exact = logits.softmax(dim=1)
    top = exact.topk(4).indices
    torch.testing.assert_close(back.gather(1, top), exact.gather(1, top), rtol=off, atol=1e-6)
    torch.testing.assert_close(back.sum(1), torch.ones(5))
    torch.testing.assert_close(
        1 - back.gather(1, top).sum(1), 1 - exact.gather(1, top).sum(1), rtol=off, atol=1e-5
    )
    assert (top[:3] == classes - 1).any(dim=1).all()


@pytest.mark.parametrize(("classes", "bytes_"), [(256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_class_numbers_take_no_more_bytes_than_needed(classes: int, bytes_: int) -> None:
    layout = Layout((classes,), "fp16", top_k=2, kind="classes")
    assert layout.dtype["index"].base.itemsize == bytes_
    logits = torch.zeros(1, classes)
    logits[0, -1], logits[0, 1] = 9, 8
    assert layout.decode(layout.encode(logits)).topk(2).indices.tolist() == [[classes - 1, 1]]
    assert layout.encode(logits)["index"].tolist() == [[classes - 1, 1]]
