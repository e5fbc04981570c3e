"""``mtkd evaluate``: the scores of a run's student."""

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
        typer.Argument(metavar="KEY=VALUE...", help="Other data: data=image-folder data.path=mine"),
    ] = None,
    split: Annotated[str, typer.Option(help="test, val or train.")] = "test",
    device: Device = "auto",
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Score a run's student on its test split, or on other data. No teacher is needed."""
    with console.errors_shown(as_json):
        from mtkd_cli.cli.run_argument import student_of
        from mtkd_cli.cli.tables import table
        from mtkd_cli.distributed.devices import resolve_device
        from mtkd_cli.inference.evaluate import score
        from mtkd_cli.interfaces.significant_digits import shown
        from mtkd_cli.report.metric_names import spelt
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr

        where = resolve_device(device)
        student = student_of(run, trust_code)
        with stdout_on_stderr():
            found = score(student, overrides or [], split, where)
        if as_json:
            console.out_json(found)
            return
        console.talk(f"{found['run']} on {found['data']}, {found['split']}: {found['samples']} samples")
        if found["drawn_anew"]:
            console.warn(["other options than the run's: samples here may have been trained on"])
        rows = [[spelt(name), shown(value)] for name, value in found["scores"].items()]
        console.out(table(rows, ["metric", "value"]))
