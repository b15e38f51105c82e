"""End leases: the first caller that finds an ended lease releases its spaces, exactly once."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pynamodb.exceptions import UpdateError

from chalicelib.domain.capacity import HoldState, Share, share_key
from chalicelib.storage.dynamodb import rows, shares
from chalicelib.storage.dynamodb.calls import Raw, passing_faults, row_name
from chalicelib.storage.dynamodb.corrections import hold_as_read
from chalicelib.storage.dynamodb.pending import pending_row
from chalicelib.storage.dynamodb.tables import CAPACITY, EXPIRY_SHARDS, Tables
from chalicelib.storage.dynamodb.transaction import Transaction
from chalicelib.storage.errors import CommitRefused, HoldChanged, StoreBusy, UnreadableRow
from chalicelib.storage.pending import SET_ASIDE, PendingWork
from chalicelib.storage.store import MAX_ACTIONS, Reclaimed

_AT_ONCE = MAX_ACTIONS - 1  # the counters take one action


def reclaim(
    tables: Tables,
    opportunity_id: str,
    now: datetime,
    *,
    set_aside: bool = False,
    at_most: int | None = None,
) -> Reclaimed:
    """Release the spaces of leases on it that have ended by `now`, in `at_most` transactions.

    A row that is not a lease is skipped, or with `set_aside` set aside with its content. Raises StoreBusy
    if another caller ends one of them first.
    """
    seconds, ended, transactions = rows.to_seconds(now), 0, 0
    put_away: list[str] = []
    while True:
        with passing_faults(row_name(tables.name("inventory"), opportunity_id, CAPACITY)):
            # Read before the leases: the mark is raised only if this is still the version.
            read = tables.connection.get_item(
                tables.capacity.Meta.table_name, opportunity_id, CAPACITY, consistent_read=True
            ).get("Item")
            if read is None:
                return Reclaimed(ended, tuple(put_away))
            version, left = int(read["version"]["N"]), shares.read_shares(read)
            found = _by_end(tables, opportunity_id)
        leases = [lease for lease in found if _is_lease(lease)]
        if set_aside:
            for row in found:
                if not _is_lease(row):
                    put_away.append(_put_away(tables, row, now))
        expired = [lease for lease in leases if _end(lease) <= seconds][:_AT_ONCE]
        following = [_end(lease) for lease in leases[len(expired) :]]
        if expired:
            try:
                _release(tables, opportunity_id, expired)
            except CommitRefused as refusal:
                raise StoreBusy(f"leases on {opportunity_id} are being ended by others") from refusal
            ended += len(expired)
            version += 1
            for key, share in _shares_of(expired).items():
                left[key] = left.get(key, Share()) - share
            transactions += 1
        if following and following[0] <= seconds:
            if at_most is not None and transactions >= at_most:
                # The mark stays in the past: the next reader, or the sweep, continues.
                return Reclaimed(ended, tuple(put_away), more=True)
            continue
        _raise_mark(tables, opportunity_id, version, following, left)
        return Reclaimed(ended, tuple(put_away))


def with_expired_leases(tables: Tables, now: datetime, limit: int) -> list[str]:
    """Opportunities with leases that have ended; the index is eventually consistent."""
    found: dict[str, None] = {}
    until = tables.holds.lease_expires_at <= rows.to_seconds(now)
    for shard in range(EXPIRY_SHARDS):
        for raw in _query(tables, f"leases#{shard}", "by_expiry", limit, until):
            found[raw["opportunity_id"]["S"]] = None
    return list(found)[:limit]


def _by_end(tables: Tables, opportunity_id: str) -> list[Raw]:
    return _query(tables, opportunity_id, "by_lease_end", MAX_ACTIONS, consistent=True)


def _query(
    tables: Tables, key: str, index: str, limit: int, until: Any = None, *, consistent: bool = False
) -> list[Raw]:
    # Raw rows, so that a damaged one does not hide the others.
    with passing_faults(row_name(tables.name("inventory"), key)):
        answer: dict[str, Any] = tables.connection.query(
            tables.holds.Meta.table_name,
            key,
            range_key_condition=until,
            index_name=index,
            consistent_read=consistent,
            limit=limit,
        )
    items: list[Raw] = answer["Items"]
    return items


def _is_lease(raw: Raw) -> bool:
    try:
        return rows.read_hold(raw).state is HoldState.leased
    except (KeyError, ValueError, UnreadableRow):
        return False


def _end(lease: Raw) -> int:
    return int(lease["lease_expires_at"]["N"])


def _spaces(lease: Raw) -> int:
    return int(lease["spaces"]["N"])


def _put_away(tables: Tables, raw: Raw, now: datetime) -> str:
    """Move a row that is not a lease from the inventory to the work set aside."""
    opportunity_id, part = raw["opportunity_id"]["S"], raw["part"]["S"]
    entry = PendingWork(
        f"{SET_ASIDE}lease",
        f"{opportunity_id} {part}",
        json.dumps(raw, default=str),
        error="not a lease",
        failed_at=now,
    )
    transaction = Transaction(tables.connection)
    transaction.delete(tables.holds(opportunity_id, part), None)
    transaction.put(pending_row(tables, entry))
    transaction.write()
    return entry.id


def _release(tables: Tables, opportunity_id: str, expired: Sequence[Raw]) -> None:
    transaction = Transaction(tables.connection)
    holds, capacity = tables.holds, tables.capacity
    changed = HoldChanged(opportunity_id)
    for lease in expired:
        as_read = hold_as_read(tables, rows.read_hold(lease))
        transaction.delete(holds(opportunity_id, lease["part"]["S"]), as_read, changed)
    spaces = sum(map(_spaces, expired))
    actions = [
        capacity.spaces_left.add(spaces),
        capacity.spaces_leased.add(-spaces),
        capacity.version.add(1),
    ]
    for key, share in _shares_of(expired).items():
        actions += shares.add_share(key, Share() - share)
    counters = capacity(opportunity_id, CAPACITY)
    transaction.update(counters, actions, capacity.spaces_leased >= spaces, lambda _: changed)
    transaction.write()


def _shares_of(leases: Sequence[Raw]) -> dict[str, Share]:
    """What these leases add to the shares of their partners."""
    found: dict[str, Share] = {}
    for lease in leases:
        if share := rows.read_hold(lease).share:
            key = share_key(rows.key_of_hold(lease["part"]["S"]).partner_id)
            found[key] = found.get(key, Share()) + share
    return found


def _raise_mark(
    tables: Tables, opportunity_id: str, version: int, following: Sequence[int], left: Mapping[str, Share]
) -> None:
    """Set when the next lease ends; only if nothing has changed since the leases were read.

    Otherwise a lease taken meanwhile could end before the mark, and its end would not be noticed. A
    mark that stays too low only makes the next reader check again.

    For the same reason, `left` are the shares of the partners then. Those of 0 are removed, and all of them if no
    lease follows: a share that is wrong does not outlive the last lease.
    """
    capacity = tables.capacity
    mark = capacity.next_expiry_at
    action = mark.set(following[0]) if following else mark.remove()
    try:
        with passing_faults(row_name(tables.name("inventory"), opportunity_id, CAPACITY)):
            ended = {key: share for key, share in left.items() if not (share and following)}
            actions = [action, *shares.set_shares(ended, {})]
            capacity(opportunity_id, CAPACITY).update(actions, condition=capacity.version == version)
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
