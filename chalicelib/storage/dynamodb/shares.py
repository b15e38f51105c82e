"""The counters of partners: their shares of an Opportunity's leases, and what they hold altogether.

Their names are only known at run time, so that they are not attributes of the models in `tables`.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from chalicelib.booking.decisions import Change, MoveHold, RemoveOrder, SaveOrder
from chalicelib.domain.capacity import Share, share_key
from chalicelib.domain.partner_limits import SHARDS, PartnerCounters, shard_of
from chalicelib.storage.dynamodb.calls import Raw
from chalicelib.storage.dynamodb.tables import ANONYMOUS_PREFIX, SHARE_PREFIX, Tables, WholeNumber
from chalicelib.storage.dynamodb.transaction import Transaction

_COUNTERS = "holdings#"
_NAME = "c#"


def read_shares(capacity: Raw) -> dict[str, Share]:
    """The shares in a row of counters, by the key of the partner; those of 0 too."""
    shares: dict[str, Share] = {}
    for name in capacity:
        if name.startswith(SHARE_PREFIX):
            key = name.removeprefix(SHARE_PREFIX)
            anonymous = capacity.get(ANONYMOUS_PREFIX + key, {"N": "0"})
            shares[key] = Share(int(capacity[name]["N"]), int(anonymous["N"]))
    return shares


def add_share(key: str, more: Share) -> list[Any]:
    """The actions that add to a partner's share. Both counters are written, so that none is read alone."""
    if not more:
        return []
    spaces, anonymous = _attributes(key)
    return [spaces.add(more.spaces), anonymous.add(more.anonymous)]


def set_shares(read: Mapping[str, Share], corrected: Mapping[str, Share]) -> list[Any]:
    """The actions that replace the shares that were read."""
    actions: list[Any] = [each.remove() for key in read if key not in corrected for each in _attributes(key)]
    for key, share in corrected.items():
        spaces, anonymous = _attributes(key)
        actions += [spaces.set(share.spaces), anonymous.set(share.anonymous)]
    return actions


def as_read(read: Mapping[str, Share]) -> Any:
    """The condition that none of the shares that were read has changed; None if there are none."""
    condition = None
    for key, share in read.items():
        for attribute, value in zip(_attributes(key), (share.spaces, share.anonymous), strict=True):
            same = attribute == value if value else attribute.does_not_exist() | (attribute == 0)
            condition = same if condition is None else condition & same
    return condition


def within_limits(move: MoveHold) -> Any:
    """The condition that the partner may make this move; None if no limit applies to it."""
    if move.limits is None:
        return None
    condition = None
    attributes = _attributes(share_key(move.order.partner_id))
    for attribute, most in zip(attributes, move.most_before, strict=True):
        if most is not None:
            is_within = attribute.does_not_exist() | (attribute <= most)
            condition = is_within if condition is None else condition & is_within
    return condition


def counter_keys(partner_id: str) -> list[Raw]:
    """The keys of the rows in which a partner is counted, in the identity table."""
    return [_key(partner_id, shard) for shard in range(SHARDS)]


def read_counters(rows: Iterable[Raw]) -> PartnerCounters:
    """The counters in those of the rows that exist."""
    return PartnerCounters(
        {
            int(row["part"]["S"]): {
                name.removeprefix(_NAME): int(row[name]["N"]) for name in row if name.startswith(_NAME)
            }
            for row in rows
        }
    )


def is_counters(row: Raw) -> bool:
    """Whether a row of the identity table has the counters of a partner."""
    return str(row["principal"]["S"]).startswith(_COUNTERS)


def count(transaction: Transaction, tables: Tables, changes: Iterable[Change]) -> None:
    """Add what these changes count. One transaction writes each row once, also for several Orders."""
    counts: dict[tuple[str, int], dict[str, int]] = {}
    outdated: dict[tuple[str, int], dict[str, None]] = {}
    for change in changes:
        if not isinstance(change, SaveOrder | RemoveOrder) or not change.counts:
            continue
        key = change.order.key if isinstance(change, SaveOrder) else change.key
        row = key.partner_id, shard_of(key.uuid)
        numbers = counts.setdefault(row, {})
        for name, number in change.counts.items():
            numbers[name] = numbers.get(name, 0) + number
        if isinstance(change, SaveOrder):
            outdated.setdefault(row, {}).update(dict.fromkeys(change.outdated))
    for (partner_id, shard), numbers in counts.items():
        removed = [name for name in outdated.get((partner_id, shard), {}) if name not in numbers]
        transaction.count(
            tables.identity,
            _key(partner_id, shard),
            {_NAME + name: number for name, number in numbers.items()},
            [_NAME + name for name in removed],
        )


def _key(partner_id: str, shard: int) -> Raw:
    return {"principal": {"S": _COUNTERS + partner_id}, "part": {"S": str(shard)}}


@lru_cache(maxsize=1000)
def _attributes(key: str) -> tuple[WholeNumber, WholeNumber]:
    return WholeNumber(attr_name=SHARE_PREFIX + key), WholeNumber(attr_name=ANONYMOUS_PREFIX + key)
