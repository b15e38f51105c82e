"""`openbooking import`: imports an operator's data into the inventory, and prints the result."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chalicelib.runtime.system import from_environment
from chalicelib.services import following
from chalicelib.services.inventory import Inventory
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from openbooking.cli.import_report import print_summary, progress, write_report
from openbooking.cli.terminal import DynamodbUrl, attached, console, refuse
from openbooking.importing import rpde
from openbooking.importing.rpde import ImportOptions, ImportRefused
from openbooking.importing.web import Web
from openbooking.local.discovery import running_stack

# Seconds between two signs of progress.
_FOLLOWS_FOR = 5.0

app = typer.Typer(
    help="Import an operator's data into the inventory.", no_args_is_help=True, add_completion=False
)


@app.callback()
def imports() -> None:
    """Import an operator's data into the inventory."""


@app.command("rpde")
def rpde_command(
    url: Annotated[str, typer.Argument(help="The operator's dataset site.", metavar="DATASET_SITE_URL")],
    vat_rate: Annotated[
        str, typer.Option(help="The tax rate of its prices, which feeds do not state; 0 for none.")
    ] = "0.20",
    seller_details: Annotated[
        Path | None,
        typer.Option(
            help='JSON with what the feeds lack: {"<seller id>": {"legalName": ..., "address": {...}}}.'
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write everything that was skipped or withdrawn to this file, as JSON lines."),
    ] = None,
    source: Annotated[
        str, typer.Option(help="The name of the site in the inventory, if its URL has changed.")
    ] = "",
    deleted_means_cancelled: Annotated[
        bool,
        typer.Option(
            "--deleted-means-cancelled",
            help="The operator deletes what it cancels: cancel the orders on what is no longer in its feeds.",
        ),
    ] = False,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """Import an operator's published feeds. Repeat it to import what has changed since."""
    try:
        stack = running_stack()
        options = ImportOptions(
            url=url,
            source=source,
            vat_rate=rpde.read_rate(vat_rate),
            seller_details=rpde.read_seller_details(seller_details) if seller_details else {},
            own_url=stack.url if stack else None,
            deleted_means_cancelled=deleted_means_cancelled,
        )
        with attached(dynamodb_url):
            system = from_environment()
            import_rpde(
                system.inventory,
                options,
                retry=system.retry,
                console=console(),
                report=report,
                follow=lambda: system.worker.run_kind(following.KIND, _FOLLOWS_FOR),
            )
    except ImportRefused as refused:
        refuse(str(refused))


def import_rpde(
    inventory: Inventory,
    options: ImportOptions,
    *,
    retry: RetryPolicy,
    console: Console,
    report: Path | None = None,
    web: Callable[[], Web] = Web,
    follow: Callable[[], int] = lambda: 0,
) -> None:
    """Import, with progress and a summary on `console`, and the reasons in the file `report`.

    `follow` brings changes to some of those who hold what has changed, and returns to how many; it is called
    until none are left. The schedule does it too; here an operator sees it done. Raises ImportRefused.
    """
    rpde.checked_source(options)
    with ExitStack() as opened:
        try:
            file = opened.enter_context(report.open("w")) if report else None
        except OSError as error:
            raise ImportRefused(f"The report cannot be written: {error}.") from None
        with progress(console) as show:
            imported = rpde.import_rpde(inventory, options, retry=retry, show=show, web=web)
            with suppress(StillBusy, StoreBusy):  # the schedule continues
                followed = 0
                while done := follow():
                    followed += done
                    show("Applying changes to orders", followed, None)
        print_summary(console, imported.harvest, imported.intake, imported.changes)
        if file is not None:
            write_report(file, imported.intake, imported.changes)
