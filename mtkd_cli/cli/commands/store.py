"""``mtkd store``: list, verify, export and prune the recorded outputs and other files kept between runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.application import Application
from mtkd_cli.cli.commands.store_export import export
from mtkd_cli.cli.commands.store_push import push
from mtkd_cli.cli.common_options import Json, Threads
from mtkd_cli.cli.completion import complete_override
from mtkd_cli.cli.number_limits import at_most
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of, refuse_without_recipe

store = Application(
    name="store", no_args_is_help=True, help="List, verify, export, copy and prune stored outputs."
)


@store.command(name="list")
def list_(as_json: Json = False) -> None:
    """List stored items with size and last use, by teacher, the largest first."""
    with console.report_errors(as_json):
        from mtkd_cli.store import inventory
        from mtkd_cli.store.content_store import root

        items = inventory.list_items()
        if as_json:
            console.print_json({"folder": str(root()), "items": [item.as_dict() for item in items]})
            return
        from mtkd_cli.cli.render.stored_items import stored_items

        console.print_result(stored_items(items, str(root())))


@store.command()
def verify(
    recipe: Annotated[
        str,
        typer.Argument(
            help="Recipe whose teachers are run again to compare outputs. Default: check checksums only."
        ),
    ] = "",
    overrides: Annotated[
        list[str] | None, typer.Argument(autocompletion=complete_override, metavar="KEY=VALUE...")
    ] = None,
    device: Annotated[str, typer.Option(help="Device of the recording: auto, cpu or cuda.")] = "auto",
    threads: Threads = 0,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Verify all checksums.

    Reads everything in the store, and all data files that mtkd read before. With a recipe, also runs its
    teachers on some samples and compares their outputs with the recorded ones. Exits with 3 if an item or a
    file is damaged or differs.
    """
    with console.report_errors(as_json):
        from mtkd_cli.errors import DataError
        from mtkd_cli.store import inventory
        from mtkd_cli.store.verified_files import verify_files
        from mtkd_cli.teachers import verify as verification

        refuse_without_recipe(recipe, trust_pickle, trust_code)
        bad = [item.as_dict() for item in inventory.damaged_items()]
        files = list(verify_files(console.print_status))
        rows: list[dict[str, Any]] = []
        if recipe:
            from mtkd_cli.distributed.threads import threads_of_option
            from mtkd_cli.runs.start import load_context
            from mtkd_cli.safe_loading.stdout import stdout_on_stderr

            parts = parts_of(recipe, overrides or [], trust_pickle, trust_code)
            with stdout_on_stderr():
                context = load_context(parts, device, threads_of_option(threads), only_teachers=True)
                rows = list(verification.differences(context))
            if not rows:
                raise DataError(
                    "no outputs of this recipe are recorded",
                    where=recipe,
                    hint="run mtkd record; pass the same --threads and --device as for the recording",
                )
        if as_json:
            console.print_json(
                {"damaged": bad, "files": [each.as_dict() for each in files], "compared": rows}
            )
        else:
            for each in files:
                console.print_status(
                    f"{each.root}: {each.intact:,} files intact, {each.changed:,} changed and "
                    f"{each.missing:,} missing since they were read, {len(each.damaged):,} damaged"
                )
                for path in each.damaged:
                    console.print_status(f"damaged, with the same size and times: {path}")
            for row in rows:
                recording = f"{row['teacher']}, {row['split']} view {row['view']}"
                rounding = f"; {row['rounding']}" if row["rounding"] else ""
                console.print_status(f"{recording}: largest difference {row['difference']:.2e}{rounding}")
        different = [row for row in rows if not row["same"]]
        damaged = [path for each in files for path in each.damaged]
        wrong = [
            *(item["what"] for item in bad),
            *(f"{row['teacher']}, {row['split']} view {row['view']}" for row in different),
            *damaged,
        ]
        if wrong and not as_json:
            count = f", and {len(damaged)} damaged data files" if damaged else ""
            copy = "; restore damaged data files from a copy" if damaged else ""
            raise DataError(
                f"{len(bad)} damaged and {len(different)} different items{count}",
                where=wrong[0],
                hint=f"damaged items are recorded again by the next run that needs them{copy}",
            )
        if wrong:
            raise typer.Exit(DataError.exit_code)
        if not as_json:
            console.print_status("all checksums match")


@store.command()
def prune(
    days: Annotated[
        float | None,
        typer.Option(
            min=0,
            callback=at_most(100_000, "no item is so old"),
            help="Remove items that were not used for this many days.",
        ),
    ] = None,
    megabytes: Annotated[
        float | None,
        typer.Option(
            min=0,
            callback=at_most(10**12, "no disk is so large"),
            help="Remove the least recently used items until this many megabytes are left.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove old items, or reduce the size.

    Never removes an item that a running mtkd uses.
    """
    with console.report_errors(as_json):
        from mtkd_cli.errors import UsageError
        from mtkd_cli.store import inventory

        if days is None and megabytes is None:
            raise UsageError("nothing to prune by", hint="pass --days or --megabytes")
        removed, in_use = inventory.prune(days, None if megabytes is None else int(megabytes * 1e6))
        if as_json:
            console.print_json(
                {"removed": [i.as_dict() for i in removed], "held": [i.as_dict() for i in in_use]}
            )
            return
        console.print_status(f"removed {len(removed)} items, {_size(sum(item.bytes for item in removed))}")
        if in_use:
            console.print_status(f"kept {len(in_use)} items that a running mtkd uses")


store.command()(export)
store.command()(push)


def _size(count: float) -> str:
    from mtkd_cli.report.units import bytes_in_words

    return bytes_in_words(count)
