"""`openbooking audit`: shows the journal."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from chalicelib.services.desk.words import change_in_words
from chalicelib.services.journal import Wanted
from chalicelib.services.seller_ids import SellerIds
from openbooking.cli.administration import AsJson, Stage, reading
from openbooking.cli.output import Row, show
from openbooking.cli.terminal import DynamodbUrl

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def audit(
    month: Annotated[str | None, typer.Option(help="For example 2026-07 (UTC); by default all.")] = None,
    order: Annotated[
        str | None,
        typer.Option(
            metavar="UUID", help="An order or proposal; also what was done to its sessions since it was made."
        ),
    ] = None,
    session: Annotated[
        str | None, typer.Option(metavar="SESSION", help="A session or slot, as `sessions list` shows it.")
    ] = None,
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
    """List who did what to which order, session, partner or login, from where, and what has changed. The newest is first.

    What people wrote, codes, passes and channels are not repeated: an entry says that they were given or replaced.

    Example: openbooking audit --order 10000000-0000-4000-8000-000000000001
    """
    with reading(stage, dynamodb_url) as admin:
        sessions = admin.sessions_of_order(order, partner, seller) if order else {}
        wanted = Wanted(month, order, session, partner, seller, login, who, action, sessions)
        rows, following = admin.journal.page(wanted, limit, after)
    if as_json:
        typer.echo(
            json.dumps({"rows": rows, "next": following}, default=lambda each: each.isoformat(), indent=2)
        )
        return
    show([_for_people(row, admin.seller_ids) for row in rows], none="No entries.")
    if following:
        typer.echo(f"More follow: --after {following!r}", err=True)


def _for_people(row: Row, ids: SellerIds) -> Row:
    """The row with short ids of sessions, and a line for each difference."""
    named = dict(each.partition(" ")[::2] for each in row["ids"])
    seller_id = ids.meant(named["seller"])[-1] if "seller" in named else ""
    shown = [
        f"session {ids.short(known_as, seller_id)}"
        if kind in ("session", "opportunity")
        else f"{kind} {known_as}"
        for kind, known_as in named.items()
    ]
    return {
        **row,
        "ids": shown,
        "changed": [f"{name}: {change_in_words(what)}" for name, what in row["changed"].items()],
    }
