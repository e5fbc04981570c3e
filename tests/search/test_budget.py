"""Latency and size with units, and lists of students."""

from __future__ import annotations

import math

import pytest

from mtkd_cli.errors import UsageError
from mtkd_cli.search.budget import parse_latency, parse_size
from mtkd_cli.search.candidates import parse_students


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("2ms", 2.0), ("500us", 0.5), ("500 µs", 0.5), ("1.5s", 1500.0), (".5ms", 0.5)]
)
def test_latencies(text: str, milliseconds: float) -> None:
    assert parse_latency(text) == pytest.approx(milliseconds)


@pytest.mark.parametrize(("text", "size"), [("1MB", 1e6), ("200kB", 2e5), ("1 gb", 1e9), ("10B", 10)])
def test_sizes(text: str, size: float) -> None:
    assert parse_size(text) == size


def test_no_limit() -> None:
    assert (parse_latency(""), parse_size("")) == (math.inf, math.inf)


@pytest.mark.parametrize("text", ["2", "ms", "-2ms", "0ms", "2mb", "nan ms", "2 ms ms"])
def test_invalid_latencies(text: str) -> None:
    with pytest.raises(UsageError, match="invalid value"):
        parse_latency(text)


def test_the_provider_need_not_be_repeated() -> None:
    wanted = ["convnet:4-8", "convnet:8-16", "timm:a", "timm:b", "mlp:4"]
    assert parse_students("convnet:4-8,8-16,timm:a, b ,mlp:4") == wanted


@pytest.mark.parametrize("text", ["", " , ", "convnet:4,convnet:4", "convnet:4,4"])
def test_invalid_lists_of_students(text: str) -> None:
    with pytest.raises(UsageError):
        parse_students(text)
