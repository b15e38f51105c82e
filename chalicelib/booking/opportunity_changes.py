"""What a change of a whole Opportunity means for those who hold it: whether it concerns them, and what they get.

An Order or OrderProposal is brought in line with the Opportunity as it is now, not with each change that
there was: several changes in a row need one write, and repeating it changes nothing.
"""

from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum

from chalicelib.booking.access import with_channel
from chalicelib.booking.cancel import change_items
from chalicelib.booking.decisions import Change, Decision, Moment, OpportunitySnapshot, Snapshot, save_order
from chalicelib.booking.holding import moves
from chalicelib.booking.proposal_ends import (
    CANCELLED_NOTE,
    WITHDRAWN_NOTE,
    end_proposal,
    why_not_as_proposed,
    why_over,
)
from chalicelib.domain.errors import RequestTooLargeError
from chalicelib.domain.lifecycle import (
    CANCELLED,
    ItemEvent,
    OrderItemStatus,
    TransitionRefused,
    next_item_status,
)
from chalicelib.domain.limits import MAX_MOVES, MAX_OPPORTUNITIES_KEPT
from chalicelib.domain.opportunities import NOT_TAKING_PLACE, EventStatus, Opportunity
from chalicelib.domain.orders import Order, OrderItem, OrderKind
from chalicelib.values import dataclass, replace

# Instants in notices.
_INSTANT = "%d %B %Y, %H:%M UTC"
# So many changes of sessions fit a notice, with their dates.
_NAMED = 24


class ChangeKind(StrEnum):
    """What kind of change must be applied to the Orders that hold an Opportunity."""

    cancelled = "cancelled"  # it was cancelled; other properties may have changed too
    logistics = "logistics"  # its name, time, place, status or description has changed
    withdrawn = "withdrawn"  # its source has deleted it: Orders stay valid, OrderProposals do not
    sub_events = (
        "sub_events"  # others of its sub-events are sold singly: a place in it takes a space of these
    )


@dataclass(frozen=True)
class OpportunityChange:
    """A change that must be applied to every Order that holds the Opportunity.

    `revision` is the Opportunity's revision after the change; it distinguishes the change from a later one.
    `message` belongs to a cancellation. `cancelled_in` is the revision that was cancelled: items that were
    booked at an earlier one are cancelled, even if the Opportunity was restored meanwhile (CANCEL-12).
    `is_elsewhere`: its time or place has changed, about which people on a course get a notice.
    """

    opportunity_id: str
    kind: ChangeKind
    message: str | None = None
    revision: int = 0
    cancelled_in: int | None = None
    is_elsewhere: bool = False


def change_between(
    before: Opportunity, after: Opportunity, earlier: OpportunityChange | None = None
) -> OpportunityChange | None:
    """What has to be followed where `after` takes the place of `before`; None where no Order would show it.

    `earlier` is what not everybody has followed yet: a cancellation in it stays.
    """
    if after.status is EventStatus.EventCancelled and before.status is not EventStatus.EventCancelled:
        return cancellation_of(after)
    if before.as_ordered() != after.as_ordered():
        kind = ChangeKind.logistics
    elif set(before.sub_events) != set(after.sub_events):
        kind = ChangeKind.sub_events
    else:
        return None
    is_elsewhere = after.is_elsewhere_than(before)
    if earlier is not None:
        is_elsewhere = is_elsewhere or earlier.is_elsewhere
        if earlier.kind is ChangeKind.cancelled:
            in_revision = earlier.cancelled_in or earlier.revision
            return replace(
                earlier, revision=after.revision, cancelled_in=in_revision, is_elsewhere=is_elsewhere
            )
        if earlier.kind is ChangeKind.logistics:
            kind = ChangeKind.logistics
    return OpportunityChange(after.id, kind, revision=after.revision, is_elsewhere=is_elsewhere)


def withdrawal_of(opportunity: Opportunity, earlier: OpportunityChange | None = None) -> OpportunityChange:
    """That the Opportunity has been withdrawn. A cancellation in `earlier` stays, as in `change_between`."""
    if earlier is not None and earlier.kind is ChangeKind.cancelled:
        in_revision = earlier.cancelled_in or earlier.revision
        return replace(earlier, revision=opportunity.revision, cancelled_in=in_revision)
    return OpportunityChange(opportunity.id, ChangeKind.withdrawn, revision=opportunity.revision)


def cancellation_of(opportunity: Opportunity, message: str | None = None) -> OpportunityChange:
    """That the Opportunity has been cancelled, in the revision that it has."""
    revision = opportunity.revision
    return OpportunityChange(opportunity.id, ChangeKind.cancelled, message, revision, revision)


