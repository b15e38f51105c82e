"""`openbooking access`: codes, passes and online channels, for a session or for one booking."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from chalicelib.domain.parties import Json
from openbooking.cli.acting import (
    DryRun,
    Items,
    Partner,
    SellerOption,
    acting,
    counted,
    progress,
    show_details,
)
from openbooking.cli.administration import AsJson, By, Stage
from openbooking.cli.terminal import DynamodbUrl, refuse

app = typer.Typer(
    help="Codes, passes and online channels.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def access() -> None:
    """Codes, passes and online channels."""


@app.command(
    "set",
    epilog="Examples: openbooking access set --session ID --channel https://meet.example/yoga; "
    "openbooking access set --session ID --code 4711; openbooking access set --booking UUID --new-code --new-passes. "
    "Exit codes: 0 done; 1 refused, nothing was changed; 2 a wrong option.",
)
def set_access(
    session: Annotated[str | None, typer.Option(help="For all who have booked this session or slot.")] = None,
    booking: Annotated[str | None, typer.Option(metavar="UUID", help="For this booking only.")] = None,
    partner: Partner = None,
    items: Items = None,
    channel: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where it is held online. For a session: also for those who book it later.",
        ),
    ] = None,
    channel_name: Annotated[
        str | None, typer.Option(help="What the channel is called, such as Zoom.")
    ] = None,
    channel_description: Annotated[
        str | None, typer.Option(help="How to join, such as a meeting's number and password.")
    ] = None,
    code: Annotated[str | None, typer.Option(help="The code for getting in.")] = None,
    new_code: Annotated[bool, typer.Option("--new-code", help="A new random code for each place.")] = False,
    new_passes: Annotated[bool, typer.Option("--new-passes", help="New passes to show or scan.")] = False,
    seller: SellerOption = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Set how people get in, at any time after they have booked. They are informed by their Broker.

    New codes and passes are of the kinds that the Seller uses; `--code` is set for everybody.
    """
    if (session is None) is (booking is None):
        refuse("Give either --session or --booking.")
    if channel is None and code is None and not (new_code or new_passes):
        refuse("Nothing would change: give --channel, --code, --new-code or --new-passes.")
    if code is not None and new_code:
        refuse("Give either --code or --new-code.")
    if session is not None and items:
        refuse("--item belongs to a booking: give --booking.")
    place = _channel(channel, channel_name, channel_description)
    with acting(seller, stage, dynamodb_url, by) as (admin, actor):
        if booking is not None:
            shown = admin.seller_orders.set_access(
                actor,
                booking,
                partner,
                codes=new_code,
                passes=new_passes,
                code=code,
                channel=place,
                item_ids=items,
                dry_run=dry_run,
            )
            if as_json:
                show_details(shown, as_json)
            else:
                typer.echo(
                    f"The access of booking {shown['uuid']} {'would be' if dry_run else 'is'} changed."
                )
            return
        assert session is not None
        sessions, reached, orders, continues = admin.seller_sessions, 0, 0, False
        for dry in (True,) if dry_run else (True, False):  # all of it is checked before any of it is written
            with progress("Informing", orders) as on_step:
                if place is not None:
                    done = sessions.set_channel(actor, session, place, dry_run=dry, on_step=on_step)
                    reached, continues = max(reached, done.reached), continues or done.continues
                    orders = done.orders
                if code is not None or new_code or new_passes:
                    done = sessions.set_access(
                        actor,
                        session,
                        codes=new_code,
                        passes=new_passes,
                        code=code,
                        dry_run=dry,
                        on_step=on_step,
                    )
                    reached, continues = max(reached, done.reached), continues or done.continues
                    orders = done.orders
        if as_json:
            typer.echo(json.dumps({"orders": orders, "reached": reached, "continues": continues}, indent=2))
        elif dry_run:
            typer.echo(f"{_orders(orders).capitalize()} would be informed.")
        elif continues:
            typer.echo("It is changed. The database is busy; the sweep will inform the customers.")
        else:
            typer.echo(f"It is changed; {_orders(reached)} informed.")


def _channel(url: str | None, name: str | None, description: str | None) -> Json | None:
    if url is None:
        if name or description:
            refuse("--channel-name and --channel-description need --channel.")
        return None
    if not url.startswith(("https://", "http://")):
        refuse(f"{url!r} is not a URL that customers can open: it must begin with https://.")
    given = {"url": url, "name": name, "description": description}
    return {"@type": "VirtualLocation", **{term: value for term, value in given.items() if value}}


def _orders(orders: int) -> str:
    return counted(orders, "order or proposal", "orders or proposals")
