"""Class names and class numbers of labels that are texts: names, or numbers from 0 on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mtkd_cli.errors import DataError, UsageError

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
        where = str(file)
        try:
            lines = file.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"no class names: {error}", where, "write one name per line, in UTF-8") from error
        names = tuple(line.strip() for line in lines if line.strip())
    if len(names) < 2:
        raise UsageError(f"only {len(names)} class names", where, "give at least two")
    if len(set(names)) < len(names):
        duplicate = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"duplicate class {duplicate!r}", where, "give each class another name")
    return names


def class_numbers(
    train: Sequence[str], others: Sequence[str], names: tuple[str, ...] | None
) -> tuple[tuple[str, ...], Mapping[str, int]]:
    """Return the class names and the number of each valid label; -1 if it means that there is none.

    Labels are class names if all are among the names, else numbers if all are whole numbers. A label without
    a number is invalid.

    Args:
        train: labels of the training samples.
        others: labels of the other samples.
        names: class names in order; None: the numbers from 0 on, or the names in ``train``, sorted.

    Raises:
        DataError: there are fewer than two classes, or labels may be meant as names and as numbers.
    """
    labels = [text for text in dict.fromkeys((*train, *others)) if text not in MISSING]
    numbers = {text: int(text) for text in labels if text.isdecimal() and len(text) < 10}
    if names is None:
        if labels and len(numbers) == len(labels):
            names = tuple(str(number) for number in range(max(numbers.values()) + 1))
            if len(names) > MOST_CLASSES:
                raise DataError(
                    f"the label {names[-1]} stands for {len(names):,} classes",
                    where="data.classes",
                    hint="fix the label, or list the classes; labels count from 0",
                )
        else:
            names = tuple(sorted(text for text in dict.fromkeys(train) if text not in MISSING))
            numbers = {}
    if len(names) < 2:
        found = f"only the class {names[0]!r}" if names else "no classes"
        raise DataError(
            f"the labels have {found}; at least 2 are needed",
            where="data.label",
            hint="list the classes in data.classes, or set data.label to where the labels are",
        )
    by_name = {name: number for number, name in enumerate(names)}
    are_names = all(text in by_name for text in labels)
    are_numbers = len(numbers) == len(labels)
    in_range = are_numbers and all(number < len(names) for number in numbers.values())
    if are_names and in_range and any(by_name[text] != number for text, number in numbers.items()):
        raise DataError(
            f"the label {labels[0]} may be a class number or a class name",
            where="data.classes",
            hint="name the classes with letters, in the order of the numbers",
        )
    meaning = numbers if are_numbers and not are_names else by_name
    valid = {text: meaning[text] for text in labels if meaning.get(text, len(names)) < len(names)}
    return names, {**valid, **dict.fromkeys(MISSING, -1)}
