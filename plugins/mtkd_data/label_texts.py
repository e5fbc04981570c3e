"""Class names and class numbers of labels that are texts: names, or numbers from 0 on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.reading.class_names import read_class_names

CLASS_FILE = "classes.txt"
MISSING = ("", "-1")
"""Labels that mean: not labeled."""

MOST_CLASSES = 100_000
"""Maximum number of classes that numbers alone may stand for."""


def class_names(wanted: Sequence[object] | None, folder: Path) -> tuple[str, ...] | None:
    """Return the names of the option ``classes``, or of the file ``classes.txt``; None if there are none.

    Args:
        wanted: value of the option: names, or one name of a file; None: ``classes.txt`` if it exists.
        folder: folder of ``classes.txt``.

    Raises:
        DataError: the file cannot be read.
        UsageError: there are fewer than two names, or two are the same.
    """
    file = folder / CLASS_FILE
    if wanted is not None and len(wanted) == 1:
        file, wanted = Path(str(wanted[0])), None
    elif wanted is None and not file.is_file():
        return None
    if wanted is not None:
        names, where = tuple(str(name) for name in wanted), "data.classes"
    else:
        names, where = read_class_names(file), str(file)
    if len(names) < 2:
        raise UsageError(f"only {len(names)} class names", where, "give at least two")
    if len(set(names)) < len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"duplicate class {duplicate!r}", where, "give each class another name")
    return names


def class_numbers(
    train: Sequence[str], others: Sequence[str], names: tuple[str, ...] | None, are_names: bool = False
) -> tuple[tuple[str, ...], Mapping[str, int]]:
    """Return the class names and the number of each valid label; -1 if it means that there is none.

    Labels are numbers if those of the training samples are whole numbers, else names; also names, if whole
    numbers are out of range but among the names. A label that has no number here is invalid.

    Args:
        train: labels of the training samples.
        others: labels of the other samples.
        names: class names in order; None: the numbers from 0 on, or the names in ``train``, sorted.
        are_names: whether no label is a number.

    Raises:
        DataError: there are fewer than two classes, or labels may be meant as names and as numbers.
    """
    train, others = (
        [text for text in dict.fromkeys(texts) if text not in MISSING] for texts in (train, others)
    )
    deciding = train or others
    numbers = {text: int(text) for text in (*train, *others) if text.isdecimal() and len(text) < 10}
    are_numbers = bool(deciding) and not are_names and all(text in numbers for text in deciding)
    if names is None and are_numbers:
        names = _numbered(max(numbers.values()) + 1)
    names = tuple(sorted(deciding)) if names is None else names
    if (invalid := next((name for name in names if name in MISSING), None)) is not None:
        raise DataError(f"{invalid!r} is not a class name", "data.classes", "rename the class")
    if len(names) < 2:
        found = f"only the class {names[0]!r}" if names else "no classes"
        raise DataError(
            f"the labels have {found}; at least 2 are needed",
            where="data.label",
            hint="list the classes in data.classes, or set data.label to where the labels are",
        )
    by_name = {name: number for number, name in enumerate(names)}
    if are_numbers and all(text in by_name for text in deciding):
        in_range = all(numbers[text] < len(names) for text in deciding)
        if in_range and any(by_name[text] != numbers[text] for text in deciding):
            raise DataError(
                f"the label {deciding[0]} may be a class number or a class name",
                where="data.classes",
                hint="name the classes with letters, in the order of the numbers",
            )
        are_numbers = in_range
    meaning = {text: n for text, n in numbers.items() if n < len(names)} if are_numbers else by_name
    return names, {**meaning, **dict.fromkeys(MISSING, -1)}


def _numbered(count: int) -> tuple[str, ...]:
    """Return the names of classes that are numbers.

    Raises:
        DataError: they are too many.
    """
    if count > MOST_CLASSES:
        raise DataError(
            f"the label {count - 1} stands for {count:,} classes",
            where="data.classes",
            hint="fix the label, or list the classes; labels count from 0",
        )
    return tuple(map(str, range(count)))
