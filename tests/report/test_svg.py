"""Plots: values land where the axes say, and nothing of the user's becomes markup."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtkd_cli.report.charts import bars, diagonal, lines, matrix
from mtkd_cli.report.strip_plot import strips
from mtkd_cli.report.svg import Scale, alike, element, fitting, legend, number, scale_of

EVIL = '<script>alert("x")</script>&'


def parsed(drawing: str) -> ET.Element:
    return ET.fromstring(drawing)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_inside_the_scale(low: float, span: float) -> None:
    ticks = Scale(low, low + span, 0, 1).ticks
    assert 1 <= len(ticks) <= 6
    assert all(low - span * 1e-6 <= tick <= low + span * 1.000001 for tick in ticks)


def test_ticks_are_round() -> None:
    assert Scale(0, 1, 0, 1).ticks == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert Scale(0.88, 0.97, 0, 1).ticks == [0.88, 0.9, 0.92, 0.94, 0.96]


def test_a_scale_shows_one_value_and_passes_over_what_is_not_finite() -> None:
    assert scale_of([2.0], 0, 1).at(2.0) == pytest.approx(0.5)
    assert scale_of([math.nan, 1.0, math.inf, 3.0], 0, 1).at(2.0) == pytest.approx(0.5)
    assert scale_of([], 0, 1).at(0.0) == 0.5


@pytest.mark.parametrize(
    "drawing",
    [
        lines(EVIL, {EVIL: [(0, 1), (1, 2)]}, EVIL, EVIL),
        bars(EVIL, {EVIL: 0.5}),
        matrix(EVIL, [EVIL, "b"], ["a", EVIL], [[1, 2], [3, 4]]),
        diagonal(EVIL, {EVIL: [(0, 1)], "b": [(1, 1)]}, EVIL, EVIL, dots=True),
        element("text", EVIL, class_=EVIL),
    ],
)
def test_names_are_text_never_markup(drawing: str) -> None:
    tree = parsed(drawing)
    assert not [part for part in tree.iter() if part.tag == "script"]
    assert EVIL in {*(part.text for part in tree.iter()), tree.get("aria-label")}


def test_a_curve_passes_over_what_is_not_finite() -> None:
    tree = parsed(lines("t", {"a": [(0, 1.0), (1, math.nan), (2, 3.0)]}, "x", "y"))
    (curve,) = tree.findall("polyline")
    assert len(curve.attrib["points"].split()) == 2


def test_bars_are_as_long_as_their_values() -> None:
    rectangles = parsed(bars("t", {"a": 0.4, "b": 0.8, "c": math.nan})).findall("rect")
    first, second = (float(part.attrib["width"]) for part in rectangles)
    assert second == pytest.approx(2 * first, rel=1e-3)


@pytest.mark.parametrize(
    ("higher", "best"), [(True, ["b", "c"]), (False, ["a"]), (None, [])], ids=["more", "less", "neither"]
)
def test_the_best_bars_are_in_colour(higher: bool | None, best: list[str]) -> None:
    values = {"a": 0.4, "b": 0.8, "none": math.nan, "c": 0.8}
    kinds = [part.attrib["class"] for part in parsed(bars("t", values, None, higher)).findall("rect")]
    assert [n for n, kind in zip("abc", kinds, strict=True) if kind == "bar best"] == best


def test_numbers_of_bars_have_as_many_decimals_each() -> None:
    texts = [part.text for part in parsed(bars("t", {"a": 0.9, "b": 0.8512})).findall("text")]
    assert texts == ["a", "0.9000", "b", "0.8512"]
    assert alike([54.0, 3.256, math.nan]) == ["54.00", "3.26", "-"]
    assert alike([12345.6, 0.0]) == ["12,346", "0"]
    assert alike([]) == []


def test_each_seed_is_a_point_and_the_mean_between_them() -> None:
    points = {"a": [0.81, 0.83], "b": [0.9]}
    tree = parsed(strips("t", points, {"a": 0.82, "b": 0.9}, {"a": (0.8, 0.84)}, best={"a"}))
    low, high, one = (float(part.attrib["cx"]) for part in tree.findall("circle"))
    assert 0 < low < high < one < 440
    best, other = tree.findall("rect")
    assert float(best.attrib["x"]) + 3 == pytest.approx((low + high) / 2, abs=0.02)
    assert (best.attrib["class"], other.attrib["class"]) == ("bar best", "bar")
    (whisker,) = [part for part in tree.findall("line") if part.attrib["class"] == "whisker"]
    assert float(whisker.attrib["x1"]) < low < high < float(whisker.attrib["x2"])


def test_negative_bars_grow_to_the_left_of_zero() -> None:
    low, high = parsed(bars("t", {"a": -0.5, "b": 0.5})).findall("rect")
    left = float(low.attrib["x"]) + float(low.attrib["width"])
    assert left == pytest.approx(float(high.attrib["x"]), abs=0.02)


def test_cells_are_shaded_by_their_share_of_the_row() -> None:
    cells = parsed(matrix("t", ["a"], ["x", "y"], [[1, 3]], whole=True)).findall("rect")
    light, dark = (float(cell.attrib["fill-opacity"]) for cell in cells)
    assert light == pytest.approx(0.04 + 0.56 / 4, abs=0.01)
    assert dark == pytest.approx(0.04 + 0.56 * 3 / 4, abs=0.01)


def test_cells_are_shaded_by_their_place_among_all_and_unknown_ones_are_empty() -> None:
    tree = parsed(matrix("t", "ab", "ab", [[math.nan, 0.9], [0.7, 0.8]], across=True))
    shades = [float(cell.attrib["fill-opacity"]) for cell in tree.findall("rect")]
    assert shades == pytest.approx([0.6, 0.04, 0.32], abs=0.01)
    texts = [str(part.text) for part in tree.findall("text")]
    assert [text for text in texts if text[0] == "0"] == ["0.90", "0.70", "0.80"]


def test_many_classes_still_make_a_picture() -> None:
    names = [f"class {n}" for n in range(80)]
    assert len(parsed(matrix("t", names, names, [[1.0] * 80] * 80)).findall("rect")) == 6400


def test_a_long_legend_takes_several_rows() -> None:
    _, one = legend(["a"], 0)
    _, many = legend([f"teacher number {n}" for n in range(9)], 0)
    assert many > one


def test_long_names_keep_their_end_in_which_they_differ() -> None:
    assert fitting("label_correctness, loss.temperature=4", 12) == "label…ture=4"
    assert [fitting("abc", letters) for letters in (1, 2, 3)] == ["…", "…c", "abc"]


def test_numbers_are_short() -> None:
    assert [number(v) for v in (0.95361, 12345.6, math.nan, 0.0)] == ["0.954", "12,346", "-", "0"]
