"""`openbooking feeds`: stream records that could not be published."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.feeds.parked import ParkedRecord
from chalicelib.services.errors import NotPossible
from chalicelib.services.parked import ParkedAdministration
from openbooking.cli.desks import AsJson, By, Stage, desk_to_change, desk_to_read
from openbooking.cli.output import show
from openbooking.cli.terminal import DynamodbUrl, refuse

app = typer.Typer(help="Changes that could not reach a feed.", no_args_is_help=True, add_completion=False)

RecordId = Annotated[str | None, typer.Argument(metavar="RECORD", help="As `feeds parked` shows it.")]
All = Annotated[bool, typer.Option("--all", help="All that are parked.")]


@app.command("parked")
def list_parked(as_json: AsJson = False, stage: Stage = None, dynamodb_url: DynamodbUrl = None) -> None:
    """List the changes that could not be published, by ids, without their content."""
    with desk_to_read(stage, dynamodb_url) as desk:
        show(desk.parked.listed(), as_json, none="No record is parked.")


@app.command("replay")
def replay(
    record: RecordId = None,
    every: All = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Publish a parked change, once what kept it from being published is mended.

    A feed that shows a later version of the same item already stays as it is.
    """
    with desk_to_change(stage, dynamodb_url, by) as desk:
        failed = replayed = 0
        for parked in _meant(desk.parked, record, every):
            try:
                desk.parked.replay(parked)
                replayed += 1
            except NotPossible as error:
                typer.echo(str(error), err=True)
                failed += 1
        if failed:
            refuse(f"Replayed: {replayed}. Still parked: {failed}.")
        typer.echo(f"Replayed: {replayed}.")


@app.command("discard")
def discard(
    record: RecordId = None,
    every: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Remove a parked change with its content. It cannot be replayed after that."""
    with desk_to_change(stage, dynamodb_url, by) as desk:
        meant = _meant(desk.parked, record, every)
        if not yes and not typer.confirm(f"Records to be removed for good: {len(meant)}. Remove them?"):
            refuse("Nothing was changed.")
        for parked in meant:
            desk.parked.discard(parked)
        typer.echo(f"Discarded: {len(meant)}.")


def _meant(parked: ParkedAdministration, record: str | None, every: bool) -> list[ParkedRecord]:
    if (record is None) is not every:
        refuse("Name one record, or give --all.")
    return [parked.find(record)] if record is not None else list(parked.all())
