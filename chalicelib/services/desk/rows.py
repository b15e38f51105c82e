"""Sessions, bookings, proposals and holders as rows to show: plain values by name. Instants are UTC, money is Decimal."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal

from chalicelib.domain.capacity import Capacity, Hold, HoldState
from chalicelib.domain.lifecycle import CANCELLED, OrderItemStatus, ProposalStatus
from chalicelib.domain.opportunities import NOT_TAKING_PLACE, Opportunity
from chalicelib.domain.orders import Order, OrderItem, OrderKey
from chalicelib.domain.parties import Json
from chalicelib.services.seller_ids import SellerIds
from chalicelib.storage.store import Listing

_ADDRESS = ("streetAddress", "addressLocality", "postalCode")


def session_row(listing: Listing, capacity: Capacity | None, ids: SellerIds, now: datetime) -> Json:
    """A session or slot in a list."""
    opportunity = listing.opportunity
    return {
        "id": ids.shown(opportunity.id),
        "short_id": ids.short(opportunity.id, opportunity.seller_id),
        "name": name_of(opportunity),
        "starts": opportunity.starts_at,
        # None: without a limit.
        "spaces": (None if capacity.is_unlimited else capacity.spaces_total) if capacity else 0,
        "left": capacity.spaces_shown if capacity else 0,
        "state": state_of(listing, now),
    }


def session_details(listing: Listing, capacity: Capacity, ids: SellerIds, now: datetime) -> Json:
    """One session or slot, with its offers."""
    opportunity = listing.opportunity
    return {
        **session_row(listing, capacity, ids, now),
        "ends": opportunity.ends_at,
        "place": place_of(opportunity),
        # Booked, or held for a proposal.
        "taken": None
        if capacity.is_unlimited
        else capacity.spaces_total - capacity.spaces_left - capacity.spaces_leased,
        "reserved": capacity.spaces_leased,
        "requested": capacity.spaces_requested,
        "online": opportunity.access_channel,
        "source": listing.source,
        "offers": [
            {
                "id": ids.shown(offer.id),
                "name": str(offer.document.get("name") or ""),
                "price": offer.price,
                "currency": offer.currency,
                "needs_approval": offer.needs_approval,
            }
            for offer in opportunity.offers
        ],
    }


def state_of(listing: Listing, now: datetime) -> str:
    """What a Seller needs to know of it first."""
    opportunity = listing.opportunity
    if listing.deleted:
        return "withdrawn"
    if opportunity.status in NOT_TAKING_PLACE:
        return opportunity.status.removeprefix("Event").lower()
    if (ends_at := opportunity.ends_at or opportunity.starts_at) and ends_at <= now:
        return "over"
    return "closed" if listing.closed else "on sale"


def booking_row(order: Order, ids: SellerIds) -> Json:
    """A booking in a list."""
    return {
        "booked": order.placed_at,
        "uuid": order.key.uuid,
        "partner": order.key.partner_id,
        "customer": customer_of(order),
        "items": summary(order.items),
        "status": status_of(order.items),
        "due": order.totals.due,
        "currency": currency_of(order),
    }


def booking_details(order: Order, ids: SellerIds) -> Json:
    """One booking, with its items. Everything that the Seller may see of its Customer."""
    return {
        **booking_row(order, ids),
        "seller": ids.shown(order.seller_id),
        "broker": str((order.broker or {}).get("name") or ""),
        "sold_by": order.broker_role.value,
        "email": str((order.customer or {}).get("email") or ""),
        "telephone": str((order.customer or {}).get("telephone") or ""),
        "customer_document": order.customer,
        "payment": order.payment,
        "tax": sum((charge.amount for charge in order.totals.taxes), start=Decimal(0)),
        "items": [item_row(item, ids) for item in order.items],
    }


def item_row(item: OrderItem, ids: SellerIds) -> Json:
    """One OrderItem."""
    opportunity = item.opportunity
    return {
        "item": item.id,
        "session": ids.shown(item.opportunity_id or ""),
        "short_session": ids.short(item.opportunity_id or "", opportunity.seller_id) if opportunity else "",
        "name": name_of(opportunity) if opportunity else "",
        "starts": opportunity.starts_at if opportunity else None,
        "offer": ids.shown(item.offer_id or ""),
        "offer_name": str(item.offer.document.get("name") or "") if item.offer else "",
        "price": item.price.due if item.price else None,
        "status": item.status.value if item.status else None,
        "attendee": person(item.attendee),
        "answers": list(item.intake_answers),
        "codes": [str(code.get("description") or "") for code in item.access_codes],
        "passes": [str(each.get("text") or each.get("url") or "") for each in item.access_passes],
        "online": item.access_channel,
        "notice": item.customer_notice,
        "message": item.cancellation_message,
    }


def proposal_row(order: Order, ids: SellerIds) -> Json:
    """An OrderProposal in a list, with the Customer's note."""
    proposal = order.proposal
    is_accepted = _is_accepted(order)
    return {
        "uuid": order.key.uuid,
        "partner": order.key.partner_id,
        "seller": ids.shown(order.seller_id),
        "since": order.created_at,
        # Until it is answered; then until it is booked.
        "answer_by": None if is_accepted else order.ends_at,
        "book_by": order.ends_at if is_accepted else None,
        "status": proposal.status.value if proposal else None,
        "customer": customer_of(order),
        "items": summary(order.items),
        "due": order.totals.due,
        "currency": currency_of(order),
        "customer_note": proposal.customer_note if proposal else None,
    }


