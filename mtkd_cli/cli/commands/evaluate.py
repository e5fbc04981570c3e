"""``mtkd evaluate``: score a run's student."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Device, Json, Run
from mtkd_cli.cli.recipe_argument import TrustCode


def evaluate(
    run: Run,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE...", help="Other data, e.g. data=image-folder data.path=mine"),
    ] = None,
    split: Annotated[str, typer.Option(help="Split: test, val or train.")] = "test",
    device: Device = "auto",
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Score a run's student.

    Uses the run's test split, or other data. Needs no teacher.
    """
    with console.report_errors(as_json):
        from mtkd_cli.cli.run_argument import student_of
        from mtkd_cli.cli.tables import table
        from mtkd_cli.distributed.devices import resolve_device
        from mtkd_cli.inference.evaluate import score
        from mtkd_cli.interfaces.significant_digits import shown
        from mtkd_cli.report import by_chance
        from mtkd_cli.report.metric_names import spelt
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr

        target = resolve_device(device)
        student = student_of(run, trust_code)
        with stdout_on_stderr():
            found = score(student, overrides or [], split, target)
        if as_json:
            console.print_json(found)
            return
        console.print_status(
            f"{found['run']} on {found['data']}, {found['split']}: {found['samples']} samples"
        )
        if found["drawn_anew"]:
            console.warn(["the data options differ from the run's: training samples may be in this split"])
        low, high = found["interval"]
        interval = "-" if low is None else f"{shown(low)} to {shown(high)}"
        rows = [
            [
                spelt(name),
                by_chance.cell(name, value, found["by_chance"]),
                interval if name == found["metric"] else "",
            ]
            for name, value in found["scores"].items()
        ]
        console.print_result(table(rows, ["metric", "value", "95 % interval"]))
        if note := by_chance.note(found["by_chance"]):
            console.print_result(note)
