"""The sub-events of a course or a HeadlineEvent that are also sold singly: a place in the whole takes one in each.

A request names the whole only, so that its sub-events are not in the first snapshot. The commit takes their spaces
on condition; where it is refused, the next snapshot contains those that were short (decision 26).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from chalicelib.booking.decisions import OpportunitySnapshot, Snapshot
from chalicelib.domain.opportunities import NOT_TAKING_PLACE, Opportunity
from chalicelib.domain.orders import OrderItem
from chalicelib.values import replace


def as_taken(
    opportunity: Opportunity, snapshot: Snapshot, wanted: Mapping[str, int], now: datetime
) -> Opportunity:
    """The Opportunity with those sub-events of which a booking now takes a space.

    One that can no longer be attended, as it is over, cancelled or withdrawn, does not prevent a booking of the
    whole: it is left out if it has too few spaces. One that is only closed for booking takes place: it counts as
    any other. `wanted` are the spaces that the request takes.
    """

    def is_taken(sub_event: str) -> bool:
        known = snapshot.stored(sub_event)
        if known is None or not _takes_no_place(sub_event, known, snapshot, now):
            return True
        return known.capacity.spaces_free_to(known.hold) >= wanted.get(sub_event, 0)

    return replace(opportunity, sub_events=tuple(filter(is_taken, opportunity.sub_events)))


def why_sub_events_prevent(opportunity: Opportunity, snapshot: Snapshot) -> str | None:
    """Why the whole cannot be booked because of one of its sub-events, apart from their spaces; or None."""
    for sub_event in opportunity.sub_events:
        if sub_event in snapshot.absent and sub_event not in snapshot.withdrawn:
            return f"One of its sessions is not available yet: {sub_event}."
    return None


def unread_sub_events(items: Iterable[OrderItem], snapshot: Snapshot) -> tuple[str, ...]:
    """The sub-events of which the items take a space, and that the snapshot does not contain."""
    taken = dict.fromkeys(each for item in items for each in item.takes)
    return tuple(each for each in taken if snapshot.stored(each) is None and each not in snapshot.absent)


def _takes_no_place(sub_event: str, known: OpportunitySnapshot, snapshot: Snapshot, now: datetime) -> bool:
    ends_at = known.opportunity.ends_at or known.opportunity.starts_at
    is_over = ends_at is not None and ends_at <= now
    return is_over or known.opportunity.status in NOT_TAKING_PLACE or sub_event in snapshot.withdrawn
