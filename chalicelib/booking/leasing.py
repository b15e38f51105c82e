"""Whether a quote gets a lease, and until when; and whether a partner may propose: the limits of decision 21."""

from datetime import datetime, timedelta

from chalicelib.booking.decisions import Moment, Snapshot
from chalicelib.booking.holding import lease_end
from chalicelib.domain.capacity import LeaseKind
from chalicelib.domain.errors import TooManyRequestsError
from chalicelib.domain.lifecycle import OrderState
from chalicelib.domain.orders import Order, order_state
from chalicelib.domain.partner_limits import Held, LimitName, Usage, held_by
from chalicelib.values import replace

# A Seller may take any time to answer: an earlier retry rarely succeeds.
_RETRY_SECONDS = 60

# A renewed lease may end this much earlier than a new one would; of shorter leases a fifth.
_SAME_END = timedelta(minutes=2)


def with_lease(
    order: Order, snapshot: Snapshot, moment: Moment, *, with_customer: bool
) -> tuple[Order, tuple[Usage, ...]]:
    """The quote with a lease of all its items, or without one if a limit of its partner is exceeded (LEASE-01).

    Also the limits that the partner is near to, or has exceeded.
    """
    now, policy = moment.now, moment.policy
    before = snapshot.order if isinstance(snapshot.order, Order) else None
    since = (before.leased_since if before else None) or now
    last_end = lease_end(since, max(policy.lease_longest, policy.lease_for))
    if last_end <= now:
        seconds = int((now - since).total_seconds())
        longest = int((last_end - since).total_seconds())
        return replace(order, leased_since=since), (Usage(LimitName.lease_longest, seconds, longest - 1),)
    leased = replace(
        order,
        lease_expires_at=_end(before, min(lease_end(now, policy.lease_for), last_end), moment),
        lease_kind=LeaseKind.named if with_customer or _is_named(before, now) else LeaseKind.anonymous,
        leased_since=since,
    )
    usage = tuple(each for each in _usage(leased, snapshot, moment) if each.is_near)
    return (order if any(each.is_exceeded for each in usage) else leased), usage


def _end(before: Order | None, end: datetime, moment: Moment) -> datetime:
    """When the renewed lease ends: with the one before, if that ends shortly before `end`.

    Most Customers reach C2 soon after C1. A lease that ends with the one before writes no index and no counter again.
    """
    earlier = before.lease_expires_at if before is not None else None
    if before is None or earlier is None or order_state(before, moment.now) is not OrderState.quote:
        return end
    return earlier if end - min(_SAME_END, moment.policy.lease_for / 5) <= earlier <= end else end


def check_proposals(order: Order, snapshot: Snapshot, moment: Moment) -> tuple[Usage, ...]:
    """The limits to which one more proposal brings its partner near. Raises TooManyRequestsError."""
    limits = moment.policy.limits
    held = _others(snapshot, moment.now)
    own = held_by(order, moment.now)
    number = Usage(LimitName.partner_proposals, held.proposals + own.proposals, limits.partner_proposals)
    spaces = Usage(LimitName.partner_spaces, held.spaces + own.spaces, limits.partner_spaces)
    if number.is_exceeded:
        text = f"At most {number.most:,} proposals of a booking partner may wait for an answer."
        raise TooManyRequestsError(text, retry_after=_RETRY_SECONDS, usage=number)
    if spaces.is_exceeded:
        text = f"A booking partner may hold at most {spaces.most:,} spaces that are not booked."
        raise TooManyRequestsError(text, retry_after=_RETRY_SECONDS, usage=spaces)
    return tuple(each for each in (number, spaces) if each.is_near)


def _is_named(before: Order | None, now: datetime) -> bool:
    """Whether the quote already has a lease from C2: another C1 does not make it anonymous."""
    is_leased = before is not None and order_state(before, now) is OrderState.quote
    return is_leased and before is not None and before.lease_kind is LeaseKind.named


def _usage(order: Order, snapshot: Snapshot, moment: Moment) -> list[Usage]:
    """What the partner would use of each limit with this lease."""
    limits, partner_id = moment.policy.limits, order.key.partner_id
    usage = []
    for opportunity_id, hold in order.holds().items():
        known = snapshot.stored(opportunity_id)
        if known is None:
            continue  # a sub-event: the commit checks it
        share = known.capacity.share_of(partner_id) + hold.share
        if known.hold is not None:
            share = share - known.hold.share
        usage.append(Usage(LimitName.lease_spaces, share.spaces, limits.lease_spaces))
        if hold.lease_kind is LeaseKind.anonymous:
            most = limits.anonymous_lease_spaces
            usage.append(Usage(LimitName.anonymous_lease_spaces, share.anonymous, most))
    held, own = _others(snapshot, moment.now), held_by(order, moment.now)
    usage.append(Usage(LimitName.partner_leases, held.leases + own.leases, limits.partner_leases))
    usage.append(Usage(LimitName.partner_spaces, held.spaces + own.spaces, limits.partner_spaces))
    return usage


def _others(snapshot: Snapshot, now: datetime) -> Held:
    """What the partner holds by its other Orders."""
    return snapshot.counters.held(now).without(held_by(snapshot.order, now))
