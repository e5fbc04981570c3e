"""``mtkd export``: a run's student as a file that runs without mtkd."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json, Run
from mtkd_cli.cli.recipe_argument import TrustCode
from mtkd_cli.errors import UsageError, nearest_or_all

FORMATS = ("onnx", "pt2", "safetensors")
QUANTIZE = ("int8",)


def export(
    run: Run,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE...", help="Where the samples to check on are: data.path=elsewhere"),
    ] = None,
    format: Annotated[str, typer.Option(help="onnx, pt2 or safetensors.")] = "onnx",
    output: Annotated[str, typer.Option(help="File to write. Default: exported.* in the run's folder.")] = "",
    quantize: Annotated[str, typer.Option(help="int8: weights as 8-bit integers; onnx only.")] = "",
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Export a run's student, and compare it with the student on the test split.

    What is done to an image's bytes is inside the file, class names are in its metadata. A file that
    differs from the student is not written.
    """
    with console.errors_shown(as_json):
        for key, given, known in (("--format", format, FORMATS), ("--quantize", quantize, QUANTIZE)):
            if given and given not in known:
                raise UsageError(f"no {given!r}", key, nearest_or_all(given, known))

        from mtkd_cli.cli.run_argument import student_of
        from mtkd_cli.inference.evaluate import for_student, load_data, options_of
        from mtkd_cli.inference.export import ENDINGS
        from mtkd_cli.inference.export import export as exported
        from mtkd_cli.plugin.registry import installed
        from mtkd_cli.report.metric_names import spelt
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr

        student = student_of(run, trust_code)
        small = "-int8" if quantize else ""
        default = student.folder / f"exported{small}{ENDINGS[format]}"
        file = Path(output) if output else default
        with stdout_on_stderr():
            data = load_data(student, options_of(student, overrides or []), installed())
            done = exported(student, format, file, for_student(student, data, data.test), bool(quantize))
        if as_json:
            console.out_json(done.as_dict())
            return
        console.talk(f"wrote {done.file}, {done.file.stat().st_size:,} bytes")
        console.talk(
            f"largest difference to the student on {done.samples} test samples: {done.difference:.2e}"
        )
        from mtkd_cli.interfaces.significant_digits import shown

        name = student.task.primary.name
        console.out(f"{spelt(name)} {shown(done.scores[name])}, the student's {shown(done.student[name])}")
