"""The changes of a Decision as actions on rows: what each writes, its condition, and the reason if it fails."""

from collections.abc import Sequence
from typing import Any

from chalicelib.booking.decisions import Change, MoveHold, RemoveOrder, SaveOrder
from chalicelib.storage.dynamodb import rows
from chalicelib.storage.dynamodb.calls import Raw
from chalicelib.storage.dynamodb.corrections import hold_as_read
from chalicelib.storage.dynamodb.tables import CAPACITY, Tables
from chalicelib.storage.dynamodb.transaction import Transaction
from chalicelib.storage.errors import (
    HoldChanged,
    LeaseEndsEarlier,
    OpportunityChanged,
    OrderChanged,
    Reason,
    TooFewSpaces,
)


def add_changes(transaction: Transaction, tables: Tables, changes: Sequence[Change]) -> None:
    """Add the actions of these changes. Raises OrderTooLarge.

    Several Orders may release spaces of one Opportunity: its counters move once, by the sum.
    """
    released: dict[str, list[MoveHold]] = {}
    for change in changes:
        match change:
            case SaveOrder():
                is_version = _is_version(tables, change.replaces)
                transaction.put(
                    rows.order_row(tables, change.order), is_version, OrderChanged(change.order.key)
                )
            case RemoveOrder():
                row = tables.orders(str(change.key))
                transaction.delete(row, _is_version(tables, change.replaces), OrderChanged(change.key))
            case MoveHold():
                _move_hold(transaction, tables, change)
                if change.after is None:
                    released.setdefault(change.opportunity_id, []).append(change)
                elif change.moves_counters:
                    _move_counters(transaction, tables, change)
    for opportunity_id, moves in released.items():
        _release(transaction, tables, opportunity_id, moves)


def _is_version(tables: Tables, version: int | None) -> Any:
    orders = tables.orders
    return orders.order_key.does_not_exist() if version is None else orders.version == version


def _move_hold(transaction: Transaction, tables: Tables, move: MoveHold) -> None:
    holds, after = tables.holds, move.after
    unchanged = hold_as_read(tables, move.before)
    reason = HoldChanged(move.opportunity_id)
    if after is None:
        row = holds(move.opportunity_id, rows.hold_part(move.order))
        transaction.delete(row, unchanged, reason)
    else:
        row = rows.hold_row(tables, move.opportunity_id, move.order, after)
        transaction.put(row, unchanged, reason)


def _release(
    transaction: Transaction, tables: Tables, opportunity_id: str, moves: Sequence[MoveHold]
) -> None:
    capacity = tables.capacity
    actions: list[Any] = [
        capacity.spaces_left.add(-sum(move.spaces_taken for move in moves)),
        capacity.spaces_leased.add(sum(move.leased_more for move in moves)),
        capacity.version.add(1),
    ]
    counters = capacity(opportunity_id, CAPACITY)
    transaction.update(
        counters,
        actions,
        capacity.opportunity_id.exists(),
        lambda _: OpportunityChanged(opportunity_id),
    )


def _move_counters(transaction: Transaction, tables: Tables, move: MoveHold) -> None:
    capacity = tables.capacity
    actions: list[Any] = [
        capacity.spaces_left.add(-move.spaces_taken),
        capacity.spaces_leased.add(move.leased_more),
        capacity.version.add(1),
    ]
    condition = capacity.opportunity_id.exists()
    if move.spaces_taken > 0:
        condition &= capacity.spaces_left >= move.spaces_taken
    if move.revision is not None:
        condition &= (capacity.revision == move.revision) & (capacity.open_for_booking == True)  # noqa: E712
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
    if move.revision is not None and (found.revision != move.revision or not found.open_for_booking):
        return OpportunityChanged(move.opportunity_id)
    if found.spaces_left < move.spaces_taken:
        return TooFewSpaces(move.opportunity_id, found.spaces_left, found.spaces_leased)
    return LeaseEndsEarlier(move.opportunity_id)
