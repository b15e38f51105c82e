"""What an operator can do about an item that is left out or cannot be booked: at the source, or with an option.

Every reason has its advice, which docs/importing.md explains.
"""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.domain.bookability import Reason
from chalicelib.importing.bookability import Lack, NotBookable
from chalicelib.wire.unreadable import Cause

_NO_OFFER = "Publish `offers` with a `price` for it or its series or facility, or set [[opportunity.offers]] in --defaults."
SELLER_GAPS = 'Publish them with the organizer, or set them in [seller] or [sellers."ID"] of --defaults.'
_SELLER_DETAILS = (
    "Publish `name` and `address` (PostalAddress) with the organizer, or set them in [seller] or"
    ' [sellers."ID"] of --defaults.'
)

FOR_LACK: Mapping[Lack, str] = {
    Lack.offer: _NO_OFFER,
    Lack.seller_details: _SELLER_DETAILS,
    Lack.spaces: (
        'Publish the spaces left as a number from 0 to the capacity. With counter = "ours" do so before the first'
        " import: later numbers do not count."
    ),
}

FOR_REASON: Mapping[Reason, str] = {
    Reason.seller_forbids: (
        "The source, or the file of --defaults, forbids it. If that is wrong, state `isOpenBookingAllowed`: true with the"
        " organizer, or in the file."
    ),
    Reason.seller_silent: (
        "Publish `isOpenBookingAllowed`: true with the organizer, or set isOpenBookingAllowed = true in [seller] of"
        " --defaults."
    ),
    Reason.seller_unclear: "Publish `isOpenBookingAllowed` as true or false, without quotes.",
    Reason.status_unknown: (
        "Publish one of EventScheduled, EventRescheduled, EventPostponed, EventCancelled as `eventStatus`, or nothing."
    ),
    Reason.availability_unknown: "Publish an `availability` of schema.org such as InStock or SoldOut, or nothing.",
    Reason.not_available: "The source states that it is sold out or not sold online. Change it there if that is wrong.",
    Reason.sub_events: (
        "Divide it into shorter courses, or publish no `offers` with those of its sub-events that are not sold singly."
    ),
    Reason.not_an_offer: "Only an `Offer` has an exact price. Publish an `Offer` with the `@type` Offer beside it.",
    Reason.no_id: "Publish an `@id` that is a URL of up to 1000 bytes, or none: then one is made.",
    Reason.price: "Publish a `price` from 0 to 1,000,000, and the `priceCurrency` as a code of ISO 4217 such as GBP.",
    Reason.channel: "Publish OpenBookingPrepayment in `availableChannel`, or no `availableChannel`.",
    Reason.channel_unknown: "Publish the channels of the specification in `availableChannel`, or none.",
    Reason.not_in_advance: "The source does not sell it in advance (`openBookingInAdvance` is Unavailable).",
    Reason.in_advance_unknown: "Publish Required, Optional or Unavailable as `openBookingInAdvance`, or nothing.",
    Reason.prepayment_unknown: "Publish Required, Optional or Unavailable as `openBookingPrepayment`, or nothing.",
    Reason.requirement_unknown: (
        "Remove it from `openBookingFlowRequirement` if it is not needed to book; otherwise it cannot be sold here."
    ),
    Reason.form_missing: "Define the form in [[intake_form]] of --defaults.",
    Reason.details_missing: 'Name the details, for example attendee_details = ["givenName"], in --defaults.',
    Reason.window_unreadable: (
        "Publish durations such as P14D, and dates with time and zone; or set time_zone in --defaults for dates"
        " without a zone."
    ),
    Reason.cancellation_unreadable: (
        "Publish true or false as `allowCustomerCancellationFullRefund`, and a duration such as P1D as"
        " `latestCancellationBeforeStartDate`."
    ),
    Reason.restricted: "It is for members only. Publish an Offer for everybody beside it.",
    Reason.shape: "Publish `offers` as a list of objects with the `@type` Offer.",
}

FOR_CAUSE: Mapping[Cause, str] = {
    Cause.kind: "Publish each item in the feed of its type, with its `@type`.",
    Cause.id: "Publish an `@id` for it: a URL of up to 1000 bytes that no other item has, and that never changes.",
    Cause.parent: "Publish what it belongs to in its feed first, and keep it there as long as this.",
    Cause.seller: (
        "Publish one `organizer` or `provider` with it, its series or its facility; or, where all items that name none"
        " are of one Seller, set its id and name and for_items_without_seller = true in [seller] of --defaults."
    ),
    Cause.seller_id: (
        "Publish an `@id`, a URL, with the organizer; for one Seller without one, set id and name in [seller] of"
        " --defaults."
    ),
    Cause.tax_mode: (
        "Publish TaxGross or TaxNet as `taxMode` of the organizer, the same with all its items, or set taxMode in"
        " [seller] of --defaults."
    ),
    Cause.time: (
        "Publish dates with time and zone, such as 2026-06-01T10:00:00Z, or set time_zone in --defaults for dates"
        " without a zone; and durations such as PT1H."
    ),
    Cause.spaces: (
        "Publish the spaces left (`remainingAttendeeCapacity`, `remainingUses`) as a whole number, or set spaces in"
        ' [opportunity] of --defaults: a number, "maximum" or "unlimited".'
    ),
    Cause.size: "Shorten its texts; images belong in files that it links to.",
    Cause.shape: "Compare it with the examples of Modelling Opportunity Data, for example with the OpenActive validator.",
    Cause.schedule: "Publish each session as a ScheduledSession with an `@id`, in its own feed or in `subEvent`.",
    Cause.source: (
        "If this site has a new URL, import it with --source and its earlier name. A Seller that both sites may sell"
        ' for needs shared = true in [sellers."ID"] of --defaults.'
    ),
    Cause.other: "See the reason.",
}


def advice_for(each: NotBookable) -> str:
    """What to do about something that cannot be booked."""
    if each.barrier is not None:
        return FOR_REASON[each.barrier.reason]
    return FOR_LACK[each.lack]
