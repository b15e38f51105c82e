"""`openbooking journal`: the log of the commands that change identities."""

from __future__ import annotations

from typing import Annotated

import typer

from openbooking.cli.administration import AsJson, Stage, reading
from openbooking.cli.output import show
from openbooking.cli.terminal import DynamodbUrl

app = typer.Typer(add_completion=False)


@app.command()
def journal(
    month: Annotated[
        str | None, typer.Option(help="For example 2026-07; by default this month (UTC).")
    ] = None,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """List what was changed with these commands in a month, and by whom."""
    with reading(stage, dynamodb_url) as admin:
        show(admin.journal.listed(month), as_json, none="No entries.")
