"""``mtkd predict``: apply a run's student to files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json, Run
from mtkd_cli.cli.number_limits import at_most
from mtkd_cli.cli.recipe_argument import TrustCode
from mtkd_cli.errors import DataError, UsageError, nearest_or_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mtkd_cli.inference.predict import Answered
    from mtkd_cli.inference.student import LoadedStudent

FORMATS = ("csv", "jsonl", "coco", "yolo")


def predict(
    run: Run,
    paths: Annotated[list[str], typer.Argument(help="Images, folders of images, or CSV or parquet tables.")],
    output: Annotated[str, typer.Option(help="File to write; for yolo, a folder. Default: stdout.")] = "",
    format: Annotated[str, typer.Option(help="Format: csv, jsonl; for boxes also coco, yolo.")] = "csv",
    annotations: Annotated[
        str, typer.Option(help="coco: annotation file whose ids the results have, for COCO's evaluation.")
    ] = "",
    masks: Annotated[
        str, typer.Option(help="Folder for predicted masks, as PNG files with a palette.")
    ] = "masks",
    threshold: Annotated[
        float,
        typer.Option(
            min=0, max=1, callback=at_most(1, "scores are probabilities"), help="Minimum score of a box."
        ),
    ] = 0.3,
    batch_size: Annotated[
        int,
        typer.Option(
            min=1,
            callback=at_most(1_000_000, "a batch must fit into memory"),
            help="Number of samples per batch.",
        ),
    ] = 64,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Predict with a run's student.

    Takes images, folders of images or tables. Files that cannot be read are skipped and named on stderr;
    the exit code is then 3.
    """
    with console.report_errors(as_json):
        if format not in FORMATS:
            raise UsageError(f"unknown format {format!r}", "--format", nearest_or_all(format, FORMATS))
        if format == "yolo" and not output:
            raise UsageError("the format yolo is a folder of files", "--output", "add --output FOLDER")
        if annotations and format != "coco":
            raise UsageError(
                f"the format {format} has no ids", "--annotations", "add --format coco, or leave it out"
            )

        from mtkd_cli.cli.run_argument import student_of
        from mtkd_cli.inference.predict import files_of
        from mtkd_cli.inference.predict import predict as predicted

        student = student_of(run, trust_code)
        files = files_of(student, [Path(path) for path in paths])
        if not files:
            raise DataError(
                f"no {'images' if student.takes == 'image' else 'tables'} found",
                where=", ".join(paths),
                hint="pass files, or folders that contain some",
            )
        bad: list[Answered] = []
        from mtkd_cli.cli.run_argument import progress

        def readable() -> Iterable[Answered]:
            with progress().phase("predict", len(files)) as bar:
                for answered in predicted(student, files, batch_size, bar.advance):
                    if answered.prediction is None:
                        bad.append(answered)
                        console.print_status(f"{answered.file}: {answered.problem}", style="yellow")
                    else:
                        yield answered

        if format == "yolo":
            given = [Path(path) for path in paths]
            _write_yolo(student, readable(), files, given, Path(output), threshold, bad, as_json)
        else:
            form = "json" if as_json else format
            _write(student, readable(), output, form, annotations, Path(masks), threshold, bad)
        if bad:
            console.print_status(f"{len(bad)} of {len(files)} files cannot be read", style="bold red")
            raise typer.Exit(DataError.exit_code)


def _write(
    student: LoadedStudent,
    answers: Iterable[Answered],
    output: str,
    form: str,
    annotations: str,
    masks: Path,
    threshold: float,
    bad: list[Answered],
) -> None:
    """Write the predictions to stdout line by line, or to a file atomically."""
    from mtkd_cli.files import atomic
    from mtkd_cli.inference.formats import facts_of, write_mask

    def with_masks_written() -> Iterable[Answered]:
        for answered in answers:
            mask = answered.prediction.mask if answered.prediction else None
            if mask is not None:
                write_mask(mask, answered, masks)
            yield answered

    if form == "json":
        rows = [facts_of(answered, threshold) for answered in with_masks_written()]
        console.print_json({"predictions": rows, "unreadable": _problems(bad)})
        return
    lines = _lines(student, with_masks_written(), form, annotations, threshold)
    if not output:
        for line in lines:
            typer.echo(line, nl=False)
        return
    with atomic.disk_errors(Path(output)):
        atomic.write_bytes(Path(output), "".join(lines).encode())


def _problems(bad: list[Answered]) -> list[dict[str, str]]:
    return [{"file": answered.file, "problem": answered.problem} for answered in bad]


def _write_yolo(
    student: LoadedStudent,
    answers: Iterable[Answered],
    files: list[Path],
    given: list[Path],
    folder: Path,
    threshold: float,
    bad: list[Answered],
    as_json: bool,
) -> None:
    """Write the label files into a folder, and print what is there."""
    from mtkd_cli.inference.formats import require_boxes
    from mtkd_cli.inference.yolo_labels import plan_labels, write_labels

    plan = plan_labels(folder, files, given)
    images, boxes = write_labels(plan, require_boxes(answers, "yolo"), student.classes, threshold)
    if as_json:
        facts = {"folder": str(folder), "images": images, "boxes": boxes}
        console.print_json({**facts, "unreadable": _problems(bad)})
        return
    console.print_status(f"{folder}: {boxes} boxes in {images} images")
    absent = [place for place in plan.images if not (folder / place).is_dir()]
    if absent:
        console.print_status(f"to use the folder as data, put the images into {folder / absent[0]}")


def _lines(
    student: LoadedStudent, answers: Iterable[Answered], form: str, annotations: str, threshold: float
) -> Iterable[str]:
    import json

    from mtkd_cli.inference.coco_boxes import coco, coco_results, read_ids
    from mtkd_cli.inference.formats import csv_heading, csv_line, csv_rows, json_line, require_boxes

    if form == "coco":
        ids = read_ids(Path(annotations)) if annotations else None
        boxed = require_boxes(answers, form)
        found = coco_results(boxed, ids, threshold) if ids else coco(boxed, student.classes, threshold)
        yield json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        return
    for number, answered in enumerate(answers):
        if form == "jsonl":
            yield json_line(answered, threshold)
            continue
        if number == 0:
            yield csv_line(csv_heading(answered))
        for row in csv_rows(answered, threshold):
            yield csv_line(row)
