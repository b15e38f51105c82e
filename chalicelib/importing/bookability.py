"""What is imported but cannot be booked as its source publishes it, with each reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING

from chalicelib.domain.bookability import Barrier, Reason, barrier
from chalicelib.domain.opportunities import NOT_TAKING_PLACE, Opportunity
from chalicelib.domain.parties import Seller
from chalicelib.values import dataclass
from chalicelib.wire.reading import why_full

if TYPE_CHECKING:
    from chalicelib.importing.documents import Documents


class Lack(Enum):
    """What is missing where no barrier prevents a booking."""

    offer = auto()  # it has no Offer at all
    seller_details = auto()  # of its Seller, which each answer must show
    spaces = auto()  # its number of spaces cannot be right, and counts as 0


@dataclass(frozen=True)
class NotBookable:
    """An Opportunity or an Offer that is imported, but cannot be booked as its source publishes it.

    `offer_id` is empty if it is the whole Opportunity: no Offer of it can be booked. The cause is the `barrier`, or
    else what it lacks.
    """

    kind: str
    id: str
    text: str
    barrier: Barrier | None = None
    offer_id: str = ""
    lack: Lack = Lack.offer


def why_not_bookable(opportunity: Opportunity) -> tuple[Barrier | None, ...]:
    """Why nothing of an Opportunity can be booked as it is published, whatever the time; empty if it can.

    None stands for an Opportunity without any Offer.
    """
    if opportunity.barriers:
        return opportunity.barriers
    if any(offer.bookable_in_advance and not offer.barriers for offer in opportunity.offers):
        return ()
    found = [each for offer in opportunity.offers for each in offer.barriers]
    found += [unusable.barrier for unusable in opportunity.unusable_offers]
    return tuple(dict.fromkeys(found)) or (None,)


def own_reasons(opportunity: Opportunity) -> Iterator[NotBookable]:
    """Why it cannot be booked, or some of its Offers, whatever its Seller is: itself, or else each Offer."""
    kind = opportunity.type.value
    if opportunity.status in NOT_TAKING_PLACE:
        return  # its source says so, and everybody can see it
    barriers = why_not_bookable(opportunity)
    for each in barriers:
        text = each.text if each else "It has no Offer to book with."
        yield NotBookable(kind, opportunity.id, text, each)
    if barriers:
        return
    if full := why_full(opportunity.document, opportunity.type):
        yield NotBookable(kind, opportunity.id, full, lack=Lack.spaces)
    for offer in opportunity.offers:
        for each in offer.barriers:
            yield NotBookable(kind, opportunity.id, each.text, each, offer.id)
    for unusable in opportunity.unusable_offers:
        why = unusable.barrier
        yield NotBookable(kind, opportunity.id, why.text, why, unusable.id or "without an @id")


def not_bookable(
    children: Documents, own: Iterable[tuple[str, NotBookable]], sellers: Mapping[str, Seller]
) -> Iterator[NotBookable]:
    """What of the children cannot be booked: that of Sellers who sell nothing, and the `own` reasons of the others.

    `own` are the reasons of Opportunities, each with the id of its Seller.
    """
    closed = {seller_id: seller for seller_id, seller in sellers.items() if seller.why_no_bookings}
    for seller_id, seller in closed.items():
        forbidden = _why_forbidden(seller)
        text = forbidden.text if forbidden else str(seller.why_no_bookings)
        for each in children.summaries("seller = ? AND is_off = 0", seller_id):
            yield NotBookable(each.kind, each.id, text, forbidden, lack=Lack.seller_details)
    for seller_id, reason in own:
        if seller_id not in closed and seller_id in sellers:
            yield reason


def _why_forbidden(seller: Seller) -> Barrier | None:
    if seller.open_booking_allowed:
        return None
    stated = seller.document.get("isOpenBookingAllowed")
    return barrier(Reason.seller_forbids) if stated is False else barrier(Reason.seller_unclear, stated)
