"""`openbooking pending`: pending work that failed too often and was set aside."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.services.set_aside import SetAsideAdministration
from chalicelib.storage.pending import PendingWork
from openbooking.cli.administration import AsJson, By, Stage, changing, reading
from openbooking.cli.output import show
from openbooking.cli.terminal import DynamodbUrl, refuse

app = typer.Typer(
    help="Pending work that failed too often and was set aside.",
    no_args_is_help=True,
    add_completion=False,
)

EntryId = Annotated[str | None, typer.Argument(metavar="ENTRY", help="The id that `pending list` shows.")]
All = Annotated[bool, typer.Option("--all", help="All entries that were set aside.")]


@app.command("list")
def list_set_aside(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """List the ids of work that was set aside, without its content."""
    with reading(stage, dynamodb_url) as admin:
        show(admin.set_aside.listed(), as_json, none="Nothing is set aside.")


@app.command("replay")
def replay(
    entry: EntryId = None,
    every: All = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Retry pending work that was set aside. The sweep does this within a minute."""
    with changing(stage, dynamodb_url, by) as admin:
        meant = _meant(admin.set_aside, entry, every)
        for each in meant:
            admin.set_aside.replay(each)
        typer.echo(f"Replayed: {len(meant)}.")


@app.command("discard")
def discard(
    entry: EntryId = None,
    every: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Remove pending work that was set aside permanently. It will never be done."""
    with changing(stage, dynamodb_url, by) as admin:
        meant = _meant(admin.set_aside, entry, every)
        if not yes and not typer.confirm(f"Entries to be removed permanently: {len(meant)}. Remove them?"):
            refuse("Nothing was changed.")
        for each in meant:
            admin.set_aside.discard(each)
        typer.echo(f"Discarded: {len(meant)}.")


def _meant(set_aside: SetAsideAdministration, entry: str | None, every: bool) -> list[PendingWork]:
    if (entry is None) is not every:
        refuse("Name one entry, or use --all.")
    return [set_aside.find(entry)] if entry is not None else list(set_aside.all())
