"""`openbooking people`: finds, exports and erases what is stored about a person."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from chalicelib.domain.identifiers import outward
from chalicelib.domain.people import Traces
from chalicelib.domain.people import sought as traces_sought
from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import InvalidValue
from chalicelib.services.people import Found
from openbooking.cli.administration import AsJson, By, Stage, changing, reading
from openbooking.cli.output import in_words, show, text_of
from openbooking.cli.terminal import DynamodbUrl, counting, refuse

app = typer.Typer(
    help="What is stored about a person: find, export and erase it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Email = Annotated[str | None, typer.Option(help="The person's e-mail address.")]
Telephone = Annotated[str | None, typer.Option(help="The person's telephone number, in any spelling.")]
Name = Annotated[str | None, typer.Option(help="First name and family name. Other people may have the same.")]
OfSeller = Annotated[
    str | None,
    typer.Option(
        "--seller", help="Only in orders of this Seller, as `sellers list` shows it.", metavar="SELLER"
    ),
]


@app.command("find")
def find(
    email: Email = None,
    telephone: Telephone = None,
    name: Name = None,
    seller: OfSeller = None,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """List where a person is stored: orders, feeds, parked records, pending work, logins. Reads all of them.

    Example: openbooking people find --email ann@example.com
    """
    with reading(stage, dynamodb_url) as admin:
        found = _found(admin, _sought(email, telephone, name), seller)
        rows = _rows(admin, found)
        show(
            rows if as_json else list(map(in_words, rows)),
            as_json,
            none="Nothing is stored about this person.",
        )
        _explain(found)


@app.command("export")
def export(
    to: Annotated[Path, typer.Option(help="The new file, which only you can read.", metavar="FILE")],
    email: Email = None,
    telephone: Telephone = None,
    name: Name = None,
    seller: OfSeller = None,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Write what is stored about a person to a JSON file. Of orders of others, only the person's own part.

    Example: openbooking people export --email ann@example.com --to ann.json
    """
    with changing(stage, dynamodb_url, by) as admin:
        sought = _sought(email, telephone, name)
        if to.exists():
            raise InvalidValue(f"{to} exists already: choose another file.")
        found = _found(admin, sought, seller)
        document = admin.people.export(found, sought, admin.system.booking_service())
        to.touch(mode=0o600, exist_ok=False)
        text = json.dumps(document, indent=2, ensure_ascii=False, default=lambda each: each.isoformat())
        if admin.base_url:
            text = outward(text, admin.base_url)
        to.write_text(text + "\n", encoding="utf-8")
        admin.journal.note("person exported", export=admin.system.new_id(), orders=str(len(found.orders)))
        _explain(found)
    typer.echo(f"Orders: {len(found.orders)}. Written to {to}.")


@app.command("erase")
def erase(
    email: Email = None,
    telephone: Telephone = None,
    orders: Annotated[
        list[str] | None,
        typer.Option(
            "--order",
            help="Everyone in this order. Repeatable.",
            metavar="PARTNER#UUID",
        ),
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Only the name of this user of commands, which the journal shows.")
    ] = None,
    seller: OfSeller = None,
    also_upcoming: Annotated[
        bool,
        typer.Option(
            "--also-upcoming", help="Also from booked sessions that have not ended: the place stays booked."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be erased.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Erase a person. What was booked, paid and decided is kept, without the person.

    A Customer is erased with all that was given with the order. If it is interrupted, run the same command again.

    Example: openbooking people erase --email ann@example.com --dry-run
    """
    if [bool(email or telephone), bool(orders), bool(user)].count(True) != 1:
        refuse(
            "Whom? Use --email and --telephone, or --order, or --user. A name alone may belong to several people."
        )
    if user:
        _erase_user(user, dry_run, yes, stage, dynamodb_url, by)
        return
    with changing(stage, dynamodb_url, by) as admin:
        people = admin.people
        sought: Traces | None = None
        if orders:
            found = Found(orders=[people.order(each) for each in orders])
        else:
            sought = _sought(email, telephone, None)
            found = _found(admin, sought, seller)
        if not found:
            _explain(found)
            typer.echo("Nothing is stored about this person.")
            return
        show(list(map(in_words, _rows(admin, found))))
        _explain(found)
        people.check(found, admin.system.now(), also_upcoming=also_upcoming)
        if dry_run:
            typer.echo("Nothing was changed: this was a dry run.")
            return
        if not yes and not typer.confirm("Erase the person from all of these? This cannot be undone."):
            refuse("Nothing was changed.")
        erasure_id = admin.system.new_id()
        with counting("erased") as progress:
            done = people.erase(found, sought, erasure_id=erasure_id, progress=progress)
        counted = ", ".join(f"{what}: {number}" for what, number in done.items() if number)
    typer.echo(f"Erased from {counted or 'nothing'}. In the journal it is erasure {erasure_id}.")


def _erase_user(
    user: str, dry_run: bool, yes: bool, stage: str | None, dynamodb_url: str | None, by: str | None
) -> None:
    """Erase a name from the journal; the entries stay."""
    with changing(stage, dynamodb_url, by) as admin:
        name = admin.people.user(user)
        if dry_run:
            typer.echo(f"The journal would show {name.id} instead. Nothing was changed: this was a dry run.")
            return
        if not yes and not typer.confirm(f"Show {name.id} instead of {user} in the journal, permanently?"):
            refuse("Nothing was changed.")
        admin.people.erase_user(name)
    typer.echo(f"The journal shows {name.id} instead.")


def _sought(email: str | None, telephone: str | None, name: str | None) -> Traces:
    """Raises InvalidValue."""
    if not (email or telephone or name):
        raise InvalidValue("Whom? Use --email, --telephone or --name.")
    try:
        return traces_sought(email or "", telephone or "", name or "")
    except ValueError as error:
        raise InvalidValue(str(error)) from None


def _found(admin: Administration, sought: Traces, seller: str | None) -> Found:
    seller_id = admin.sellers.find(seller).id if seller else None
    with counting("read") as progress:
        return admin.people.find(sought, seller_id, progress)


def _rows(admin: Administration, found: Found) -> list[dict[str, Any]]:
    rows = [
        {
            "id": each.order.key.uuid,
            "partner": each.order.key.partner_id,
            "where": each.order.kind.value,
            "as": ", ".join(each.places),
            "seller": admin.seller_ids.shown(each.order.seller_id),
            "made": each.order.created_at,
            "upcoming": each.is_upcoming(admin.system.now()),
        }
        for each in found.orders
    ]
    others = [
        *(("feed item", f"{feed} {item}") for feed, items in found.feed_items.items() for item in items),
        *(("parked record", each.id) for each in found.parked),
        *(("pending work", f"{kind} {entry_id}") for kind, entry_id in found.pending),
        *(("login", each.id) for each in found.logins),
    ]
    return rows + [
        dict.fromkeys(("id", "partner", "where", "as", "seller", "made", "upcoming"))
        | {"where": where, "id": text_of(row_id)}
        for where, row_id in others
    ]


def _explain(found: Found) -> None:
    """What could not be searched, on stderr."""
    if found.unreadable:
        shown = ", ".join(text_of(each) for each in found.unreadable[:5])
        typer.echo(
            f"Rows that cannot be read, and were not searched: {len(found.unreadable)}, such as {shown}.",
            err=True,
        )
    if sys.stderr.isatty():
        counted = ", ".join(f"{number} {what}" for what, number in found.read.items())
        typer.echo(f"Read: {counted or 'one order'}.", err=True)
