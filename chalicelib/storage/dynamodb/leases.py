"""The end of a lease: its spaces go back, once, whoever comes across it first."""

from collections.abc import Sequence
from datetime import datetime

from pynamodb.exceptions import DoesNotExist, UpdateError

from chalicelib.domain.capacity import HoldState
from chalicelib.storage.dynamodb import rows
from chalicelib.storage.dynamodb.calls import passing_faults
from chalicelib.storage.dynamodb.tables import CAPACITY, EXPIRY_SHARDS, HoldRow, Tables
from chalicelib.storage.dynamodb.transaction import Transaction
from chalicelib.storage.errors import CommitRefused, HoldChanged, StoreBusy
from chalicelib.storage.store import MAX_ACTIONS

_AT_ONCE = MAX_ACTIONS - 1  # the counters take one action
_ROUNDS = 50


def reclaim(tables: Tables, opportunity_id: str, now: datetime) -> int:
    """Give back the spaces of all leases on it that have ended by `now`; how many this call ended.

    Raises StoreBusy where others are so busy with it that it cannot be told.
    """
    seconds, ended = rows.to_seconds(now), 0
    for _ in range(_ROUNDS):
        with passing_faults():
            try:
                # Read before the leases: the mark is raised only if this is still the version.
                version = int(tables.capacity.get(opportunity_id, CAPACITY, consistent_read=True).version)
            except DoesNotExist:
                return ended
            leases = list(
                tables.holds.by_lease_end.query(opportunity_id, consistent_read=True, limit=MAX_ACTIONS)
            )
        expired = [lease for lease in leases if _end(lease) <= seconds][:_AT_ONCE]
        following = [_end(lease) for lease in leases[len(expired) :]]
        if expired:
            try:
                _give_back(tables, opportunity_id, expired)
            except CommitRefused:
                continue  # another reader was faster with at least one of them: look again
            ended += len(expired)
            version += 1
        if following and following[0] <= seconds:
            continue
        _raise_mark(tables, opportunity_id, version, following)
        return ended
    raise StoreBusy(f"leases on {opportunity_id} keep changing")


def with_expired_leases(tables: Tables, now: datetime, limit: int) -> list[str]:
    """Opportunities with leases that have ended; the index may be a moment late."""
    found: dict[str, None] = {}
    holds = tables.holds
    for shard in range(EXPIRY_SHARDS):
        with passing_faults():
            for row in holds.by_expiry.query(
                f"leases#{shard}", holds.lease_expires_at <= rows.to_seconds(now), limit=limit
            ):
                found[row.opportunity_id] = None
    return list(found)[:limit]


def _end(lease: HoldRow) -> int:
    return int(lease.lease_expires_at)


def _give_back(tables: Tables, opportunity_id: str, expired: Sequence[HoldRow]) -> None:
    transaction = Transaction(tables.connection)
    holds, capacity = tables.holds, tables.capacity
    changed = HoldChanged(opportunity_id)
    for lease in expired:
        as_read = (
            (holds.state == HoldState.leased.value)
            & (holds.lease_expires_at == _end(lease))
            & (holds.spaces == int(lease.spaces))
        )
        transaction.delete(lease, as_read, changed)
    spaces = sum(int(lease.spaces) for lease in expired)
    actions = [
        capacity.spaces_left.add(spaces),
        capacity.spaces_leased.add(-spaces),
        capacity.version.add(1),
    ]
    counters = capacity(opportunity_id, CAPACITY)
    transaction.update(counters, actions, capacity.spaces_leased >= spaces, lambda _: changed)
    transaction.write()


def _raise_mark(tables: Tables, opportunity_id: str, version: int, following: Sequence[int]) -> None:
    """Say when the next lease ends; only if nothing has happened since the leases were read.

    Otherwise a lease taken meanwhile could end before the mark, and its end go unnoticed. A mark
    that stays too low only makes the next reader look again.
    """
    capacity = tables.capacity
    mark = capacity.next_expiry_at
    action = mark.set(following[0]) if following else mark.remove()
    try:
        with passing_faults():
            capacity(opportunity_id, CAPACITY).update([action], condition=capacity.version == version)
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
