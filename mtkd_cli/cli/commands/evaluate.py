"""``mtkd evaluate``: score a run's student."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Device, Json, Run, Threads
from mtkd_cli.cli.completion import complete_override
from mtkd_cli.cli.recipe_argument import TrustCode
from mtkd_cli.cli.verify_option import Extent, Verify


def evaluate(
    run: Run,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=complete_override,
            metavar="KEY=VALUE...",
            help="Other data, e.g. data=image-folder data.path=mine",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Split: test, val or train.")] = "test",
    output: Annotated[str, typer.Option(help="File to write the scores to, as JSON.")] = "",
    latency: Annotated[
        bool,
        typer.Option(
            "--latency", help="Measure the latency of the student and its teachers on this machine, too."
        ),
    ] = False,
    device: Device = "auto",
    threads: Threads = 0,
    verify: Verify = Extent.SAMPLE,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Score a run's student.

    Uses the run's test split, or other data. Prints each metric with its 95 % interval, and the scores per
    class. Needs no teacher, except for the latencies of the teachers.
    """
    with console.report_errors(as_json):
        import torch

        from mtkd_cli.cli.run_argument import student_of
        from mtkd_cli.distributed.devices import resolve_device
        from mtkd_cli.inference.evaluate import score
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr
        from mtkd_cli.store.data_cache import StoreCache

        if threads:
            torch.set_num_threads(threads)
        target = resolve_device(device)
        student = student_of(run, trust_code)
        cache = StoreCache(verify_all=verify is Extent.ALL, say=console.print_status)
        with stdout_on_stderr():
            found = score(student, overrides or [], split, target, cache=cache)
            if latency:
                from mtkd_cli.cli.render.latencies import latency_rows, latency_table
                from mtkd_cli.inference.evaluate import load_data, options_of
                from mtkd_cli.plugin.registry import load_registry
                from mtkd_cli.runs.latencies import measure_run

                data = load_data(student, options_of(student, overrides or []), load_registry())
                measured = measure_run(student, data, target)
                notes = [note for each in measured for note in each.notes]
                found |= {"latency": latency_rows(measured), "latency_notes": notes}
        if output:
            _write(found, Path(output))
        if as_json:
            console.print_json(found)
        else:
            _print(found)
            if latency:
                console.print_result("")
                console.print_result(latency_table(measured))
                for note in notes:
                    console.print_status(note)
        if output and not as_json:
            console.print_status(f"wrote {output}")


def _write(found: dict[str, Any], file: Path) -> None:
    from mtkd_cli.files import atomic

    with atomic.disk_errors(file):
        atomic.write_json(file, found)


def _print(found: dict[str, Any]) -> None:
    from mtkd_cli.cli.tables import table
    from mtkd_cli.interfaces.significant_digits import format_number
    from mtkd_cli.report import by_chance
    from mtkd_cli.report.metric_names import spelt

    console.print_status(f"{found['run']} on {found['data']}, {found['split']}: {found['samples']} samples")
    if found["drawn_anew"]:
        console.warn(["the data options differ from the run's: training samples may be in this split"])
    rows = []
    for name, value in found["scores"].items():
        low, high = found["intervals"][name]
        interval = "-" if low is None or high is None else f"{format_number(low)} to {format_number(high)}"
        rows.append([spelt(name), by_chance.cell(name, value, found["by_chance"]), interval])
    console.print_result(table(rows, ["metric", "value", "95 % interval"]))
    if note := by_chance.note(found["by_chance"]):
        console.print_result(note)
    if classes := found["classes"]:
        headings = list(classes[0])
        cells = [
            [row["class"], *(_cell(key, row[key]) for key in headings if key != "class")] for row in classes
        ]
        columns = [key if key in ("class", "labels") else spelt(key) for key in headings]
        console.print_result("")
        console.print_result(table(cells, columns))


def _cell(key: str, value: float | None) -> str:
    from mtkd_cli.interfaces.significant_digits import format_number

    if value is None:
        return "-"
    return f"{value:,}" if key == "labels" else format_number(value)
