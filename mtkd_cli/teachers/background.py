"""Which class number of a detector is which class: some count the background as number 0, some do not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from mtkd_cli.errors import DataError

NAME = "__background__"
"""The name that torchvision's detectors give to number 0."""

Told = Literal["first", "none"]


@dataclass(frozen=True)
class Numbering:
    """Class names in the order of a teacher's class numbers.

    Attributes:
        classes: a name for each class number from 0.
        is_sure: whether more answers could not change it.
        remark: what the user should know; empty: nothing.
    """

    classes: tuple[str, ...]
    is_sure: bool = True
    remark: str = ""


def is_listed(classes: Sequence[str], data: Sequence[str]) -> bool:
    """Whether the first of a teacher's class names is the background, and none of the data's classes."""
    first = classes[0] if classes else ""
    return first.strip("_ ").lower() == "background" and first not in data


def number_classes(
    objects: Sequence[str],
    listed: bool,
    told: Told | None,
    outputs: int | None,
    has_background: bool | None,
    seen: Collection[int],
    where: str,
) -> Numbering:
    """Return the names of a detector's class numbers.

    Args:
        objects: class names, without the background.
        listed: whether the background is the first of the teacher's names, before ``objects``.
        told: what the recipe says.
        outputs: how many class numbers the detector has; None: unknown.
        has_background: whether number 0 is the background, where the provider knows.
        seen: class numbers of its boxes on some samples.
        where: the teacher, for messages.

    Raises:
        DataError: names and numbers do not match.
    """
    count = len(objects)
    starts = _possible(count, listed, told, outputs, has_background, seen)
    if not starts:
        raise DataError(
            f"it has boxes of the class numbers 0 and {count}, and {count} class names",
            where,
            "name every number with classes:, or set background: first to ignore the boxes of number 0",
        )
    by_count = outputs == count + 1
    first = starts == {1} or (len(starts) == 2 and by_count)
    names = (NAME, *objects) if first else tuple(objects)
    _refuse_wrong_count(names, count, outputs, by_count, where)
    _refuse_unnamed(names, seen, where)
    remark = ""
    if first and 0 in seen:
        remark = "boxes of its class number 0, the background, are ignored"
    elif len(starts) == 2 and by_count:
        remark = f"{outputs} outputs for {count} class names: its class number 0 is taken as the background"
        remark += "; if it is not, set background: none"
    elif len(starts) == 2:
        found = f"no box has the class number 0 or {count}" if seen else "it finds nothing"
        remark = f"{found} on the samples it was asked about, so its class numbers are taken to start at 0"
        remark += "; set background: first if 0 is the background, else background: none"
    elif first and told is None and not listed and has_background is None:
        remark = f"its class numbers go from 1 to {count}: 0 is taken as the background"
    return Numbering(names, len(starts) == 1, remark)


def _possible(
    count: int,
    listed: bool,
    told: Told | None,
    outputs: int | None,
    has_background: bool | None,
    seen: Collection[int],
) -> set[int]:
    """Return the numbers that the first of ``count`` classes may have: 0, 1, or none of both."""
    if has_background is not None:
        return {int(has_background)}
    if told is not None:
        return {int(told == "first")}
    if listed:
        return {1}
    starts = {0} if outputs == count else {0, 1}
    if count in seen:
        starts -= {0}
    if 0 in seen:
        starts -= {1}
    return starts


def _refuse_wrong_count(
    names: tuple[str, ...], count: int, outputs: int | None, by_count: bool, where: str
) -> None:
    if outputs is None or outputs == len(names) or by_count:
        return
    background = " and the background" if len(names) > count else ""
    raise DataError(
        f"the teacher gives {outputs} outputs but has {count} class names{background}",
        where,
        "name every output with classes:, in their order; background: first or none says whether the "
        "first is the background",
    )


def _refuse_unnamed(names: tuple[str, ...], seen: Collection[int], where: str) -> None:
    if wrong := [number for number in seen if number >= len(names)]:
        background = names[0] == NAME
        shown = f"numbers 0 to {len(names) - 1}" + (", 0 the background" if background else "")
        told = "" if background else ", or set background: first if 0 is the background"
        raise DataError(
            f"it has a box of the class number {max(wrong)}; its class names have the {shown}",
            where,
            f"name every class number with classes:, in their order{told}",
        )
