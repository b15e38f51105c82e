"""`openbooking pending`: pending work that failed too often and was set aside."""

from __future__ import annotations

from typing import Annotated

import typer

from openbooking.cli import aside
from openbooking.cli.administration import AsJson, By, Stage, changing, reading
from openbooking.cli.output import show
from openbooking.cli.terminal import DynamodbUrl

app = typer.Typer(
    help="Pending work that failed too often and was set aside.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

EntryId = Annotated[str | None, typer.Argument(metavar="ENTRY", help="The id that `pending list` shows.")]


@app.command("list")
def list_set_aside(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """List the ids of work that was set aside, without its content."""
    with reading(stage, dynamodb_url) as admin:
        show(admin.set_aside.listed(), as_json, none="Nothing is set aside.")


@app.command("replay")
def replay(
    entry: EntryId = None,
    every: aside.All = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Retry pending work that was set aside. The sweep does this within a minute."""
    with changing(stage, dynamodb_url, by) as admin:
        aside.replay(admin.set_aside, entry, every)


@app.command("discard")
def discard(
    entry: EntryId = None,
    every: aside.All = False,
    yes: aside.Yes = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Remove pending work that was set aside permanently. It will never be done."""
    with changing(stage, dynamodb_url, by) as admin:
        aside.discard(admin.set_aside, entry, every, yes)
