"""`openbooking proposals`: lists OrderProposals that wait for the Seller, and accepts or rejects them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from typing import Annotated, Any

import typer

from chalicelib.booking.decisions import Wanted
from chalicelib.booking.proposal_ends import as_of
from chalicelib.domain.errors import OpenBookingError, RequestTooLargeError
from chalicelib.domain.lifecycle import ProposalStatus, TransitionRefused
from chalicelib.domain.orders import Order, OrderKey, OrderKind
from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import InvalidValue, NotFound, NotPossible
from chalicelib.storage.store import StoredProposal
from openbooking.cli.administration import AsJson, By, Stage, changing, reading
from openbooking.cli.output import show
from openbooking.cli.terminal import DynamodbUrl

app = typer.Typer(help="Order proposals that wait for an answer.", no_args_is_help=True, add_completion=False)

Uuid = Annotated[
    str, typer.Argument(metavar="UUID", help="The UUID of the proposal, as `proposals list` shows it.")
]
Partner = Annotated[
    str | None, typer.Option(help="The booking partner's client id, if several use the same UUID.")
]
Note = Annotated[str | None, typer.Option(help="A note for the customer.")]


@app.command("list")
def list_proposals(
    limit: Annotated[int, typer.Option(min=1, help="The maximum number to show.")] = 100,
    as_json: AsJson = False,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
) -> None:
    """List the proposals that wait for the Seller, in no particular order. Reads the whole table of orders."""
    with reading(stage, dynamodb_url) as admin:
        unreadable, now = 0, admin.system.now()

        def waiting(found: StoredProposal) -> bool:
            nonlocal unreadable
            unreadable += found.order is None
            order = as_of(found.order, now) if found.order else None
            proposal = order.proposal if order else None
            return proposal is not None and proposal.status is ProposalStatus.AwaitingSellerConfirmation

        found = list(islice(filter(waiting, admin.system.store.proposals()), limit + 1))
        rows = [_row(admin, each.order) for each in found[:limit] if each.order is not None]
        show(rows, as_json, none="No proposal waits for an answer.")
        if len(found) > limit:
            typer.echo(f"There are more than {limit}. Use --limit to see more.", err=True)
        if unreadable:
            typer.echo(f"{unreadable} proposals cannot be read, and are not shown.", err=True)


@app.command("accept")
def accept_proposal(
    uuid: Uuid,
    partner: Partner = None,
    note: Note = None,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Accept a proposal: the Broker may then book it."""
    with changing(stage, dynamodb_url, by) as admin:
        key = _key(admin, uuid, partner)
        _answer(admin, key, lambda: admin.system.seller_actions.accept(key, note=note))
        admin.journal.note("proposal accepted", partner=key.partner_id, proposal=key.uuid)
        typer.echo(f"Proposal {key.uuid} of booking partner {key.partner_id} is accepted.")


@app.command("reject")
def reject_proposal(
    uuid: Uuid,
    partner: Partner = None,
    note: Note = None,
    stage: Stage = None,
    dynamodb_url: DynamodbUrl = None,
    by: By = None,
) -> None:
    """Reject a proposal, even if it was accepted, as long as it is not booked."""
    with changing(stage, dynamodb_url, by) as admin:
        key = _key(admin, uuid, partner)
        _answer(admin, key, lambda: admin.system.seller_actions.reject(key, note=note))
        admin.journal.note("proposal rejected", partner=key.partner_id, proposal=key.uuid)
        typer.echo(f"Proposal {key.uuid} of booking partner {key.partner_id} is rejected.")


def _answer(admin: Administration, key: OrderKey, answer: Callable[[], None]) -> None:
    """Accept or reject a proposal. Raises NotPossible if it is too late."""
    try:
        answer()
    except RequestTooLargeError as error:
        raise InvalidValue(str(error)) from None
    except (TransitionRefused, OpenBookingError):
        order = admin.entries.patiently(lambda: admin.system.store.snapshot(Wanted(key))).order
        status = "no longer a proposal"
        if isinstance(order, Order) and order.kind is OrderKind.OrderProposal and order.proposal:
            status = f"already {order.proposal.status}"
        raise NotPossible(f"Proposal {key.uuid} is {status}: nothing was changed.") from None


def _key(admin: Administration, uuid: str, partner: str | None) -> OrderKey:
    """The key of the proposal. Raises NotFound; InvalidValue if there are several."""
    uuid = uuid.strip()
    if partner is not None:
        key = OrderKey(partner, uuid)
        order = admin.entries.patiently(lambda: admin.system.store.snapshot(Wanted(key))).order
        found = [key] if isinstance(order, Order) and order.proposal is not None else []
    else:
        found = [each.key for each in admin.system.store.proposals() if each.key.uuid == uuid]
    if not found:
        raise NotFound("proposal", uuid)
    if len(found) > 1:
        partners = ", ".join(sorted(key.partner_id for key in found))
        raise InvalidValue(
            f"Several booking partners have a proposal {uuid}: name one with --partner ({partners})."
        )
    return found[0]


def _row(admin: Administration, order: Order) -> dict[str, Any]:
    items = Counter(
        f"{item.opportunity.name or item.opportunity.type}"
        + (f", {item.opportunity.starts_at:%Y-%m-%d %H:%M %Z}" if item.opportunity.starts_at else "")
        for item in order.items
        if item.opportunity is not None
    )
    due = f"{order.totals.due} {order.totals.currency or ''}".strip()
    proposal = order.proposal
    return {
        "uuid": order.key.uuid,
        "partner": order.key.partner_id,
        "seller": admin.seller_ids.shown(order.seller_id),
        "since": order.created_at,
        "answer_by": order.ends_at,
        "items": [f"{count} x {what}" for what, count in items.items()],
        "due": due,
        "customer_note": proposal.customer_note if proposal else None,
    }
