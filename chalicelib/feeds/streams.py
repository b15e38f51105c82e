"""From the records of a DynamoDB stream to feed items.

A record that cannot be read holds up only what comes after it: everything before it is published,
and its sequence number is reported, so that the stream retries from there and in the end parks it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

from chalicelib.domain.capacity import Capacity
from chalicelib.domain.orders import Order, OrderKind
from chalicelib.feeds.ledger import FeedItem, Ledger
from chalicelib.storage.dynamodb.rows import read_order
from chalicelib.storage.dynamodb.tables import CAPACITY, DETAILS
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.store import Listing, Store
from chalicelib.wire.opportunities import feed_data
from chalicelib.wire.orders import feed_document

Record: TypeAlias = dict[str, Any]
Failure: TypeAlias = Callable[[str, BaseException], None]


def orders_feed(partner_id: str) -> str:
    """The id of a booking partner's own Orders feed (OFEED-01)."""
    return f"orders#{partner_id}"


def proposals_feed(partner_id: str) -> str:
    """The id of a booking partner's own OrderProposals feed (T3)."""
    return f"order-proposals#{partner_id}"


@dataclass(frozen=True)
class _Change:
    """What one record brings to a feed."""

    record: Record
    feed_id: str
    item: FeedItem


def publish_orders(
    records: Sequence[Record],
    ledger: Ledger,
    now: datetime,
    on_failure: Failure,
    is_revoked: Callable[[str, str], bool] = lambda partner_id, seller_id: False,
) -> list[str]:
    """Bring the Orders feeds up to these records; the sequence number to retry from, if any.

    `is_revoked` tells of a partner and a Seller whether the one may no longer see the other's Orders.
    """
    known = cache(is_revoked)
    return _publish(records, lambda record: _order_changes(record, known), ledger, now, on_failure)


def publish_inventory(
    records: Sequence[Record], store: Store, ledger: Ledger, now: datetime, on_failure: Failure
) -> list[str]:
    """Bring the open feeds up to these records; the sequence number to retry from, if any.

    A record only names the Opportunity: what is published is how it stands now. Details and capacity
    are two rows, each with a version that grows, and so does their sum.
    """
    named = dict.fromkeys(filter(None, map(_opportunity_id, records)))
    try:
        listings = store.listings(list(named))
    except StoreBusy as error:
        return [_failure(records[0], error, on_failure)]
    waiting = set(listings)

    def changes(record: Record) -> Iterator[_Change]:
        opportunity_id = _keys(record)["opportunity_id"]["S"]
        if opportunity_id not in waiting or _opportunity_id(record) is None:
            return
        waiting.remove(opportunity_id)
        yield _listing_change(record, *listings[opportunity_id])

    return _publish(records, changes, ledger, now, on_failure)


def _publish(
    records: Sequence[Record],
    read: Callable[[Record], Iterable[_Change]],
    ledger: Ledger,
    now: datetime,
    on_failure: Failure,
) -> list[str]:
    changes: list[_Change] = []
    failed = None
    for record in records:
        try:
            found = list(read(record))
        except Exception as error:  # whatever it is, it must not block the shard for ever
            failed = _failure(record, error, on_failure)
            break
        changes += found
    by_feed: dict[str, list[FeedItem]] = {}
    for change in changes:
        by_feed.setdefault(change.feed_id, []).append(change.item)
    try:
        for feed_id, items in by_feed.items():
            ledger.publish(feed_id, items, now)
    except StillBusy as error:
        return [_failure(records[0], error, on_failure)]
    except Exception:  # one of them cannot be written: which is it?
        return _publish_singly(changes, ledger, now, on_failure) or _numbers(failed)
    return _numbers(failed)


def _publish_singly(
    changes: Sequence[_Change], ledger: Ledger, now: datetime, on_failure: Failure
) -> list[str]:
    for change in changes:
        try:
            ledger.publish(change.feed_id, [change.item], now)
        except Exception as error:  # as above
            return [_failure(change.record, error, on_failure)]
    return []


def _numbers(failed: str | None) -> list[str]:
    return [] if failed is None else [failed]


def _failure(record: Record, error: BaseException, on_failure: Failure) -> str:
    sequence_number: str = record["dynamodb"]["SequenceNumber"]
    on_failure(sequence_number, error)
    return sequence_number


def _keys(record: Record) -> Record:
    keys: Record = record["dynamodb"]["Keys"]
    return keys


def _opportunity_id(record: Record) -> str | None:
    """The Opportunity whose listing has changed; None for a hold, and for what cannot be read."""
    try:
        keys = _keys(record)
        return str(keys["opportunity_id"]["S"]) if keys["part"]["S"] in (DETAILS, CAPACITY) else None
    except (KeyError, TypeError):
        return None


def _listing_change(record: Record, listing: Listing, capacity: Capacity | None) -> _Change:
    opportunity = listing.opportunity
    data = None if listing.deleted else feed_data(opportunity, capacity.spaces_left if capacity else None)
    version = listing.version + (capacity.version if capacity else 0)
    item = FeedItem(opportunity.id, opportunity.type.value, version, data)
    return _Change(record, opportunity.type.traits.feed, item)


def _order_changes(record: Record, is_revoked: Callable[[str, str], bool]) -> Iterator[_Change]:
    """The feeds and items that a record concerns; often none (OFEED-02, DEL-03, OFEED-15)."""
    image = record["dynamodb"].get("NewImage")
    if image is None:
        return  # a quote that was deleted or has lapsed: it was never in a feed
    order = read_order(image)
    partner_id, uuid = order.key.partner_id, order.key.uuid
    was_proposal = record["dynamodb"].get("OldImage", {}).get("kind", {}).get("S") == OrderKind.OrderProposal
    if isinstance(order, Order) and order.kind is OrderKind.OrderProposal:
        if order.published:
            data = None if is_revoked(partner_id, order.seller_id) else feed_document(order)
            item = FeedItem(uuid, "OrderProposal", order.version, data)
            yield _Change(record, proposals_feed(partner_id), item)
        return
    if was_proposal:
        # B has made an Order of it, or it was deleted (OFEED-14); if it was never shown, nor is this.
        item = FeedItem(uuid, "OrderProposal", order.version, None)
        yield _Change(record, proposals_feed(partner_id), item)
    elif order.published:
        is_shown = isinstance(order, Order) and not is_revoked(partner_id, order.seller_id)
        data = feed_document(order) if isinstance(order, Order) and is_shown else None
        yield _Change(record, orders_feed(partner_id), FeedItem(uuid, "Order", order.version, data))
