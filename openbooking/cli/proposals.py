"""`openbooking proposals`: OrderProposals that wait for the Seller, and the answers to them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from chalicelib.domain.lifecycle import ProposalEvent, ProposalStatus
from chalicelib.domain.parties import Json
from chalicelib.services.desk.words import from_partner
from openbooking.cli.acting import Changing, Items, Listing, Partner, Showing, Uuid, differences_of
from openbooking.cli.options import with_options

app = typer.Typer(
    help="Order proposals that wait for an answer.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


class Waiting(StrEnum):
    """The states of proposals."""

    waiting = "waiting"  # for the Seller
    accepted = "accepted"  # and not booked yet
    rejected = "rejected"  # by the Seller, or because its time was over
    withdrawn = "withdrawn"  # by the customer


_STATUSES = {
    Waiting.waiting: ProposalStatus.AwaitingSellerConfirmation,
    Waiting.accepted: ProposalStatus.SellerAccepted,
    Waiting.rejected: ProposalStatus.SellerRejected,
    Waiting.withdrawn: ProposalStatus.CustomerRejected,
}

Note = Annotated[str | None, typer.Option(help="A note for the customer.")]
_CODES = "Exit codes: 0 done; 1 refused, nothing was changed; 2 a wrong option."


@app.command(
    "list",
    epilog="Examples: openbooking proposals list --seller acme; openbooking proposals list --status rejected --json",
)
@with_options
def list_proposals(
    options: Listing,
    status: Annotated[
        Waiting, typer.Option(help="Those in this state instead of those that wait.")
    ] = Waiting.waiting,
) -> None:
    """List the proposals that wait for the Seller, with the customers' notes; the oldest first."""
    with options.looking() as (admin, actor):
        page = admin.seller_lists.proposals(
            actor, after=options.after, limit=options.limit, which=[_STATUSES[status]]
        )
        none = (
            "No proposal waits for an answer."
            if status is Waiting.waiting
            else f"No proposal is {status.value}."
        )
        term = "answer_by" if status is Waiting.accepted else "book_by"  # the other one is shown
        options.show_page(page, none, without=("seller", "partner", "status", "since", term))


@app.command("show", epilog="Example: openbooking proposals show UUID --seller acme")
@with_options
def show_proposal(
    options: Showing,
    uuid: Uuid,
    partner: Partner = None,
) -> None:
    """Show a proposal with its items, its customer and the customer's note."""
    with options.looking() as (admin, actor):
        options.show(admin.seller_lists.proposal(actor, uuid, partner))


@app.command("accept", epilog=f"Example: openbooking proposals accept UUID --seller acme. {_CODES}")
@with_options
def accept_proposal(
    options: Changing,
    uuid: Uuid,
    partner: Partner = None,
    note: Note = None,
) -> None:
    """Accept a proposal: the Broker may then book it."""

    with options.acting() as (admin, actor):
        row = admin.seller_orders.decide(
            actor, uuid, partner, ProposalEvent.accept, note=note, dry_run=options.dry_run
        )
        _say(options, row, "accepted")


@app.command("reject", epilog=f'Example: openbooking proposals reject UUID --note "We are full." {_CODES}')
@with_options
def reject_proposal(
    options: Changing,
    uuid: Uuid,
    partner: Partner = None,
    note: Note = None,
) -> None:
    """Reject a proposal, even if it was accepted, as long as it is not booked."""

    with options.acting() as (admin, actor):
        row = admin.seller_orders.decide(
            actor, uuid, partner, ProposalEvent.seller_rejects, note=note, dry_run=options.dry_run
        )
        _say(options, row, "rejected")


@app.command(
    "amend",
    epilog="Examples: openbooking proposals amend UUID --with SESSION --offer Adult; "
    f'openbooking proposals amend UUID --note "Only with a helmet." {_CODES}',
)
@with_options
def amend_proposal(
    options: Changing,
    uuid: Uuid,
    session: Annotated[
        str | None, typer.Option("--with", metavar="SESSION", help="The session to propose instead.")
    ] = None,
    offer: Annotated[
        str | None, typer.Option(help="Its offer, by id or name; not needed if it has only one.")
    ] = None,
    items: Items = None,
    partner: Partner = None,
    note: Note = None,
) -> None:
    """Propose another session or offer, or another note. The proposal then waits again for your acceptance.

    Another session needs an offer that allows negotiation, and enough spaces; what it asks of attendees must be known. It
    may cost more or less, and have other terms: the answer names each difference, and the Broker is shown it.
    """

    with options.acting() as (admin, actor):
        row = admin.seller_orders.amend(
            actor,
            uuid,
            partner,
            session=session,
            offer=offer,
            item_ids=items,
            note=note,
            dry_run=options.dry_run,
        )
        _say(options, row, "amended")


def _say(options: Changing, row: Json, what: str) -> None:
    said = f"Proposal {row['uuid']}, {from_partner(row['partner'])}, {options.would_be} {what}."
    changed = {name: each for name, each in row["differences"].items() if name != "proposal"}
    options.say(row, f"{said} {differences_of(changed)}".strip())
