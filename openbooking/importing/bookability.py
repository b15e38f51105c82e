"""What is imported but cannot be booked as its source publishes it, with each reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from chalicelib.domain.bookability import Barrier, Reason, barrier
from chalicelib.domain.opportunities import NOT_TAKING_PLACE, Opportunity
from chalicelib.domain.parties import Seller
from chalicelib.services.inventory import Document


@dataclass(frozen=True)
class NotBookable:
    """An Opportunity or an Offer that is imported, but cannot be booked as its source publishes it.

    `offer_id` is empty if it is the whole Opportunity: no Offer of it can be booked. `barrier` is None if it has
    no Offer at all, or if details of its Seller are missing (`of_seller`).
    """

    kind: str
    id: str
    text: str
    barrier: Barrier | None = None
    offer_id: str = ""
    of_seller: bool = False


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


def not_bookable(children: Iterable[Document], sellers: Mapping[str, Seller]) -> Iterator[NotBookable]:
    """What of the children cannot be booked: each whole Opportunity, or else each Offer, with its reasons."""
    for document in children:
        opportunity = document.published.opportunity
        kind = opportunity.type.value
        if opportunity.status in NOT_TAKING_PLACE:
            continue  # its source says so, and everybody can see it
        seller = sellers[opportunity.seller_id]
        if reason := seller.why_no_bookings:
            forbidden = _why_forbidden(seller)
            text = forbidden.text if forbidden else reason
            yield NotBookable(kind, opportunity.id, text, forbidden, of_seller=True)
            continue
        barriers = why_not_bookable(opportunity)
        for each in barriers:
            text = each.text if each else "It has no Offer to book with."
            yield NotBookable(kind, opportunity.id, text, each)
        if barriers:
            continue
        for offer in opportunity.offers:
            for each in offer.barriers:
                yield NotBookable(kind, opportunity.id, each.text, each, offer.id)
        for unusable in opportunity.unusable_offers:
            why = unusable.barrier
            yield NotBookable(kind, opportunity.id, why.text, why, unusable.id or "without an @id")


def _why_forbidden(seller: Seller) -> Barrier | None:
    if seller.open_booking_allowed:
        return None
    stated = seller.document.get("isOpenBookingAllowed")
    return barrier(Reason.seller_forbids) if stated is False else barrier(Reason.seller_unclear, stated)
