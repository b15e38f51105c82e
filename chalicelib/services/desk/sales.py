"""Sales at a Seller's desk: an Order like any other, of the Seller's own booking partner, from the same counter.

There is no Broker, and the price is taxed as for a Person. The Customer may be missing.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

from chalicelib.booking.assessment import assess
from chalicelib.booking.book import Render, book
from chalicelib.booking.decisions import Answer, Decision, Moment, Snapshot, Wanted
from chalicelib.booking.requests import CancellationRequest, OrderRequest, RequestedItem
from chalicelib.domain.limits import MAX_CUSTOMER_BYTES, MAX_ITEMS, MAX_OPPORTUNITIES, check_bytes, json_bytes
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.parties import BrokerRole, Json
from chalicelib.services.actors import Actor
from chalicelib.services.bookings import Bookings
from chalicelib.services.desk.acting import Acting
from chalicelib.services.desk.differences import of_order
from chalicelib.services.desk.orders import offer_of
from chalicelib.services.desk.partner import desk_of
from chalicelib.services.desk.refusals import as_refusals, sentence
from chalicelib.services.desk.rows import booking_details, money
from chalicelib.services.errors import InvalidValue, NotPossible
from chalicelib.services.row_size import within_row
from chalicelib.values import dataclass, replace
from chalicelib.wire.links import parse_uuid


@dataclass(frozen=True)
class Line:
    """Places of one session. `offer` is an id or a name; None for the only offer."""

    session: str
    spaces: int = 1
    offer: str | None = None


@dataclass(frozen=True)
class Sales:
    """Sells and takes back. Each raises NotFound, InvalidValue, NotPossible, StillBusy. In a dry run nothing is written.

    `render` makes the answer that is stored with an Order.
    """

    acting: Acting
    bookings: Bookings
    render: Render
    new_id: Callable[[], str]

    def sell(
        self,
        actor: Actor,
        lines: Sequence[Line],
        *,
        customer: Json | None = None,
        paid_by: str = "cash",
        receipt: str | None = None,
        total: Decimal | None = None,
        uuid: str | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Sell places; the booking. `total` is what the customer has paid: if it is not the price, nothing is sold.

        A repetition with the same `uuid` sells nothing again. Not required here, as it is of Brokers: the Seller's
        approval, details of attendees, answers to forms, and a sale in advance.
        """
        if not lines or any(line.spaces < 1 for line in lines):
            raise InvalidValue("Name at least one session, and at least one place of each.")
        items = [item for line in lines for item in self._items(actor, line)]
        items = [replace(item, position=position) for position, item in enumerate(items)]
        if len(items) > MAX_ITEMS or len({item.opportunity_id for item in items}) > MAX_OPPORTUNITIES:
            raise InvalidValue(
                f"One sale has at most {MAX_ITEMS} places of {MAX_OPPORTUNITIES} different sessions."
            )
        given = parse_uuid(uuid.strip()) if uuid is not None else self.new_id()
        if given is None:
            raise InvalidValue(f"{uuid!r} is not a UUID.")
        key = OrderKey(desk_of(actor.seller_id), given)
        request = OrderRequest(
            key,
            actor.seller_id,
            tuple(items),
            broker_role=BrokerRole.NoBroker,
            customer=customer,
            total_payment_due=total,
            at_desk=True,
        )
        payment = {"@type": "Payment", "identifier": receipt or key.uuid, "name": paid_by}
        with as_refusals():
            check_bytes("The customer", json_bytes(customer), MAX_CUSTOMER_BYTES)
            answer = self._carry_out(request, payment, dry_run)
        if answer.errors:
            raise NotPossible(_why_not(answer))
        if not dry_run:
            price = {"due": money(answer.order)}
            self.acting.note(actor, "sold at the desk", price, partner=key.partner_id, order=key.uuid)
        return booking_details(answer.order, self.acting.belongings.ids)

    def take_back(
        self,
        actor: Actor,
        uuid: str,
        *,
        item_ids: Sequence[str] | None = None,
        anyway: bool = False,
        dry_run: bool = False,
    ) -> Json:
        """Take back what was sold at this desk, by the terms of its offers; `anyway`: against them, as the Seller."""
        belongings = self.acting.belongings
        partner = desk_of(actor.seller_id)
        order = belongings.booking(actor, uuid, partner)
        if not any(item.holds_a_space for item in order.items):
            raise NotPossible(f"Booking {order.key.uuid} is cancelled: nothing was changed.")
        known = tuple(item.id or "" for item in order.items)
        chosen = tuple(item_ids or known)
        if unknown := sorted(set(chosen) - set(known)):
            raise InvalidValue(f"There is no item {unknown[0]} in this booking.")
        on = self.acting.on_orders(dry_run=dry_run)
        with as_refusals("A person has attended: what was attended cannot be returned."):
            if anyway:
                on.actions.cancel(order.key, item_ids=chosen)
            else:
                customer = replace(self.bookings, attempts=on.actions.attempts)
                customer.cancel(CancellationRequest(order.key, chosen), seller_id=actor.seller_id)
        after = on.decided.get(order.key, order)
        if not dry_run:
            changed = of_order(order, after, belongings.ids)
            self.acting.note(actor, "returned at the desk", changed, partner=partner, order=order.key.uuid)
        return booking_details(after, belongings.ids)

    def partner_of(self, actor: Actor) -> str:
        """The booking partner whose Orders are those of this desk."""
        return desk_of(actor.seller_id)

    def _items(self, actor: Actor, line: Line) -> list[RequestedItem]:
        listing, _ = self.acting.belongings.session(actor, line.session)
        offer_id = offer_of(listing, line.offer, self.acting.belongings.ids.meant)
        return [RequestedItem(0, listing.opportunity.id, offer_id)] * line.spaces

    def _carry_out(self, request: OrderRequest, payment: Json, dry_run: bool) -> Answer:
        moment = self.acting.actions.moment()
        render = within_row(self.render, moment)
        wanted = Wanted(request.key, request.seller_id, tuple(request.opportunity_ids()))
        return self.acting.on_orders(dry_run=dry_run).actions.attempts.carry_out(
            wanted,
            lambda snapshot: _sold(request, payment, snapshot, moment, render),
            moment.now,
        )


def _sold(
    request: OrderRequest, payment: Json, snapshot: Snapshot, moment: Moment, render: Render
) -> Decision[Answer]:
    """B with the price as it is, or as the desk states it."""
    totals = assess(request, snapshot, moment, with_customer=True).totals
    due = totals.due if request.total_payment_due is None else request.total_payment_due
    complete = replace(
        request,
        total_payment_due=due,
        total_currency=totals.currency if totals.due else None,
        payment=payment if totals.due else None,
    )
    return book(complete, snapshot, moment, render)


def _why_not(answer: Answer) -> str:
    """The first error of each session that cannot be sold."""
    order: Order = answer.order
    reasons = dict.fromkeys(
        f"{order.items[number].opportunity.name}: {sentence(errors[0])}"  # type: ignore[union-attr]
        if order.items[number].opportunity
        else sentence(errors[0])
        for number, errors in sorted(answer.errors.items())
    )
    return " ".join(reasons)
