"""`openbooking access`: codes, passes and online channels, for a session or for one booking."""

from __future__ import annotations

from typing import Annotated

import typer

from chalicelib.domain.parties import Json
from chalicelib.runtime.administration import Administration
from chalicelib.services.actors import Actor
from chalicelib.services.desk.sessions import Done
from openbooking.cli.acting import Changing, Items, Partner, counted, differences_of, progress
from openbooking.cli.options import with_options
from openbooking.cli.terminal import refuse

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
@with_options
def set_access(
    options: Changing,
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
) -> None:
    """Set how people get in, at any time after they have booked. They are informed by their Broker.

    New codes and passes are of the kinds that the Seller uses; `--code` is set for everybody.
    """
    if (session is None) is (booking is None):
        refuse("Give either --session or --booking.")
    if channel is None and code is None and not (new_code or new_passes):
        refuse("Nothing would change: give --channel, --code, --new-code or --new-passes.")
    if code is not None and not code.strip():
        refuse("--code is empty.")
    if code is not None and new_code:
        refuse("Give either --code or --new-code.")
    if session is not None and items:
        refuse("--item belongs to a booking: give --booking.")
    place = _channel(channel, channel_name, channel_description)
    with options.acting() as (admin, actor):
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
                dry_run=options.dry_run,
            )
            would = "would be" if options.dry_run else "is"
            options.say(
                shown,
                f"The access of booking {shown['uuid']} {would} changed. {differences_of(shown['differences'])}",
            )
            return
        assert session is not None
        _set_for_session(options, admin, actor, session, place, new_code, new_passes, code)


def _set_for_session(
    options: Changing,
    admin: Administration,
    actor: Actor,
    session: str,
    channel: Json | None,
    codes: bool,
    passes: bool,
    code: str | None,
) -> None:
    sessions, reached, orders, continues = admin.seller_sessions, 0, 0, False
    differences: dict[str, str] = {}
    for dry in (True,) if options.dry_run else (True, False):  # all is checked before any of it is written
        with progress("Informing", orders) as on_step:
            steps: list[Done] = []
            if channel is not None:
                steps.append(sessions.set_channel(actor, session, channel, dry_run=dry, on_step=on_step))
            if code is not None or codes or passes:
                steps.append(
                    sessions.set_access(
                        actor, session, codes=codes, passes=passes, code=code, dry_run=dry, on_step=on_step
                    )
                )
        for done in steps:
            orders, reached = done.orders, max(reached, done.reached)
            continues = continues or done.continues
            differences |= done.differences
    if not orders:
        said = "It is not booked yet."
    elif options.dry_run:
        said = f"{_orders(orders).capitalize()} would be informed."
    elif continues:
        said = "The database is busy; the sweep will inform the customers."
    else:
        said = f"{_orders(reached).capitalize()} informed."
    if channel is not None or orders:
        said = f"The access {options.would_be} changed. {differences_of(differences)} {said}"
    else:
        said = f"Nothing was changed: {said[0].lower()}{said[1:]}"
    counts = {"orders": orders, "reached": reached, "continues": continues}
    options.say({**counts, "differences": differences}, said)


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
