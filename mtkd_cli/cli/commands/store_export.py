"""``mtkd store export``: write recorded outputs as a data set that others can train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Device, Json, Recipe, Threads
from mtkd_cli.cli.completion import complete_override
from mtkd_cli.cli.number_limits import at_most
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of

FORMATS = ("webdataset", "parquet")


def export(
    folder: Annotated[str, typer.Argument(help="Folder to write; it must not exist.")],
    recipe: Recipe,
    overrides: Annotated[
        list[str] | None, typer.Argument(autocompletion=complete_override, metavar="KEY=VALUE...")
    ] = None,
    format: Annotated[str, typer.Option(help="Format: webdataset or parquet.")] = "parquet",
    shard_rows: Annotated[
        int,
        typer.Option(
            min=1,
            callback=at_most(10**9, "split the rows into several files"),
            help="Maximum number of rows in a file.",
        ),
    ] = 10_000,
    device: Device = "auto",
    threads: Threads = 0,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Write the recorded outputs of a recipe as a reinforced data set.

    Each row has the id of a sample, its label, its view and the outputs of all teachers, in typed fields.
    Others can train on it without mtkd. Outputs that are not recorded yet are recorded first. The folder has
    no samples. The teachers predictions:FOLDER#NAME read it.
    """
    with console.report_errors(as_json):
        from mtkd_cli.errors import UsageError, nearest_or_all
        from mtkd_cli.safe_loading.optional_imports import need

        if format not in FORMATS:
            raise UsageError(f"unknown value {format!r}", "--format", nearest_or_all(format, FORMATS))
        if format == "parquet":
            need("pyarrow", "tabular", "--format parquet")
        parts = parts_of(recipe, overrides or [], trust_pickle, trust_code)

        from mtkd_cli.distributed.threads import threads_of_option
        from mtkd_cli.runs.start import load_context
        from mtkd_cli.runs.view_count import count_views
        from mtkd_cli.safe_loading.stdout import stdout_on_stderr
        from mtkd_cli.store.reinforced_parquet import ParquetFormat
        from mtkd_cli.store.reinforced_tar import TarFormat
        from mtkd_cli.teachers import reinforced_export
        from mtkd_cli.teachers.prepare import prepare_teachers

        reinforced_export.require_new(Path(folder))
        with stdout_on_stderr():
            context = load_context(parts, device, threads_of_option(threads), only_teachers=True)
            views = reinforced_export.require_views(count_views(context.recipe))
            teachers = prepare_teachers(context, views)
            shards = ParquetFormat() if format == "parquet" else TarFormat()
            done = reinforced_export.export(Path(folder), shards, teachers, views, shard_rows, context)
        if as_json:
            console.print_json(done.as_dict())
            return
        console.print_status(
            f"wrote {done.rows:,} rows in {len(done.shards)} files, {done.bytes:,} bytes: {folder}"
        )
