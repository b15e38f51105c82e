"""An Opportunity: what can be booked, by which Offers, and until when."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.offers import Offer
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json


class EventStatus(StrEnum):
    """The state the Seller published (`eventStatus`)."""

    EventScheduled = "EventScheduled"
    EventRescheduled = "EventRescheduled"
    EventCancelled = "EventCancelled"
    EventPostponed = "EventPostponed"


NOT_TAKING_PLACE = frozenset({EventStatus.EventCancelled, EventStatus.EventPostponed})


@dataclass(frozen=True)
class Opportunity:
    """An Opportunity as it can be booked.

    `document` is what the open feed publishes, `parent` what it inherits from, kept beside it so that one read suffices. `revision` counts the Seller's changes.
    `is_online` and `is_physical` say how one takes part; both where one may choose. `access_channel`
    is where it is held online, for those who have booked. `attendee_details_required` are property IRIs (DETAILS-03), `intake_form` the fields of
    `orderItemIntakeForm` (DETAILS-06); none of the three is part of the open feed.
    """

    id: str
    type: OpportunityType
    seller_id: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    status: EventStatus = EventStatus.EventScheduled
    is_online: bool = False
    is_physical: bool = True
    offers: tuple[Offer, ...] = ()
    attendee_details_required: tuple[str, ...] = ()
    intake_form: tuple[Json, ...] = ()
    access_channel: Json | None = None
    document: Json = field(default_factory=dict)
    parent: Json | None = None
    revision: int = 1

    def offer(self, offer_id: str) -> Offer | None:
        return next((offer for offer in self.offers if offer.id == offer_id), None)

    def why_not_bookable(self, offer: Offer, now: datetime) -> str | None:
        """Why the pair of this Opportunity and `offer` cannot be booked, or None (BOOKABLE-01 to 08).

        Capacity is judged apart (BOOKABLE-09).
        """
        if not self.type.is_bookable:
            return f"A {self.type} cannot be booked itself."
        if self.status is EventStatus.EventCancelled:
            return "This activity has been cancelled."
        if self.status is EventStatus.EventPostponed:
            return "This activity has been postponed."
        ends_at = self.ends_at or self.starts_at
        if ends_at is not None and ends_at <= now:
            return "This activity is over."
        return offer.why_not_for_sale(self.starts_at, now)
