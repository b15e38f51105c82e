"""`openbooking desk`: sales at a Seller's own desk, from the same counter as all others."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from chalicelib.domain.parties import Json
from chalicelib.services.desk.sales import Line
from chalicelib.services.errors import InvalidValue
from openbooking.cli.acting import Changing, Items, Uuid
from openbooking.cli.options import with_options

app = typer.Typer(
    help="Sales at a Seller's own desk.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

_CODES = "Exit codes: 0 done; 1 refused, nothing was sold or returned; 2 a wrong option."


@app.command(
    "sell",
    epilog="Examples: openbooking desk sell SESSION --spaces 2 --offer Adult; openbooking desk sell SESSION --dry-run; "
    f'openbooking desk sell SESSION --name "Ann Lee" --email ann@example.org --paid-by card --total 7.50. {_CODES}',
)
@with_options
def sell(
    options: Changing,
    sessions: Annotated[
        list[str],
        typer.Argument(
            metavar="SESSION...", help="What is sold; several are one booking. As `sessions list` shows it."
        ),
    ],
    spaces: Annotated[int, typer.Option(min=1, help="Places of each session.")] = 1,
    offer: Annotated[
        str | None, typer.Option(help="The offer, by id or name; not needed if a session has only one.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The customer's name; may be left out.")] = None,
    email: Annotated[str | None, typer.Option(help="The customer's email; may be left out.")] = None,
    telephone: Annotated[str | None, typer.Option(help="The customer's telephone number.")] = None,
    paid_by: Annotated[str, typer.Option(help="How it was paid, such as cash or card.")] = "cash",
    receipt: Annotated[
        str | None, typer.Option(help="The number of the receipt; by default the booking's UUID.")
    ] = None,
    total: Annotated[
        str | None, typer.Option(help="What the customer has paid: if the price differs, nothing is sold.")
    ] = None,
    order_id: Annotated[
        str | None,
        typer.Option("--uuid", help="A UUID of your own: a repetition with it sells nothing again."),
    ] = None,
) -> None:
    """Sell places to a person who is there. Without a Broker, taxed as for a person.

    Windows for booking in advance, the Seller's approval and required details are not needed here.
    """
    with options.acting() as (admin, actor):
        done = admin.sales.sell(
            actor,
            [Line(session, spaces, offer) for session in sessions],
            customer=_customer(name, email, telephone),
            paid_by=paid_by,
            receipt=receipt,
            total=_amount(total),
            uuid=order_id,
            dry_run=options.dry_run,
        )
        price = f"{done['due']} {done['currency'] or ''}".strip()
        places = Counter(str(each["name"]) for each in done["items"])
        what = ", ".join(f"{number} x {name}" for name, number in places.items())
        sold = f"Booking {done['uuid']} is sold: {what} for {price}."
        options.say(done, f"{what} would cost {price}." if options.dry_run else sold)


@app.command(
    "return",
    epilog=f"Examples: openbooking desk return UUID; openbooking desk return UUID --item ITEM --anyway. {_CODES}",
)
@with_options
def take_back(
    options: Changing,
    uuid: Uuid,
    items: Items = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Even if the terms of the offer no longer allow it.")
    ] = False,
) -> None:
    """Take back what was sold at the desk, and refund it. `bookings cancel` cancels what a Broker has sold."""
    with options.acting() as (admin, actor):
        before = admin.seller_lists.booking(actor, uuid, admin.sales.partner_of(actor))
        done = admin.sales.take_back(actor, uuid, item_ids=items, anyway=anyway, dry_run=options.dry_run)
        refund = f"{before['due'] - done['due']} {before['currency'] or ''}".strip()
        returned = f"Booking {done['uuid']} is returned: refund {refund}."
        options.say(done, f"Booking {done['uuid']} would be returned." if options.dry_run else returned)


def _customer(name: str | None, email: str | None, telephone: str | None) -> Json | None:
    """A Person, if anything is known of it. A customer who is kept must have an email (C2-02)."""
    given = {"name": name, "email": email, "telephone": telephone}
    known = {term: value for term, value in given.items() if value}
    if not known:
        return None
    if "email" not in known:
        raise InvalidValue("A customer with a name needs an --email, too; or leave the customer out.")
    return {"@type": "Person", **known}


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise InvalidValue(f"{text!r} is not an amount: write one such as 7.50.")
    return amount
