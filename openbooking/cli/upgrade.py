"""`openbooking upgrade`: completes the rows of earlier releases."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from chalicelib.services.upgrading import Upgrade, Upgraded
from openbooking.cli.acting import DryRun
from openbooking.cli.administration import AsJson, By, Stage, changing
from openbooking.cli.terminal import DynamodbUrl

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    epilog="Examples: openbooking upgrade --dry-run; openbooking upgrade --stage prod. "
    "Exit codes: 0 done; 1 refused or interrupted: run it again; 2 a wrong option."
)
def upgrade(
    parts: Annotated[
        int, typer.Option(min=1, max=32, help="Parts of each table that are read in parallel.")
    ] = 4,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Complete the rows of earlier releases, once after an upgrade.

    It adds their bookings and sessions to the lists of their Sellers. Run it when only the new release runs. It reads all orders and sessions while the system
    runs, and may be repeated. Until then lists lack what was not written since the upgrade.
    """
    with changing(stage, dynamodb_url, by) as admin:
        work = Upgrade(admin.system.store, admin.system.retry, parts)
        done = work.run(dry_run=dry_run, on_step=_progress)
        if not dry_run and (done.orders or done.opportunities):
            admin.journal.note("rows upgraded")
    if as_json:
        counts = {"seen": done.seen, "orders": done.orders, "opportunities": done.opportunities}
        typer.echo(json.dumps(counts, indent=2))
        return
    would = "would be" if dry_run else "were"
    typer.echo(
        f"{done.orders:,} orders and {done.opportunities:,} sessions and slots {would} added to lists."
    )


def _progress(done: Upgraded) -> None:
    """One line on stderr, where it is a terminal."""
    import sys

    if sys.stderr.isatty():
        typer.echo(f"\r{done.seen:,} rows read", err=True, nl=False)
