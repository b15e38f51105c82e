"""`openbooking feeds`: changes that could not be published, and rebuilding of feeds."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.domain.opportunity_types import OPEN_FEEDS
from chalicelib.runtime.upkeep import Upkeep
from chalicelib.services.rebuilding import Rebuild, is_beyond, number_beyond_all
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.tables import Engine, Tables
from openbooking.cli import aside
from openbooking.cli.administration import AsJson, By, Stage, changing, reading
from openbooking.cli.output import show
from openbooking.cli.terminal import DynamodbUrl, refuse

app = typer.Typer(
    help="Changes that could not be published, and rebuilding of feeds.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

RecordId = Annotated[str | None, typer.Argument(metavar="RECORD", help="The id that `feeds parked` shows.")]


@app.command("parked")
def list_parked(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """List the ids of changes that could not be published, without their content."""
    with reading(stage, dynamodb_url) as admin:
        show(admin.parked.listed(), as_json, none="No record is parked.")


@app.command("replay")
def replay(
    record: RecordId = None,
    every: aside.All = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Publish a parked change, after its cause was fixed.

    A feed that already shows a later version of the same item is not changed.
    """
    with changing(stage, dynamodb_url, by) as admin:
        aside.replay(admin.parked, record, every)


@app.command("discard")
def discard(
    record: RecordId = None,
    every: aside.All = False,
    yes: aside.Yes = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Remove a parked change permanently. It cannot be replayed any more."""
    with changing(stage, dynamodb_url, by) as admin:
        aside.discard(admin.parked, record, every, yes)


@app.callback()
def feeds() -> None:
    """Changes that could not be published, and rebuilding of feeds."""


@app.command("rebuild")
def rebuild(
    partner: Annotated[str | None, typer.Option(help="The feeds of this booking partner.")] = None,
    feed: Annotated[
        str | None, typer.Option(help=f"This open feed: {', '.join(OPEN_FEEDS)}.", metavar="NAME")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All feeds.")] = False,
    old_prefix: Annotated[
        str | None,
        typer.Option(
            help="Copy items and change numbers from the table PREFIX-feeds, which readers have read.",
            metavar="PREFIX",
        ),
    ] = None,
    lost: Annotated[
        bool,
        typer.Option(
            "--lost",
            help="Rows that readers have read are lost in all tables: continue above all possible numbers.",
        ),
    ] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Publish feeds again from the store, at change numbers above any that a reader may have seen.

    Safe while the system runs. If it is interrupted, run the same command again to continue.
    """
    if [partner is not None, feed is not None, every].count(True) != 1:
        refuse("Which feeds? Use one of --partner ID, --feed NAME and --all.")
    if feed is not None and feed not in OPEN_FEEDS:
        refuse(f"There is no open feed {feed!r}: {', '.join(OPEN_FEEDS)}.")
    with changing(stage, dynamodb_url, by) as admin:
        system = admin.system
        if old_prefix == system.settings.table_prefix:
            refuse("--old-prefix must not be the prefix of the feeds to rebuild.")
        upkeep = Upkeep(system)
        wanted = Rebuild(partner, feed, number_beyond_all(system.now()) if lost else 0)
        if old_prefix is not None:
            engine = Engine(old_prefix, system.settings.aws_region, system.settings.dynamodb_url or None)
            for adopted in upkeep.rebuilder.adopt(DynamoFeeds(Tables(engine)), wanted):
                typer.echo(f"Copied: {adopted}", err=True)
        entry = wanted.pending()
        unfinished = system.pending.entry(entry.kind, entry.id)
        if unfinished is None or (lost and not is_beyond(unfinished)):
            system.pending.exchange((), [entry])
        else:
            typer.echo("Continuing the interrupted rebuild.", err=True)
        written = upkeep.worker.finish(entry.kind, entry.id)
        admin.journal.note("feeds rebuilt", feeds=entry.id)
    typer.echo(f"Published again: {written} items.")
