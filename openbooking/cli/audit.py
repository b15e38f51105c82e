"""`openbooking audit`: shows the journal."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from chalicelib.services.journal import Wanted
from openbooking.cli.administration import AsJson, Stage, reading
from openbooking.cli.output import show
from openbooking.cli.terminal import DynamodbUrl

app = typer.Typer(add_completion=False)


@app.command()
def audit(
    month: Annotated[str | None, typer.Option(help="For example 2026-07 (UTC); by default all.")] = None,
    order: Annotated[str | None, typer.Option(help="UUID of an order or proposal.")] = None,
    session: Annotated[str | None, typer.Option(help="The @id of a session or slot.")] = None,
    partner: Annotated[str | None, typer.Option(help="Client id of a booking partner.")] = None,
    seller: Annotated[str | None, typer.Option(help="Id of a Seller.")] = None,
    login: Annotated[str | None, typer.Option(help="Id of a login, as `logins list` shows it.")] = None,
    who: Annotated[
        str | None, typer.Option(help="Who did it: a user name, an ARN, or the id of a login.")
    ] = None,
    action: Annotated[str | None, typer.Option(help="A part of the action, such as `cancelled`.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The maximum number to show.")] = 100,
    after: Annotated[str, typer.Option(help="Continue after this cursor, which the page before shows.")] = "",
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """List who did what to which order, session, partner or login, and from where. The newest is first.

    Example: openbooking audit --order 10000000-0000-4000-8000-000000000001
    """
    wanted = Wanted(month, order, session, partner, seller, login, by=who, what=action)
    with reading(stage, dynamodb_url) as admin:
        rows, following = admin.journal.page(wanted, limit, after)
    if as_json:
        typer.echo(
            json.dumps({"rows": rows, "next": following}, default=lambda each: each.isoformat(), indent=2)
        )
        return
    show(rows, none="No entries.")
    if following:
        typer.echo(f"More follow: --after {following!r}", err=True)
