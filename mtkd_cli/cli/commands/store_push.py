"""``mtkd store push``: copy finished recordings to the remote store."""

from __future__ import annotations

from typing import Annotated

import typer

from mtkd_cli.cli import console
from mtkd_cli.cli.common_options import Json

KINDS = ("outputs", "fitted")


def push(
    url: Annotated[
        str,
        typer.Argument(
            help="Address that fsspec knows, e.g. s3://bucket/folder.", envvar="MTKD_STORE_REMOTE"
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Copy finished recordings and fitted teachers to a remote store.

    What is there already is not copied again. With MTKD_STORE_REMOTE, new recordings are copied as soon as
    they are finished, and every command fetches what it lacks.
    """
    with console.report_errors(as_json):
        from mtkd_cli.errors import DataError, UsageError
        from mtkd_cli.store import inventory, remote

        if not url:
            raise UsageError("the address is missing", "URL", "pass it, or set MTKD_STORE_REMOTE")
        store = remote.connect(url)
        items = [item for item in inventory.list_items() if item.kind in KINDS and item.is_complete]
        failed = [item for item in items if not store.send(item.kind, item.folder, console.print_status)]
        if failed:
            raise DataError(
                f"{len(failed)} of {len(items)} items were not copied", url, "check the address, and repeat"
            )
        if as_json:
            console.print_json({"remote": url, "items": len(items)})
            return
        console.print_status(f"{len(items)} items are in {url}")
