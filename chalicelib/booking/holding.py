"""The moves from the spaces that an Order holds now to those that it should hold."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from chalicelib.booking.decisions import MoveHold, Snapshot
from chalicelib.domain.capacity import Hold, HoldState, LeaseKind
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.partner_limits import PartnerLimits
from chalicelib.values import replace


def holds_before(snapshot: Snapshot, now: datetime) -> dict[str, Hold]:
    """What the Order of this snapshot holds at `now`.

    For Opportunities in the snapshot the holds themselves were read; for others they follow from the
    Order. A quote whose lease has ended holds nothing: the next reader releases its spaces.
    """
    order = snapshot.order
    holds = order.holds() if isinstance(order, Order) and not order.has_lapsed(now) else {}
    read = {**snapshot.withdrawn, **snapshot.opportunities}
    holds = {key: hold for key, hold in holds.items() if key not in read}
    holds |= {key: known.hold for key, known in read.items() if known.hold}
    return holds


def moves(
    order: OrderKey,
    before: Mapping[str, Hold],
    after: Mapping[str, Hold],
    snapshot: Snapshot | None = None,
    sold: Collection[str] = (),
) -> tuple[MoveHold, ...]:
    """One move for each Opportunity whose hold changes.

    Spaces of an Opportunity that is `sold` itself are only taken, or changed to another state, at the revision in
    the `snapshot`. They are released at any revision, even if the session cannot be booked any more; and so are
    spaces taken of sub-events, of which a place in the whole shows nothing.
    """
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return tuple(
        _move(key, order, before.get(key), after.get(key), snapshot, is_sold=key in sold) for key in changed
    )


def _move(
    key: str,
    order: OrderKey,
    before: Hold | None,
    after: Hold | None,
    snapshot: Snapshot | None,
    *,
    is_sold: bool,
) -> MoveHold:
    known = snapshot.stored(key) if snapshot is not None else None
    if after is None or known is None:
        return MoveHold(key, order, before, after)
    others_end_at = known.capacity.next_expiry_at
    ends_first = (
        after.expires_at is not None and others_end_at is not None and after.expires_at < others_end_at
    )
    releases = before is not None and before.state is after.state and before.spaces >= after.spaces
    revision = known.opportunity.revision if is_sold and not releases else None
    return MoveHold(key, order, before, after, revision, ends_before_others=ends_first)


def lease_end(now: datetime, lease_for: timedelta) -> datetime:
    """When a lease that starts now ends, rounded up to a whole second.

    Whole seconds keep leases that are made at nearly the same moment from ending out of order.
    """
    end = now + lease_for
    return end.replace(microsecond=0) + timedelta(seconds=1 if end.microsecond else 0)


def release_as_lease(
    order: Order, snapshot: Snapshot, expires_at: datetime, limits: PartnerLimits
) -> tuple[MoveHold, ...]:
    """Turn the holds of the Order into a lease that cannot be renewed.

    The Broker may still be showing the rejected proposal to the Customer, and the official suite expects
    the spaces to be held for a while after a rejection. Spaces of an Opportunity that was withdrawn, which
    is not in the snapshot, are released immediately: they cannot be booked. So are those that would exceed
    what the partner may lease of an Opportunity.
    """

    def released(key: str, hold: Hold) -> MoveHold:
        known = snapshot.opportunities.get(key)
        if known is not None:
            lease = Hold(hold.spaces, HoldState.leased, expires_at, LeaseKind.named)
            move = replace(_move(key, order.key, hold, lease, snapshot, is_sold=False), limits=limits)
            if move.is_within_limits(known.capacity.share_of(order.key.partner_id)):
                return move
        return MoveHold(key, order.key, hold, None)

    return tuple(released(key, hold) for key, hold in order.holds().items())
