"""A change of name, time or place in the published document of an Opportunity (NOTIF-04)."""

from datetime import datetime, timedelta

from chalicelib.domain.opportunities import NOT_TAKING_PLACE, EventStatus, Opportunity, without_terms
from chalicelib.domain.parties import Json
from chalicelib.values import dataclass, replace
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


_STATUS = frozenset({"eventStatus"})


def with_sub_event(whole: Opportunity, session: Opportunity) -> Opportunity:
    """A course or HeadlineEvent that states one of its sessions as that is now; itself if it does not list it."""
    if session.id not in whole.programme or session.starts_at is None or session.ends_at is None:
        return whole
    now_states = session.type.traits.times.state(session.starts_at, session.ends_at)
    if session.status in NOT_TAKING_PLACE:
        now_states["eventStatus"] = f"https://schema.org/{session.status}"
    listed = [
        {**without_terms(each, _STATUS), **now_states}
        if isinstance(each, dict) and each.get("@id") == session.id
        else each
        for each in whole.document["subEvent"]
    ]
    if listed == whole.document["subEvent"]:
        return whole
    changed = replace(whole, document={**whole.document, "subEvent": listed})
    times = whole.type.traits.times
    if not times.are_of_sub_events:
        return changed
    stated = times.read(changed.document)
    try:
        starts_at, ends_at = (datetime.fromisoformat(stated[term]) for term in ("startDate", "endDate"))
    except (KeyError, TypeError, ValueError):
        return changed
    document = changed.document | times.state(starts_at, ends_at)
    return replace(changed, document=document, starts_at=starts_at, ends_at=ends_at)


def cancelled(opportunity: Opportunity) -> Opportunity:
    """The Opportunity after its Seller has cancelled it."""
    status = EventStatus.EventCancelled
    document = {**opportunity.document, "eventStatus": f"https://schema.org/{status}"}
    return replace(opportunity, document=document, status=status)
