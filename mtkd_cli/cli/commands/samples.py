"""``mtkd samples``: list the samples of a recipe's data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json, Recipe
from mtkd_cli.cli.recipe_argument import parts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mtkd_cli.runs.sample_list import ListedSample

HEADINGS = ("id", "path", "split", "label")


def samples(
    recipe: Recipe,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="e.g. data.path=photos")
    ] = None,
    split: Annotated[str, typer.Option(help="Only this split: train, val or test.")] = "",
    csv: Annotated[str, typer.Option(metavar="FILE", help="Write a CSV file instead of the list.")] = "",
    as_json: Json = False,
) -> None:
    """List the samples of a recipe's data.

    Prints id, path, split and label of each sample, separated by tabs. The ids are the keys for a file of
    predictions. Labels that the recipe hides are empty. Loads no teacher.
    """
    with console.report_errors(as_json):
        from pathlib import Path

        from mtkd_cli.errors import UsageError, nearest_or_all
        from mtkd_cli.runs.sample_list import list_samples
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr

        if split not in ("", "train", "val", "test"):
            raise UsageError(
                f"unknown split {split!r}", "--split", nearest_or_all(split, ["train", "val", "test"])
            )
        parts = parts_of(recipe, overrides or [])
        with stdout_on_stderr():
            found = [sample for sample in list_samples(parts) if split in ("", sample.split)]
        if csv:
            from mtkd_cli.files import atomic

            with atomic.disk_errors(Path(csv)):
                atomic.write_bytes(Path(csv), "".join(_csv_lines(found)).encode("utf-8", "backslashreplace"))
            console.print_status(f"{len(found)} samples: {csv}")
        if as_json:
            console.print_json({"samples": [_as_dict(sample) for sample in found]})
        elif not csv:
            typer.echo("\t".join(HEADINGS))
            for sample in found:
                cells = (sample.id, sample.path, sample.split, ", ".join(sample.label))
                typer.echo("\t".join(console.escape(cell).replace("\t", "\\t") for cell in cells))


def _csv_lines(found: Iterable[ListedSample]) -> Iterator[str]:
    from mtkd_cli.reading.csv_format import escape_formula, to_line

    yield to_line(HEADINGS)
    for sample in found:
        cells = (sample.id, sample.path, sample.split, ", ".join(sample.label))
        yield to_line([escape_formula(cell) for cell in cells])


def _as_dict(sample: ListedSample) -> dict[str, str | list[str] | None]:
    return {
        "id": sample.id,
        "path": sample.path or None,
        "split": sample.split,
        "label": list(sample.label) or None,
    }
