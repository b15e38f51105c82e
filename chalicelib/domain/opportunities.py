"""An Opportunity: what can be booked, by which Offers, and until when."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

from chalicelib.domain.bookability import Barrier, Reason, UnusableOffer
from chalicelib.domain.limits import MAX_OPPORTUNITIES
from chalicelib.domain.offers import Offer
from chalicelib.domain.opportunity_types import SPACES_TERMS, OpportunityType
from chalicelib.domain.parties import Json
from chalicelib.values import dataclass, field, replace


class EventStatus(StrEnum):
    """The state the Seller published (`eventStatus`)."""

    EventScheduled = "EventScheduled"
    EventRescheduled = "EventRescheduled"
    EventCancelled = "EventCancelled"
    EventPostponed = "EventPostponed"


NOT_TAKING_PLACE = frozenset({EventStatus.EventCancelled, EventStatus.EventPostponed})

# What an Opportunity and its parents say in open data, and not as part of an Order (requirements 3.3).
NOT_IN_ORDERS = frozenset(
    {"@context", "offers", "subEvent", "event", "organizer", "provider", "individualFacilityUse"}
)

# The terms in which a parent contains what it inherits from itself, and how many levels there may be.
_PARENT_TERMS = ("aggregateFacilityUse", "superEvent", "instanceOfCourse")
_MAX_LEVELS = 8


@dataclass(frozen=True)
class Opportunity:
    """An Opportunity as it can be booked.

    `document` is what the open feed publishes. `parent` is the document it inherits from, stored with it
    so that one read is enough. `revision` counts the Seller's changes. `is_online` and `is_physical` say
    how attendees take part; both are true if they may choose. `access_channel` is the online location,
    for those who have booked. `attendee_details_required` are property IRIs (DETAILS-03), `intake_form`
    the fields of `orderItemIntakeForm` (DETAILS-06). These three are not part of the open feed.
    `barriers`: why it cannot be booked with any Offer, as it is published; `unusable_offers`: those Offers of
    it that lack what an Offer needs. `is_embedded`: its source publishes it inside its parent.
    `sub_events`: the ids of its sub-events that are also sold singly. A place in it is a place in each of them.
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
    barriers: tuple[Barrier, ...] = ()
    unusable_offers: tuple[UnusableOffer, ...] = ()
    is_embedded: bool = False
    sub_events: tuple[str, ...] = ()

    @property
    def takes(self) -> tuple[str, ...]:
        """The ids of all Opportunities of which a booking of it takes a space, its own first."""
        return (self.id, *self.sub_events)

    @property
    def asks_details(self) -> bool:
        """Whether its Seller asks for details of attendees, or questions (DETAILS)."""
        return bool(self.attendee_details_required or self.intake_form)

    @property
    def too_many_sub_events(self) -> Barrier | None:
        """The barrier of one that takes spaces of more Opportunities than one Order does, or None (decision 26)."""
        number = len(self.sub_events)
        return Barrier(Reason.sub_events, str(number)) if len(self.takes) > MAX_OPPORTUNITIES else None

    @property
    def name(self) -> str:
        """What people call it: its own name or else its parent's, empty where nothing has one."""
        names = (source.get("name") for source in _sources(self))
        return next((name for name in names if isinstance(name, str) and name), "")

    def stated(self, term: str) -> Any:
        """The value of a property: its own, or else its parent's; None where nothing states it."""
        return next((source[term] for source in _sources(self) if source.get(term)), None)

    def offer(self, offer_id: str) -> Offer | None:
        return next((offer for offer in self.offers if offer.id == offer_id), None)

    @property
    def programme(self) -> dict[str, tuple[str, str]]:
        """The start and end of each of its sub-events that its document states with an `@id`, as it states them."""
        listed = self.document.get("subEvent")
        return {
            str(each["@id"]): (str(each["startDate"]), str(each.get("endDate")))
            for each in (listed if isinstance(listed, list) else [])
            if isinstance(each, dict) and "@id" in each and "startDate" in each
        }

    def why_unusable(self, offer_id: str) -> str | None:
        """Why nothing can be booked with a published Offer that is not among its Offers."""
        return next((each.barrier.text for each in self.unusable_offers if each.id == offer_id), None)

    def why_not_bookable(self, offer: Offer, now: datetime, *, at_desk: bool = False) -> str | None:
        """Why the pair of this Opportunity and `offer` cannot be booked, or None (BOOKABLE-01 to 08).

        Capacity is checked separately (BOOKABLE-09). `at_desk` as in `Offer.why_not_for_sale`.
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
        if self.barriers:
            return self.barriers[0].text
        if self.too_many_sub_events is not None:  # however they were set
            return self.too_many_sub_events.text
        return offer.why_not_for_sale(self.starts_at, now, at_desk=at_desk)

    def as_ordered(self) -> "Opportunity":
        """What an Order shows of it, or its Customer is informed of. Two of them are equal where that would be the same."""
        document = {
            term: value
            for term, value in without_terms(self.document, NOT_IN_ORDERS).items()
            if term not in SPACES_TERMS
        }
        if programme := self.programme:
            document["subEvent"] = programme
        return replace(
            self,
            offers=(),
            document=document,
            revision=0,
            barriers=(),
            unusable_offers=(),
            is_embedded=False,
            sub_events=(),
        )

    def is_elsewhere_than(self, other: "Opportunity") -> bool:
        """Whether it takes place at another time or place; that a place is described in other words is neither."""
        return (self.starts_at, self.ends_at, self.is_online, self.is_physical, _place(self)) != (
            other.starts_at,
            other.ends_at,
            other.is_online,
            other.is_physical,
            _place(other),
        )

    def is_at_place_of(self, other: "Opportunity") -> bool:
        return _place(self) == _place(other)


def without_terms(document: Any, terms: frozenset[str]) -> Any:
    """A copy of a JSON value without these terms, at any depth."""
    if isinstance(document, dict):
        return {term: without_terms(value, terms) for term, value in document.items() if term not in terms}
    if isinstance(document, list):
        return [without_terms(value, terms) for value in document]
    return document


def _place(opportunity: Opportunity) -> tuple[Any, ...]:
    """Where it is held, as far as it makes a difference to those who come: its own place, or else its parent's."""
    location = opportunity.stated("location")
    if isinstance(location, dict):
        location = tuple(location.get(term) for term in ("name", "address", "geo"))
    return location, opportunity.stated("meetingPoint")


def _sources(opportunity: Opportunity) -> Iterator[Json]:
    """The documents that it takes its properties from, the nearest first."""
    yield opportunity.document
    following: Any = opportunity.parent
    for _ in range(_MAX_LEVELS):
        if not isinstance(following, dict):
            return
        yield following
        following = next((following[term] for term in _PARENT_TERMS if term in following), None)
