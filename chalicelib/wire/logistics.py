"""A change of name, time or place in the published document of an Opportunity (NOTIF-04)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.domain.opportunities import EventStatus, Opportunity
from chalicelib.domain.parties import Json
from chalicelib.wire.orders import instant


@dataclass(frozen=True)
class Logistics:
    """The new values; None means no change. `location` is a Place."""

    name: str | None = None
    starts_at: datetime | None = None
    lasts: timedelta | None = None
    location: Json | None = None


def with_logistics(opportunity: Opportunity, change: Logistics) -> Opportunity:
    """The Opportunity after the change, in its own document and its facility's.

    The name and place of a session override those of its series. A Slot has neither; it uses those of
    its facility, which is stored with it.
    """
    own: Json = {"name": change.name, "location": change.location}
    inherited = {term: value for term, value in own.items() if value is not None}
    document, parent = dict(opportunity.document), opportunity.parent
    if opportunity.type.traits.place_is_the_parents:
        parent = {**parent, **inherited} if parent else parent
    else:
        document |= inherited
    starts_at, ends_at = opportunity.starts_at, opportunity.ends_at
    if change.starts_at is not None or change.lasts is not None:
        lasts = change.lasts or (ends_at - starts_at if starts_at and ends_at else None)
        starts_at = change.starts_at or starts_at
        ends_at = starts_at + lasts if starts_at and lasts else None
        if starts_at and ends_at:
            document |= opportunity.type.traits.times.state(starts_at, ends_at)
        elif starts_at:
            document["startDate"] = instant(starts_at)
    return replace(opportunity, document=document, parent=parent, starts_at=starts_at, ends_at=ends_at)


def cancelled(opportunity: Opportunity) -> Opportunity:
    """The Opportunity after its Seller has cancelled it."""
    status = EventStatus.EventCancelled
    document = {**opportunity.document, "eventStatus": f"https://schema.org/{status}"}
    return replace(opportunity, document=document, status=status)
