"""``mtkd export``: write a run's student to a file that runs without mtkd."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json, Run
from mtkd_cli.cli.recipe_argument import TrustCode
from mtkd_cli.distributed import signals
from mtkd_cli.errors import UsageError, nearest_or_all

if TYPE_CHECKING:
    from torch import nn

    from mtkd_cli.inference.student import LoadedStudent

FORMATS = ("onnx", "pt2", "safetensors", "openvino", "hub")
QUANTIZE = ("int8",)
INT8 = ("static", "dynamic", "qat")


def export(
    run: Run,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE...", help="Where the samples for the check are, e.g. data.path=elsewhere"
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="Format: onnx, pt2, safetensors, openvino or hub.")] = "onnx",
    output: Annotated[
        str,
        typer.Option(
            help="File or, for hub, folder to write. Default: exported.* or hub in the run's folder."
        ),
    ] = "",
    int8: Annotated[
        str,
        typer.Option(
            help="Quantize to 8 bits: static (calibrated on training samples), dynamic, or qat (trained for "
            "a few more epochs on the recorded outputs). ONNX, and OpenVINO except static."
        ),
    ] = "",
    epochs: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Epochs of --int8 qat.  [default: 5]")
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(
            min=0, help="Write no int8 file that loses more of the primary metric on validation, e.g. 0.01."
        ),
    ] = None,
    quantize: Annotated[str, typer.Option(help="int8: the same as --int8 dynamic.")] = "",
    frames: Annotated[
        bool,
        typer.Option(
            "--frames", help="Answer on the original image, whose height and width are a second input."
        ),
    ] = False,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Export a run's student to a file, or to a folder for a model hub.

    The file contains the preprocessing of an image's bytes, and the class names as metadata. The exported
    model is compared with the student on the test split; a file that differs is not written. The folder has
    config.json, model.safetensors and the model card.
    """
    with console.report_errors(as_json), signals.handle():
        options = (("--format", format, FORMATS), ("--int8", int8, INT8), ("--quantize", quantize, QUANTIZE))
        for key, given, known in options:
            if given and given not in known:
                raise UsageError(f"unknown value {given!r}", key, nearest_or_all(given, known))

        kind = int8 or ("dynamic" if quantize else "")
        if max_loss is not None and not kind:
            raise UsageError("--max-loss goes with --int8", "--max-loss", "add --int8 static, or remove it")
        if epochs is not None and kind != "qat":
            raise UsageError("--epochs goes with --int8 qat", "--epochs", "add --int8 qat, or remove it")
        from mtkd_cli.cli.run_argument import student_of
        from mtkd_cli.inference.evaluate import for_student, load_data, options_of
        from mtkd_cli.inference.export import ENDINGS, refuse_unfit
        from mtkd_cli.inference.export import export as exported
        from mtkd_cli.inference.int8 import Int8, speed_note
        from mtkd_cli.plugin.registry import load_registry
        from mtkd_cli.report.metric_names import spelt
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr

        student = student_of(run, trust_code)
        if format == "hub":
            for option, key in ((bool(kind), "--int8"), (frames, "--frames")):
                if option:
                    raise UsageError(f"{key} is not for hub", "--format hub", "use --format onnx")
            _export_to_hub(student, Path(output) if output else student.folder / "hub", as_json)
            return
        small = "-int8" if kind else ""
        default = student.folder / f"exported{small}{ENDINGS[format]}"
        file = Path(output) if output else default
        refuse_unfit(student, format, file, kind, frames)
        with stdout_on_stderr():
            data = load_data(student, options_of(student, overrides or []), load_registry())
            data.require_labels("test", needed_by="the comparison with the student")
            wanted = None
            if kind:
                train, val = (for_student(student, data, split) for split in (data.train, data.val))
                trained = _train_quantized(student, overrides or [], epochs) if kind == "qat" else None
                wanted = Int8(kind, train, val, math.inf if max_loss is None else max_loss, trained)
            split = for_student(student, data, data.test)
            done = exported(student, format, file, split, wanted, frames)
        if as_json:
            console.print_json(done.as_dict())
            return
        console.print_status(f"wrote {done.file}, {done.bytes:,} bytes")
        console.print_status(
            f"largest difference from the student on {done.samples} test samples: {done.difference:.2e}"
        )
        if done.variants:
            from mtkd_cli.cli.render.int8 import cost_table, score_table
            from mtkd_cli.inference.int8 import comparison_note

            console.print_result(score_table(done.variants, student.task.primary.name))
            console.print_result("")
            console.print_result(cost_table(done.variants))
            notes = [speed_note()]
            if format == "onnx":
                notes.insert(0, comparison_note(done.variants, student.task.primary))
            for note in filter(None, notes):
                console.print_status(note)
            if format == "onnx":  # the tables have the scores of ONNX files
                return
        from mtkd_cli.interfaces.significant_digits import format_number

        name = student.task.primary.name
        score, own = (format_number(scores[name]) for scores in (done.scores, done.student))
        console.print_result(f"{spelt(name)} {score}, the student's {own}")


def _train_quantized(student: LoadedStudent, overrides: list[str], epochs: int | None) -> nn.Module:
    """Return the student of quantization-aware training on the answers that its run recorded."""
    from mtkd_cli.runs.quantization_aware import EPOCHS, train_quantized
    from mtkd_cli.runs.run_context import context_of_run

    with context_of_run(student, overrides, console.warn) as context:
        return train_quantized(student, context, epochs or EPOCHS)


def _export_to_hub(student: LoadedStudent, folder: Path, as_json: bool) -> None:
    """Write the folder for a model hub and print its files."""
    from mtkd_cli.inference import hub_folder
    from mtkd_cli.report import results
    from mtkd_cli.report.model_card import model_card
    from mtkd_cli.report.run_result import RunResult

    report = results.read(student.folder)
    if not isinstance(report, RunResult):
        raise UsageError("not a run's folder", str(student.folder), "mtkd list runs")
    about = hub_folder.description(student, folder)
    written = hub_folder.write(student, folder, about, model_card(report, about.library, about.usage))
    if as_json:
        console.print_json({"folder": str(folder), "files": [path.name for path in written]})
        return
    for path in written:
        console.print_status(f"wrote {path}, {path.stat().st_size:,} bytes")
    console.print_status("docs/using-the-student.md shows how to publish it on a model hub")
