"""``mtkd store``: the recorded outputs and everything else that mtkd keeps between runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json
from mtkd_cli.cli.recipe_argument import TrustCode, TrustPickle, parts_of, refuse_without_recipe

store = typer.Typer(
    name="store", no_args_is_help=True, help="What mtkd keeps between runs: list, verify, prune."
)


@store.command(name="list")
def list_(as_json: Json = False) -> None:
    """Show what is kept, how large it is and when it was last used."""
    with console.errors_shown(as_json):
        from mtkd_cli.store import inventory
        from mtkd_cli.store.content_store import root

        found = [item.as_dict() for item in inventory.items()]
        if as_json:
            console.out_json({"folder": str(root()), "items": found})
            return
        console.out(_table(found, f"{root()}: {_size(sum(item['bytes'] for item in found))}"))


@store.command()
def verify(
    recipe: Annotated[
        str, typer.Argument(help="Ask this recipe's teachers again and compare. Default: checksums only.")
    ] = "",
    overrides: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE...")] = None,
    device: Annotated[str, typer.Option(help="As it was recorded: auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="As it was recorded.")] = 0,
    trust_pickle: TrustPickle = None,
    trust_code: TrustCode = False,
    as_json: Json = False,
) -> None:
    """Check what is kept: every checksum, and some answers against the teachers themselves."""
    with console.errors_shown(as_json):
        from mtkd_cli.errors import DataError
        from mtkd_cli.store import inventory
        from mtkd_cli.teachers import verify as verification

        refuse_without_recipe(recipe, trust_pickle, trust_code)
        bad = [item.as_dict() for item in inventory.damaged()]
        rows: list[dict[str, Any]] = []
        if recipe:
            from mtkd_cli.runs.start import context_of
            from mtkd_cli.safe_loading.stdout import stdout_on_stderr

            parts = parts_of(recipe, overrides or [], trust_pickle, trust_code)
            with stdout_on_stderr():
                rows = list(verification.differences(context_of(parts, device, threads)))
            if not rows:
                raise DataError(
                    "nothing of this recipe is recorded",
                    where=recipe,
                    hint="mtkd record does that; with other --threads or --device it is another recording",
                )
        if as_json:
            console.out_json({"damaged": bad, "compared": rows})
        else:
            for row in rows:
                place = f"{row['teacher']}, {row['split']} view {row['view']}"
                rounding = f"; {row['rounding']}" if row["rounding"] else ""
                console.talk(f"{place}: largest difference {row['difference']:.2e}{rounding}")
        wrong = [row for row in rows if not row["same"]]
        if (bad or wrong) and not as_json:
            first = (
                bad[0]["what"]
                if bad
                else f"{wrong[0]['teacher']}, {wrong[0]['split']} view {wrong[0]['view']}"
            )
            raise DataError(
                f"{len(bad)} damaged and {len(wrong)} different folders",
                where=first,
                hint="what is damaged is recorded again by the next run that needs it",
            )
        if bad or wrong:
            raise typer.Exit(DataError.exit_code)
        if not as_json:
            console.talk("everything is what was written")


@store.command()
def prune(
    days: Annotated[
        float | None, typer.Option(min=0, help="Remove what was not used for so many days.")
    ] = None,
    megabytes: Annotated[
        float | None, typer.Option(min=0, help="Then the oldest, until so many megabytes are left.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove what is old or too large; never what a running mtkd reads or writes."""
    with console.errors_shown(as_json):
        from mtkd_cli.errors import UsageError
        from mtkd_cli.store import inventory

        if days is None and megabytes is None:
            raise UsageError("nothing says what may go", hint="give --days or --megabytes")
        removed, spared = inventory.prune(days, None if megabytes is None else int(megabytes * 1e6))
        if as_json:
            console.out_json(
                {"removed": [i.as_dict() for i in removed], "held": [i.as_dict() for i in spared]}
            )
            return
        console.talk(f"removed {len(removed)} items, {_size(sum(item.bytes for item in removed))}")
        if spared:
            console.talk(f"left {len(spared)} that a running mtkd reads or writes")


def _size(count: float) -> str:
    from mtkd_cli.report.units import bytes_in_words

    return bytes_in_words(count)


def _table(items: list[dict[str, Any]], title: str) -> Any:
    from mtkd_cli.cli.tables import table

    def row(item: dict[str, Any]) -> list[str]:
        what = ", ".join(filter(None, (item["what"], item.get("rounding"))))
        what = what if item["complete"] else f"{what} (not complete)"
        return [item["kind"], what, _size(item["bytes"]), f"{item['age_seconds'] / 86400:.1f} days ago"]

    return table([row(item) for item in items], ["kind", "what", "size", "last used"], title)
