"""Match a detector's class numbers to class names: number 0 may be the background or the first class."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from mtkd_cli.errors import DataError

BACKGROUND_NAME = "__background__"
"""Name of class number 0 in torchvision's detectors."""

BackgroundOption = Literal["first", "none"]


@dataclass(frozen=True)
class Numbering:
    """Class names in the order of a teacher's class numbers.

    Attributes:
        classes: name of each class number, from 0.
        is_sure: whether further outputs cannot change the numbering.
        remark: remark for the user; may be empty.
    """

    classes: tuple[str, ...]
    is_sure: bool = True
    remark: str = ""


def lists_background(classes: Sequence[str], data: Sequence[str]) -> bool:
    """Whether the first of a teacher's class names is the background, and not one of the data's classes."""
    first = classes[0] if classes else ""
    return first.strip("_ ").lower() == "background" and first not in data


def number_classes(
    objects: Sequence[str],
    is_listed: bool,
    declared: BackgroundOption | None,
    outputs: int | None,
    has_background: bool | None,
    seen: Collection[int],
    where: str,
) -> Numbering:
    """Return the names of a detector's class numbers.

    Args:
        objects: class names, without the background.
        is_listed: whether the background precedes ``objects`` in the teacher's class names.
        declared: the ``background`` key of the recipe.
        outputs: number of class numbers; None if unknown.
        has_background: whether number 0 is the background; None if the provider does not know.
        seen: class numbers of its boxes on some samples.
        where: the teacher, used in messages.

    Raises:
        DataError: names and numbers do not match.
    """
    count = len(objects)
    starts = _possible_first_numbers(count, is_listed, declared, outputs, has_background, seen)
    if not starts:
        raise DataError(
            f"it has boxes with class numbers 0 and {count}, but only {count} class names",
            where,
            "name every number with classes:, or set background: first to ignore boxes with number 0",
        )
    has_extra_output = outputs == count + 1
    first = starts == {1} or (len(starts) == 2 and has_extra_output)
    names = (BACKGROUND_NAME, *objects) if first else tuple(objects)
    _check_count(names, count, outputs, has_extra_output, where)
    _check_names(names, seen, where)
    remark = ""
    if first and 0 in seen:
        remark = "boxes with class number 0, the background, are ignored"
    elif len(starts) == 2 and has_extra_output:
        remark = f"{outputs} outputs for {count} class names: assuming that class number 0 is the background"
        remark += "; if it is not, set background: none"
    elif len(starts) == 2:
        reason = f"no box has class number 0 or {count}" if seen else "it finds no boxes"
        remark = f"{reason} on the sampled images; assuming that its class numbers start at 0"
        remark += "; set background: first if 0 is the background, else background: none"
    elif first and declared is None and not is_listed and has_background is None:
        remark = f"its class numbers go from 1 to {count}: assuming that 0 is the background"
    return Numbering(names, len(starts) == 1, remark)


def _possible_first_numbers(
    count: int,
    is_listed: bool,
    declared: BackgroundOption | None,
    outputs: int | None,
    has_background: bool | None,
    seen: Collection[int],
) -> set[int]:
    """Return the possible numbers of the first of ``count`` classes: a subset of {0, 1}."""
    if has_background is not None:
        return {int(has_background)}
    if declared is not None:
        return {int(declared == "first")}
    if is_listed:
        return {1}
    starts = {0} if outputs == count else {0, 1}
    if count in seen:
        starts -= {0}
    if 0 in seen:
        starts -= {1}
    return starts


def _check_count(
    names: tuple[str, ...], count: int, outputs: int | None, has_extra_output: bool, where: str
) -> None:
    if outputs is None or outputs == len(names) or has_extra_output:
        return
    background = " and the background" if len(names) > count else ""
    raise DataError(
        f"the teacher has {outputs} outputs but {count} class names{background}",
        where,
        "name every output with classes:, in order, and set background: first if the first is the "
        "background, else background: none",
    )


def _check_names(names: tuple[str, ...], seen: Collection[int], where: str) -> None:
    if wrong := [number for number in seen if number >= len(names)]:
        background = names[0] == BACKGROUND_NAME
        named = f"numbers 0 to {len(names) - 1}" + (", 0 the background" if background else "")
        hint = "" if background else ", or set background: first if 0 is the background"
        raise DataError(
            f"it has a box with class number {max(wrong)}; its class names cover {named}",
            where,
            f"name every class number with classes:, in order{hint}",
        )
