"""Why an Opportunity or an Offer can never be booked as its source publishes it, whatever the time.

What a source does not state, or states in words that are not known, is a barrier: it is never taken as permission.
"""

from enum import StrEnum

from chalicelib.domain.limits import MAX_OPPORTUNITIES
from chalicelib.values import dataclass


class Reason(StrEnum):
    """What prevents a booking. The value of each member is stored with the Opportunity."""

    # of the Seller
    seller_forbids = "seller_forbids"  # `isOpenBookingAllowed` is false
    seller_silent = "seller_silent"  # nothing states that the Seller takes bookings (BOOKABLE-03, T5)
    seller_unclear = "seller_unclear"  # `isOpenBookingAllowed` is neither true nor false
    # of the Opportunity
    status_unknown = "status_unknown"  # `eventStatus`
    availability_unknown = "availability_unknown"  # `beta:availability`, or `availability` of an Offer
    not_available = "not_available"  # the same: sold out, or not sold online
    sub_events = "sub_events"  # more sub-events are also sold singly than one Order can take spaces of
    # of the Offer
    not_an_offer = "not_an_offer"  # a `beta:IndicativeOffer`, or of no type
    no_id = "no_id"  # its `@id` is not a URL, or too long
    price = "price"  # no price, or none that can be charged
    channel = "channel"  # `availableChannel` without OpenBookingPrepayment (BOOKABLE-03)
    channel_unknown = "channel_unknown"
    not_in_advance = "not_in_advance"  # `openBookingInAdvance` is Unavailable (BOOKABLE-04)
    in_advance_unknown = "in_advance_unknown"
    prepayment_unknown = "prepayment_unknown"
    requirement_unknown = "requirement_unknown"  # a member of `openBookingFlowRequirement`
    form_missing = "form_missing"  # an intake form is required, and there is none
    details_missing = "details_missing"  # attendee details are required, but not which
    window_unreadable = "window_unreadable"  # when it is sold
    cancellation_unreadable = "cancellation_unreadable"  # whether and until when it is refunded
    restricted = "restricted"  # for members, or for holders of an entitlement, which is not checked here
    shape = "shape"  # a property with the wrong structure


# What a Broker reads. `{value}` is what the source states.
_TEXTS = {
    Reason.seller_forbids: "The seller does not take bookings.",
    Reason.seller_silent: "The seller does not state that it takes bookings (isOpenBookingAllowed).",
    Reason.seller_unclear: "It is not known whether the seller takes bookings: isOpenBookingAllowed is {value}.",
    Reason.status_unknown: "It is not known whether this activity takes place: its eventStatus is {value}.",
    Reason.availability_unknown: "It is not known whether places are available: availability is {value}.",
    Reason.not_available: "The seller states that no places are available: {value}.",
    Reason.sub_events: (
        f"It has {{value}} sessions that are also sold singly, and one order takes spaces of {MAX_OPPORTUNITIES} at"
        " most, its own included."
    ),
    Reason.not_an_offer: "This is not an Offer that can be booked, but of the type {value}.",
    Reason.no_id: "The offer has no @id that can be used: {value}.",
    Reason.price: "The offer has no price that can be charged: {value}.",
    Reason.channel: "This offer is not sold through the Open Booking API (availableChannel).",
    Reason.channel_unknown: "It is not known through which channel this offer is sold: {value}.",
    Reason.not_in_advance: "This offer is not sold in advance.",
    Reason.in_advance_unknown: "It is not known whether this offer is sold in advance: {value}.",
    Reason.prepayment_unknown: "It is not known whether this offer is paid in advance: {value}.",
    Reason.requirement_unknown: "This offer requires a booking flow that is not supported: {value}.",
    Reason.form_missing: "This offer requires an intake form that is not available yet.",
    Reason.details_missing: "This offer requires details of attendees that are not defined yet.",
    Reason.window_unreadable: "It is not known when this offer is sold: {value}.",
    Reason.cancellation_unreadable: "The cancellation terms of this offer are not known: {value}.",
    Reason.restricted: "This offer is only for some customers, which cannot be checked here ({value}).",
    Reason.shape: "This offer is not described as the specification requires: {value}.",
}

_MAX_VALUE = 120


@dataclass(frozen=True)
class Barrier:
    """One reason, and the value at the source that causes it (empty if the cause is that nothing is stated)."""

    reason: Reason
    value: str = ""

    @property
    def text(self) -> str:
        """One sentence for a Broker."""
        return _TEXTS[self.reason].format(value=self.value or "not stated")


@dataclass(frozen=True)
class UnusableOffer:
    """A published Offer without what an Offer needs, such as a price. It can be named, but not booked."""

    id: str
    barrier: Barrier


def barrier(reason: Reason, value: object = None) -> Barrier:
    """A barrier that quotes `value` of a published document, shortened."""
    if value is None:
        return Barrier(reason)
    text = value if isinstance(value, str) else repr(value)
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:_MAX_VALUE])
    return Barrier(reason, shown + ("..." if len(text) > _MAX_VALUE else ""))
