"""The changes of a Decision as actions on rows: what each writes, its condition, and the reason if it fails."""

from collections.abc import Sequence
from typing import Any

from chalicelib.booking.decisions import Change, MoveHold, RemoveOrder, SaveOrder
from chalicelib.domain.capacity import Share, share_key
from chalicelib.storage.dynamodb import rows, shares
from chalicelib.storage.dynamodb.calls import Raw
from chalicelib.storage.dynamodb.corrections import hold_as_read
from chalicelib.storage.dynamodb.pending import pending_row
from chalicelib.storage.dynamodb.tables import CAPACITY, Tables
from chalicelib.storage.dynamodb.transaction import Transaction
from chalicelib.storage.errors import (
    HoldChanged,
    LeaseEndsEarlier,
    LeasesLimited,
    OpportunityChanged,
    OrderChanged,
    Reason,
    TooFewSpaces,
)
from chalicelib.storage.pending import proposal_end


def add_changes(transaction: Transaction, tables: Tables, changes: Sequence[Change]) -> None:
    """Add the actions of these changes. Raises OrderTooLarge.

    Several Orders may release spaces of one Opportunity: its counters move once, by the sum.
    """
    released: dict[str, list[MoveHold]] = {}
    for change in changes:
        match change:
            case SaveOrder():
                is_version = _is_version(tables, change.replaces)
                row = rows.order_row(change.order)
                transaction.put_row(tables.orders, row, is_version, OrderChanged(change.order.key))
                _schedule(transaction, tables, change)
            case RemoveOrder():
                stored = tables.orders(str(change.key))
                transaction.delete(stored, _is_version(tables, change.replaces), OrderChanged(change.key))
            case MoveHold():
                _move_hold(transaction, tables, change)
                if change.after is None:
                    released.setdefault(change.opportunity_id, []).append(change)
                elif change.moves_counters:
                    _move_counters(transaction, tables, change)
                elif change.revision is not None:
                    _check_revision(transaction, tables, change)
    for opportunity_id, moves in released.items():
        _release(transaction, tables, opportunity_id, moves)
    shares.count(transaction, tables, changes)


def _is_version(tables: Tables, version: int | None) -> Any:
    orders = tables.orders
    return orders.order_key.does_not_exist() if version is None else orders.version == version


def _schedule(transaction: Transaction, tables: Tables, change: SaveOrder) -> None:
    """Move the entry from which the sweep takes the Order when it ends. The Order's own condition covers it."""
    if change.ended_at == change.ends_at:
        return
    if change.ended_at is not None:
        transaction.delete(pending_row(tables, proposal_end(change.order.key, change.ended_at)), None)
    if change.ends_at is not None:
        transaction.put(pending_row(tables, proposal_end(change.order.key, change.ends_at)))


def _check_revision(transaction: Transaction, tables: Tables, move: MoveHold) -> None:
    """The counters stay as they are, and so does the row, which others write all the time."""
    transaction.check(
        tables.capacity,
        move.opportunity_id,
        _is_current(tables, move),
        OpportunityChanged(move.opportunity_id),
        range_key=CAPACITY,
    )


def _is_current(tables: Tables, move: MoveHold) -> Any:
    capacity = tables.capacity
    priced = capacity.revision == move.revision
    return priced if move.may_be_closed else priced & (capacity.open_for_booking == True)  # noqa: E712


def _move_hold(transaction: Transaction, tables: Tables, move: MoveHold) -> None:
    holds, after = tables.holds, move.after
    unchanged = hold_as_read(tables, move.before)
    reason = HoldChanged(move.opportunity_id)
    if after is None:
        held = holds(move.opportunity_id, rows.hold_part(move.order))
        transaction.delete(held, unchanged, reason)
    else:
        row = rows.hold_row(move.opportunity_id, move.order, after)
        transaction.put_row(holds, row, unchanged, reason)


def _release(
    transaction: Transaction, tables: Tables, opportunity_id: str, moves: Sequence[MoveHold]
) -> None:
    capacity = tables.capacity
    actions: list[Any] = [
        capacity.spaces_left.add(-sum(move.spaces_taken for move in moves)),
        capacity.spaces_leased.add(sum(move.leased_more for move in moves)),
        capacity.version.add(1),
        *_requested(tables, sum(move.requested_more for move in moves)),
    ]
    by_partner: dict[str, Share] = {}
    for move in moves:
        key = share_key(move.order.partner_id)
        by_partner[key] = by_partner.get(key, Share()) + move.share_more
    for key, more in by_partner.items():
        actions += shares.add_share(key, more)
    counters = capacity(opportunity_id, CAPACITY)
    transaction.update(
        counters,
        actions,
        capacity.opportunity_id.exists(),
        lambda _: OpportunityChanged(opportunity_id),
    )


def _requested(tables: Tables, more: int) -> list[Any]:
    """Most rows never get this counter: only where leasing is off does P use it."""
    return [tables.capacity.spaces_requested.add(more)] if more else []


def _move_counters(transaction: Transaction, tables: Tables, move: MoveHold) -> None:
    capacity = tables.capacity
    actions: list[Any] = [
        capacity.spaces_left.add(-move.spaces_taken),
        capacity.spaces_leased.add(move.leased_more),
        *([capacity.version.add(1)] if move.is_new_version else []),
        *shares.add_share(share_key(move.order.partner_id), move.share_more),
        *_requested(tables, move.requested_more),
    ]
    condition = capacity.opportunity_id.exists()
    if move.spaces_needed > 0:
        condition &= capacity.spaces_left >= move.spaces_needed
    if move.revision is not None:
        condition &= _is_current(tables, move)
    if (within_limits := shares.within_limits(move)) is not None:
        condition &= within_limits
    if move.after is not None and move.after.expires_at is not None:
        seconds = rows.to_seconds(move.after.expires_at)
        # No lease may end before `next_expiry_at`, or its end would not be noticed. Usually the mark
        # is earlier or missing; a lease that ends earlier lowers it.
        mark = capacity.next_expiry_at
        if move.ends_before_others:
            actions.append(mark.set(seconds))
            condition &= mark.does_not_exist() | (mark >= seconds)
        else:
            actions.append(mark.set(mark | seconds))
            condition &= mark.does_not_exist() | (mark <= seconds)

    def explain(old: Raw | None) -> Reason:
        return _why_not(move, old)

    transaction.update(capacity(move.opportunity_id, CAPACITY), actions, condition, explain)


def _why_not(move: MoveHold, old: Raw | None) -> Reason:
    """The condition on the counters that did not hold for the row as it was found."""
    if old is None:
        return OpportunityChanged(move.opportunity_id)
    found = rows.read_capacity(old)
    if move.revision is not None and (
        found.revision != move.revision or not (found.open_for_booking or move.may_be_closed)
    ):
        return OpportunityChanged(move.opportunity_id)
    if found.spaces_left < move.spaces_needed:
        return TooFewSpaces(move.opportunity_id, found.spaces_left, found.spaces_leased)
    if not move.is_within_limits(found.share_of(move.order.partner_id)):
        return LeasesLimited(move.opportunity_id)
    return LeaseEndsEarlier(move.opportunity_id)
