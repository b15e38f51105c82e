"""Correct counters and holds, on the condition that nothing has changed since they were read."""

from collections.abc import Sequence
from typing import Any

from chalicelib.domain.capacity import Capacity, Hold, HoldState, SourceCount
from chalicelib.storage.dynamodb import rows, shares
from chalicelib.storage.dynamodb.tables import CAPACITY, Tables
from chalicelib.storage.dynamodb.transaction import Transaction
from chalicelib.storage.errors import HoldChanged, OpportunityChanged, OrderChanged
from chalicelib.storage.store import HoldCorrection


def correct(
    tables: Tables,
    opportunity_id: str,
    read: Capacity,
    corrected: Capacity,
    holds: Sequence[HoldCorrection],
) -> None:
    """See `Store.correct`."""
    transaction = Transaction(tables.connection)
    for each in holds:
        _add_hold(transaction, tables, opportunity_id, each)
    capacity = tables.capacity
    mark = capacity.next_expiry_at
    ends_at = corrected.next_expiry_at
    actions = [
        capacity.spaces_left.set(corrected.spaces_left),
        capacity.spaces_leased.set(corrected.spaces_leased),
        *(
            [capacity.spaces_requested.set(corrected.spaces_requested)]
            if corrected.spaces_requested != read.spaces_requested
            else []
        ),
        mark.set(rows.to_seconds(ends_at)) if ends_at else mark.remove(),
        capacity.version.add(1),
        *shares.set_shares(read.shares, corrected.shares),
    ]
    changed = OpportunityChanged(opportunity_id)
    # A booking of what was leased changes no version (`MoveHold.is_new_version`).
    as_read = (capacity.version == read.version) & (capacity.spaces_leased == read.spaces_leased)
    if (same_shares := shares.as_read(read.shares)) is not None:
        as_read &= same_shares
    transaction.update(capacity(opportunity_id, CAPACITY), actions, as_read, lambda _: changed)
    transaction.write()


def resize(
    tables: Tables, opportunity_id: str, read: Capacity, spaces_total: int, count: SourceCount | None = None
) -> None:
    """See `Store.resize`."""
    capacity = tables.capacity
    changed = OpportunityChanged(opportunity_id)
    transaction = Transaction(tables.connection)
    transaction.update(
        capacity(opportunity_id, CAPACITY),
        [
            capacity.spaces_total.set(spaces_total),
            capacity.spaces_left.add(spaces_total - read.spaces_total),
            capacity.version.add(1),
            *(
                [
                    capacity.source_stated.set(count.stated),
                    capacity.source_unknown.set(count.unknown),
                    capacity.oversold.set(count.oversold),
                ]
                if count is not None
                else []
            ),
        ],
        capacity.version == read.version,
        lambda _: changed,
    )
    transaction.write()


def _add_hold(transaction: Transaction, tables: Tables, opportunity_id: str, each: HoldCorrection) -> None:
    orders, changed = tables.orders, HoldChanged(opportunity_id)
    unchanged = (
        orders.order_key.does_not_exist()
        if each.order_version is None
        else orders.version == each.order_version
    )
    transaction.check(orders, str(each.order), unchanged, OrderChanged(each.order))
    as_read = hold_as_read(tables, each.before)
    if each.after is None:
        row = tables.holds(opportunity_id, rows.hold_part(each.order))
        transaction.delete(row, as_read, changed)
    else:
        hold = rows.hold_row(opportunity_id, each.order, each.after)
        transaction.put_row(tables.holds, hold, as_read, changed)


def hold_as_read(tables: Tables, hold: Hold | None) -> Any:
    """The condition that a hold still is as it was read."""
    holds = tables.holds
    if hold is None:
        return holds.opportunity_id.does_not_exist()
    as_read = (holds.spaces == hold.spaces) & (holds.state == hold.state.value)
    if hold.lease_kind is not None:
        as_read &= holds.lease_kind == hold.lease_kind.value
    elif hold.state is HoldState.leased:
        as_read &= holds.lease_kind.does_not_exist()
    if hold.expires_at is not None:
        as_read &= holds.lease_expires_at == rows.to_seconds(hold.expires_at)
    return as_read