def follow(
    change: OpportunityChange,
    opportunity: Opportunity,
    snapshot: Snapshot,
    moment: Moment,
    *,
    is_withdrawn: bool = False,
) -> Decision[None]:
    """The one write that brings an Order or OrderProposal in line with the Opportunity; none if it is so already."""
    order = snapshot.order
    if not isinstance(order, Order) or order.kind is OrderKind.OrderQuote:
        return Decision(None)  # deleted meanwhile, or a lease, which ends by the clock
    if order.kind is OrderKind.OrderProposal:
        return _follow_as_proposal(order, change, opportunity, snapshot, moment, is_withdrawn=is_withdrawn)

    if change.kind is ChangeKind.sub_events:
        return _with_other_sub_events(order, opportunity, snapshot)

    def followed(change: OpportunityChange, *, with_notices: bool = True) -> Decision[None]:
        items = tuple(
            _followed(item, change, opportunity, order, snapshot, with_notices=with_notices)
            for item in order.items
        )
        return Decision(None, change_items(order, items, snapshot))

    try:
        return followed(change)
    except RequestTooLargeError:
        # The Order has as many different messages as its row holds: the cancellation matters more than its text.
        with suppress(RequestTooLargeError):
            return followed(replace(change, message=None))
        return followed(replace(change, message=None), with_notices=False)


def _follow_as_proposal(
    order: Order,
    change: OpportunityChange,
    opportunity: Opportunity,
    snapshot: Snapshot,
    moment: Moment,
    *,
    is_withdrawn: bool,
) -> Decision[None]:
    """Where it cannot be honoured as it was proposed, it is rejected whole, and its spaces are released (P-17, A-03)."""
    if order.open_proposal is None:
        return Decision(None)
    if order.proposal_has_ended(moment.now):
        return Decision(None, end_proposal(order, why_over(order, moment.now)))
    if any(_is_cancelled_for(item, change, opportunity) for item in order.items):
        return Decision(None, end_proposal(order, change.message or CANCELLED_NOTE))
    reason = WITHDRAWN_NOTE if is_withdrawn else why_not_as_proposed(order.items, opportunity)
    # A proposal of a course does not end with one of its sessions: the Seller, who answers it, has changed that.
    if reason and opportunity.id in order.holds() and opportunity.id in order.sold():
        return Decision(None, end_proposal(order, reason))
    if change.kind is ChangeKind.sub_events:
        return _with_other_sub_events(order, opportunity, snapshot)
    items = tuple(
        _shown_as(item, opportunity, order, snapshot) if _is_behind(item, opportunity) else item
        for item in order.items
    )
    if items == order.items:
        return Decision(None)
    return Decision(None, _saved(order, replace(order, items=items, published=True), snapshot))


def _with_other_sub_events(order: Order, opportunity: Opportunity, snapshot: Snapshot) -> Decision[None]:
    """The Order with spaces of the sub-events that are sold singly now; the Customer sees no difference."""
    items = tuple(
        replace(
            item,
            opportunity=replace(
                item.opportunity, sub_events=_sub_events_of(item, opportunity, order, snapshot)
            ),
        )
        if item.opportunity is not None and item.opportunity.id == opportunity.id and item.holds_a_space
        else item
        for item in order.items
    )
    if items == order.items:
        return Decision(None)
    return Decision(None, _saved(order, replace(order, items=items), snapshot))


def _saved(before: Order, after: Order, snapshot: Snapshot) -> tuple[Change, ...]:
    return (save_order(after, before), *moves(before.key, before.holds(), after.holds(), snapshot))


def _sub_events_of(
    item: OrderItem, opportunity: Opportunity, order: Order, snapshot: Snapshot
) -> tuple[str, ...]:
    """The sub-events of which the item takes a space from now on.

    A place was sold before a new one was offered singly. Where that has no space for it, it is not counted there:
    what was booked stays booked. An OrderProposal that takes no spaces gets all of them: B checks these (B-18).
    """
    assert item.opportunity is not None
    before = item.opportunity.sub_events
    kept = set(before).intersection(opportunity.sub_events)
    counted = {opportunity.id, *kept}
    counted.update(
        each for other in order.items if not _is_place_in(other, opportunity) for each in other.takes
    )
    moved = len(before) - len(kept)
    takes_spaces = order.open_proposal is None or order.open_proposal.holds_spaces
    taken = []
    for sub_event in opportunity.sub_events:
        if sub_event not in kept:
            known = snapshot.stored(sub_event)
            if known is None and sub_event in snapshot.absent:
                continue
            if takes_spaces and known is not None and _is_short(known, sub_event, opportunity, order):
                continue
            if len(counted | {sub_event}) > MAX_OPPORTUNITIES_KEPT or moved >= MAX_MOVES:
                continue
            counted.add(sub_event)
            moved += 1
        taken.append(sub_event)
    return tuple(taken)


def _is_place_in(item: OrderItem, opportunity: Opportunity) -> bool:
    return item.holds_a_space and opportunity.id in item.takes[:1]


def _is_short(known: OpportunitySnapshot, sub_event: str, opportunity: Opportunity, order: Order) -> bool:
    """Whether the sub-event has too few spaces for the places in the whole and what else the Order takes of it."""
    wanted = sum(
        _is_place_in(item, opportunity) or (item.holds_a_space and sub_event in item.takes)
        for item in order.items
    )
    return known.capacity.spaces_free_to(known.hold) < wanted


