"""`openbooking import`: takes an operator's data into the inventory, and prints what became of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chalicelib.runtime.system import from_environment
from chalicelib.services.inventory import Inventory
from chalicelib.storage.retry import RetryPolicy
from openbooking.cli.import_report import print_summary, progress, write_report
from openbooking.cli.terminal import DynamodbUrl, attached, console, refuse
from openbooking.importing import rpde
from openbooking.importing.rpde import ImportOptions, ImportRefused
from openbooking.importing.web import Web
from openbooking.local.discovery import running_stack

app = typer.Typer(
    help="Take an operator's data into the inventory.", no_args_is_help=True, add_completion=False
)


@app.callback()
def imports() -> None:
    """Take an operator's data into the inventory."""


@app.command("rpde")
def rpde_command(
    url: Annotated[str, typer.Argument(help="The operator's dataset site.", metavar="DATASET_SITE_URL")],
    vat_rate: Annotated[
        str, typer.Option(help="The tax on its prices, which feeds do not say; 0 for none.")
    ] = "0.20",
    seller_details: Annotated[
        Path | None,
        typer.Option(
            help='JSON with what the feeds lack: {"<seller id>": {"legalName": ..., "address": {...}}}.'
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write all that is left out or withdrawn here, as JSON lines.")
    ] = None,
    source: Annotated[
        str, typer.Option(help="The name of the site in the inventory, where its URL has changed since.")
    ] = "",
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """Take in what an operator publishes; again and again, for what has changed since."""
    try:
        stack = running_stack()
        options = ImportOptions(
            url=url,
            source=source,
            vat_rate=rpde.read_rate(vat_rate),
            seller_details=rpde.read_seller_details(seller_details) if seller_details else {},
            own_url=stack.url if stack else None,
        )
        with attached(dynamodb_url):
            system = from_environment()
            import_rpde(system.inventory, options, retry=system.retry, console=console(), report=report)
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
) -> None:
    """Import, with progress and a summary on `console`, and the reasons in the file `report`. Raises ImportRefused."""
    rpde.checked_source(options)
    with ExitStack() as opened:
        try:
            file = opened.enter_context(report.open("w")) if report else None
        except OSError as error:
            raise ImportRefused(f"The report cannot be written: {error}.") from None
        with progress(console) as show:
            imported = rpde.import_rpde(inventory, options, retry=retry, show=show, web=web)
        print_summary(console, imported.harvest, imported.intake, imported.changes)
        if file is not None:
            write_report(file, imported.intake, imported.changes)