def holder_rows(key: OrderKey, hold: Hold, order: Order | None, opportunity_id: str) -> Iterator[Json]:
    """The rows of one Order in a register: a row for each place, or one for all that are only reserved.

    A place that was cancelled takes no spaces.
    """
    if order is None or hold.state is not HoldState.booked:
        yield {
            "uuid": key.uuid,
            "partner": key.partner_id,
            "item": None,
            "spaces": hold.spaces,
            "name": customer_of(order) if order else "",
            "customer": customer_of(order) if order else "",
            "status": ProposalStatus.SellerAccepted.value
            if order is not None and _is_accepted(order)
            else hold.state.value,
            "code": "",
            "until": hold.expires_at,
        }
        return
    for item in order.items:
        if item.opportunity and item.opportunity.id == opportunity_id:
            yield place_row(key, order, item)


def _is_accepted(order: Order) -> bool:
    return order.proposal is not None and order.proposal.status is ProposalStatus.SellerAccepted


def place_row(key: OrderKey, order: Order, item: OrderItem) -> Json:
    """One place in a register."""
    return {
        "uuid": key.uuid,
        "partner": key.partner_id,
        "item": item.id,
        "spaces": int(item.holds_a_space),
        "name": person(item.attendee) or customer_of(order),
        "customer": customer_of(order),
        "status": item.status.value if item.status else "",
        "code": ", ".join(str(code.get("description") or "") for code in item.access_codes),
        "until": None,
    }


def name_of(opportunity: Opportunity) -> str:
    """What people call it; a court together with its facility, because several facilities have a Court 1."""
    name = opportunity.name or opportunity.type.value
    facility = (opportunity.parent or {}).get("aggregateFacilityUse")
    whole = facility.get("name") if isinstance(facility, dict) else None
    return f"{whole}, {name}" if isinstance(whole, str) and whole and whole != name else name


def place_of(opportunity: Opportunity) -> str:
    """The name and address of its place, on one line."""
    documents = (opportunity.document, opportunity.parent or {})
    location: Json = next(
        (each["location"] for each in documents if isinstance(each.get("location"), dict)), {}
    )
    address = location.get("address")
    parts = [
        location.get("name"),
        *((address or {}).get(term) for term in _ADDRESS if isinstance(address, dict)),
    ]
    return ", ".join(str(part) for part in parts if part)


def customer_of(order: Order) -> str:
    """The Customer's name, or else the email; empty where there is none, as after a sale at the desk."""
    customer = order.customer or {}
    return person(customer) or str(customer.get("email") or "")


def person(document: Json | None) -> str:
    """The name of a Person or an Organization."""
    document = document or {}
    names = (document.get("givenName"), document.get("familyName"))
    return " ".join(str(name) for name in names if name) or str(document.get("name") or "")


def summary(items: Iterable[OrderItem]) -> list[Json]:
    """The items by session: how many places, of what, and when."""
    sessions = (
        (name_of(each), each.starts_at) for each in (item.opportunity for item in items) if each is not None
    )
    return [
        {"places": places, "name": name, "starts": starts_at}
        for (name, starts_at), places in Counter(sessions).items()
    ]


def money(order: Order) -> str:
    """What the Order costs now."""
    return f"{order.totals.due} {currency_of(order) or ''}".strip()


def currency_of(order: Order) -> str | None:
    """The currency of an Order. A total of nothing has none; then it is that of the prices."""
    priced = (item.price.currency for item in order.items if item.price and item.price.currency)
    return order.totals.currency or next(priced, None)


def status_of(items: Iterable[OrderItem]) -> str:
    """The status of all items together: that of each if it is the same, else how many places are still held."""
    statuses: list[OrderItemStatus | None] = [item.status for item in items]
    if len(set(statuses)) == 1:
        return str(statuses[0])
    held = sum(status not in CANCELLED for status in statuses)
    return f"{held} of {len(statuses)} places"