def _followed(
    item: OrderItem,
    change: OpportunityChange,
    opportunity: Opportunity,
    order: Order,
    snapshot: Snapshot,
    *,
    with_notices: bool,
) -> OrderItem:
    if item.status in CANCELLED:
        return item  # a cancelled item stays cancelled, and gets no other change (CANCEL-12)
    if opportunity.id in item.takes[1:]:
        notice = _notice(change, opportunity) if with_notices else None
        return (
            replace(item, customer_notice=notice) if notice and not _is_informed(item, opportunity) else item
        )
    if _is_cancelled_for(item, change, opportunity):
        assert item.status is not None
        try:
            status = next_item_status(item.status, ItemEvent.seller_cancels)
        except TransitionRefused:
            return item  # what was attended has taken place
        item = replace(item, status=status, cancellation_message=change.message)
        # Restored meanwhile, it is on again for others; this Customer is not shown a session to come to.
        if opportunity.status is not EventStatus.EventCancelled:
            return item
    if not _is_behind(item, opportunity):
        return item
    assert item.opportunity is not None
    notice = programme_notice(item.opportunity, opportunity) if with_notices else None
    shown = _shown_as(item, opportunity, order, snapshot)
    return replace(shown, customer_notice=notice) if notice else shown


def programme_notice(before: Opportunity, after: Opportunity) -> str | None:
    """The notice for people on a course whose sessions have other times, or are others (NOTIF-01); None if none are."""
    was, is_now = ({each: _times(*times) for each, times in of.programme.items()} for of in (before, after))
    if not was or not is_now or was == is_now:
        return None
    changes = [_changed(times, is_now.get(each)) for each, times in was.items() if is_now.get(each) != times]
    changes += [f"{times[0]} is new" for each, times in is_now.items() if each not in was]
    more = [f"and {len(changes) - _NAMED} more"] if len(changes) > _NAMED else []
    name = after.name[:100] or "this course"
    return f"The sessions of {name} have changed: {'; '.join([*changes[:_NAMED], *more])}."


def _changed(before: tuple[str, str], after: tuple[str, str] | None) -> str:
    if after is None:
        return f"{before[0]} is left out"
    if after[0] == before[0]:
        return f"{before[0]} ends {after[1]}"
    return f"{before[0]} is now {after[0]}"


def _times(starts_at: str, ends_at: str) -> tuple[str, str]:
    return _at(starts_at), _at(ends_at)


def _is_informed(item: OrderItem, session: Opportunity) -> bool:
    """Whether the notice of a course, which is about all of its sessions, says when this one takes place now."""
    return (
        session.status not in NOT_TAKING_PLACE
        and session.starts_at is not None
        and item.opportunity is not None
        and item.opportunity.is_at_place_of(session)
        and f"{session.starts_at:{_INSTANT}}" in (item.customer_notice or "")
    )


def _at(stated: str) -> str:
    """An instant or day as the document of a course states it, for people."""
    try:
        found = datetime.fromisoformat(stated)
    except ValueError:
        return stated[:40]
    return f"{found.astimezone(UTC):{_INSTANT}}" if found.tzinfo else f"{found:%d %B %Y}"


def _notice(change: OpportunityChange, opportunity: Opportunity) -> str | None:
    """The notice for people on a course about a change of one of its sessions (NOTIF-01)."""
    name = opportunity.name or "A session"
    at = f"{opportunity.starts_at:{_INSTANT}}" if opportunity.starts_at else "a time to be announced"
    if opportunity.status is EventStatus.EventCancelled:
        return f"{name} ({at}) is cancelled." + (f" {change.message}" if change.message else "")
    if change.is_elsewhere:
        return f"{name} has a new time or place: {at}."
    return None


def _is_cancelled_for(item: OrderItem, change: OpportunityChange, opportunity: Opportunity) -> bool:
    if item.opportunity is None or item.opportunity.id != opportunity.id:
        return False
    if opportunity.status is EventStatus.EventCancelled:
        return True
    if change.kind is not ChangeKind.cancelled:
        return False
    return item.opportunity.revision < (change.cancelled_in or change.revision or opportunity.revision)


def _is_behind(item: OrderItem, opportunity: Opportunity) -> bool:
    """Whether the item shows an earlier state of the Opportunity, and one that looks different."""
    return (
        item.opportunity is not None
        and item.opportunity.id == opportunity.id
        and item.opportunity.revision < opportunity.revision
        and item.opportunity.as_ordered() != opportunity.as_ordered()
    )


def _shown_as(item: OrderItem, opportunity: Opportunity, order: Order, snapshot: Snapshot) -> OrderItem:
    """The item on the Opportunity as it is now; at the Offer that it was booked with (B-13).

    A channel that the Seller gave one Order alone stays, unless that of the Opportunity has changed.
    """
    channel, known = opportunity.access_channel, item.opportunity.access_channel if item.opportunity else None
    sub_events = _sub_events_of(item, opportunity, order, snapshot)
    shown = replace(opportunity, offers=(), unusable_offers=(), sub_events=sub_events)
    item = replace(item, opportunity=shown)
    is_booked = item.status is not OrderItemStatus.OrderItemProposed  # else it has no access yet (ACCESS-07)
    return with_channel(item, channel) if is_booked and channel != known else item
