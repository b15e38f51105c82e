"""`openbooking import`: imports an operator's data into the inventory, and prints the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException
from rich.console import Console

from chalicelib.domain.identifiers import BASE
from chalicelib.importing import rpde
from chalicelib.importing.defaults import Defaults
from chalicelib.importing.rpde import ImportOptions, ImportRefused
from chalicelib.importing.web import Web
from chalicelib.services import following
from chalicelib.services.inventory import Inventory
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from openbooking.cli.administration import Stage, reading
from openbooking.cli.import_files import write_report
from openbooking.cli.import_report import print_summary, progress
from openbooking.cli.sources import follow_source, source_settings
from openbooking.cli.terminal import DynamodbUrl, console, refuse
from openbooking.local.discovery import running_stack

# Seconds between two signs of progress.
_FOLLOWS_FOR = 5.0

app = typer.Typer(
    help="Import an operator's data into the inventory.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
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
    defaults: Annotated[
        Path | None,
        typer.Option(help="TOML with what the source does not say: see docs/importing.md."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write everything that was left out, is not bookable or was withdrawn to this file:"
            " JSON (.json), CSV (.csv), or JSON lines."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; report what an import would do.")
    ] = False,
    max_leaving: Annotated[
        str | None,
        typer.Option(
            help="The share of the opportunities on sale that may leave sale without --confirm-leaving."
            " By default that of --defaults, or 0.10."
        ),
    ] = None,
    confirm_leaving: Annotated[
        bool, typer.Option("--confirm-leaving", help="The source is right, whatever leaves sale.")
    ] = False,
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
    allow_private_addresses: Annotated[
        bool,
        typer.Option(
            "--allow-private-addresses",
            help="The site may lead to private addresses and to http: for tests, and sites in your own network.",
        ),
    ] = False,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Keep in step: import what changes, from where it stopped, until Ctrl-C.",
        ),
    ] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """Import an operator's published feeds. Repeat it to import what has changed since."""
    if follow:
        if dry_run or report or source or max_leaving is not None or confirm_leaving:
            refuse(
                "--follow cannot be combined with --dry-run, --report, --source, --max-leaving or --confirm-leaving."
            )
        settings = source_settings(
            vat_rate, defaults, seller_details, deleted_means_cancelled, allow_private_addresses
        )
        with reading(stage, dynamodb_url) as admin:
            follow_source(admin.system, url, settings, console())
        return
    try:
        stack = None if stage else running_stack()
        options = ImportOptions(
            url=url,
            source=source,
            vat_rate=rpde.read_rate(vat_rate),
            seller_details=rpde.read_seller_details(seller_details) if seller_details else {},
            own_url=stack.url if stack else None,
            deleted_means_cancelled=deleted_means_cancelled,
            defaults=rpde.read_defaults(defaults) if defaults else Defaults(),
            max_leaving=rpde.read_limit(max_leaving) if max_leaving is not None else None,
            is_confirmed=confirm_leaving,
            is_dry_run=dry_run,
        )
        with reading(stage, dynamodb_url) as admin:
            system = admin.system
            is_whole = import_rpde(
                system.inventory,
                options,
                retry=system.retry,
                console=console(),
                report=report,
                web=lambda: Web(allow_private=allow_private_addresses),
                follow=lambda: system.worker.run_kind(following.KIND, _FOLLOWS_FOR),
                now=system.now,
            )
    except ImportRefused as refused:
        refuse(str(refused))
    if not is_whole:
        raise typer.Exit(1)


_SPREADSHEETS = (".ods", ".xls", ".xlsx")


def import_rpde(
    inventory: Inventory,
    options: ImportOptions,
    *,
    retry: RetryPolicy,
    console: Console,
    report: Path | None = None,
    web: Callable[[], Web] = Web,
    follow: Callable[[], int] = lambda: 0,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> bool:
    """Import, with progress and a summary on `console`, and the reasons in the file `report`.

    Returns whether all feeds could be read and, for a dry run, whether an import would not be refused. `follow` brings changes to some of those who hold what has changed, and
    returns to how many; it is called until none are left. The schedule does it too; here an operator sees it done.
    Raises ImportRefused.
    """
    rpde.checked_source(options)
    if report is not None and report.suffix.lower() in _SPREADSHEETS:
        raise ImportRefused(f"The report cannot be a {report.suffix} file. Spreadsheets open .csv.")
    _reach(inventory)
    with ExitStack() as opened:
        try:
            file = opened.enter_context(report.open("w", encoding="utf-8", newline="")) if report else None
        except OSError as error:
            raise ImportRefused(f"The report cannot be written: {error}.") from None
        with progress(console) as show, _engine_errors(rpde.interrupted):
            imported = rpde.import_rpde(inventory, options, retry=retry, show=show, web=web, now=now)
            with suppress(StillBusy, StoreBusy):  # the schedule continues
                followed = 0
                while not options.is_dry_run and (done := follow()):
                    followed += done
                    show("Applying changes to orders", followed, None)
        print_summary(console, imported, is_dry_run=options.is_dry_run)
        if file is not None and report is not None:
            write_report(file, report, imported)
    return not imported.harvest.failed and imported.changes.refusal is None


# PynamoDB does not convert some errors of the engine, such as that for a missing table.
_ENGINE_ERRORS = (BotoCoreError, ClientError, PynamoDBException)


@contextmanager
def _engine_errors(explained: Callable[[Exception], str]) -> Iterator[None]:
    try:
        yield
    except _ENGINE_ERRORS as error:
        raise ImportRefused(explained(error)) from error


def _reach(inventory: Inventory) -> None:
    """Check that the inventory can be reached, before a long harvest. Raises ImportRefused."""
    try:
        inventory.store.seller(f"{BASE}/unknown")
    except (StoreBusy, *_ENGINE_ERRORS) as error:
        raise ImportRefused(
            f"The inventory cannot be reached: {error}."
            " Start a local stack with `make run`, or let DYNAMODB_URL name an engine that has the tables."
        ) from None
