"""A Seller's changes of what it has published, each noted for those who hold it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from chalicelib.booking.cancel import erase
from chalicelib.booking.decisions import Snapshot, Wanted
from chalicelib.booking.opportunity_changes import ChangeKind, OpportunityChange
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.storage.attempts import Patience, carry_out
from chalicelib.storage.port import CommitRefused, Listing, Store, StoreBusy
from chalicelib.storage.transaction import MAX_ACTIONS

_ATTEMPTS = 8
_TOGETHER = 40


class NotListed(Exception):
    """The inventory has no such Opportunity, or no longer."""


def change_listing(
    store: Store,
    opportunity_id: str,
    change: Callable[[Opportunity], Opportunity],
    followed_by: OpportunityChange | None = None,
) -> Listing:
    """Publish the Opportunity as `change` makes it, as its next version.

    `followed_by` is noted in the same transaction, for everyone who holds it to follow. A cancellation
    that not everyone has followed yet stays: whom it has not reached needs no other news.

    Raises NotListed, StoreBusy.
    """
    for _ in range(_ATTEMPTS):
        current, capacity = store.listings([opportunity_id]).get(opportunity_id, (None, None))
        if current is None or current.deleted:
            raise NotListed(opportunity_id)
        version = current.version + 1
        changed = replace(
            current,
            opportunity=replace(change(current.opportunity), revision=version),
            version=version,
        )
        if followed_by is not None and followed_by.kind is not ChangeKind.cancelled:
            pending = store.open_change(opportunity_id)
            if pending is not None and pending.kind is ChangeKind.cancelled:
                followed_by = pending
        if followed_by is not None:
            followed_by = replace(followed_by, revision=version)
        try:
            store.publish(changed, capacity.spaces_left if capacity else None, followed_by)
        except CommitRefused:
            continue  # another change came first: make this one on top of it
        return changed
    raise StoreBusy("the listing is being changed by others all the time")


def withdraw(store: Store, opportunity_id: str) -> bool:
    """Take an Opportunity out of the inventory: its feed shows it deleted, and nobody books it any more.

    False where it is gone already. Raises CommitRefused where somebody else changes it meanwhile.
    """
    listing, capacity = store.listings([opportunity_id]).get(opportunity_id, (None, None))
    if listing is None or listing.deleted:
        return False
    # Counters that are there stay as they are.
    store.publish(withdrawn(listing), 0 if capacity else None)
    return True


def withdrawn(listing: Listing) -> Listing:
    """The next version of a listing, in which it is gone."""
    version = listing.version + 1
    return replace(
        listing,
        opportunity=replace(listing.opportunity, revision=version),
        version=version,
        deleted=True,
        source_digest=None,
    )


def clear(store: Store, listings: Sequence[Listing], now: datetime, patience: Patience) -> None:
    """Take out many listings that have just been read, and erase every Order that holds one of them.

    Made for thousands at a time: whatever can be read or written together is. Raises StillBusy.
    """
    bookable = [each.opportunity.id for each in listings if each.opportunity.type.is_bookable]
    holders: dict[OrderKey, None] = {}
    for opportunity_id in _held(store, bookable):
        holders |= dict.fromkeys(store.holds(opportunity_id))
    for together in _disjoint(store.orders(list(holders)).values()):
        snapshots = [Snapshot(order=order) for order in together]
        changes = [change for snapshot in snapshots for change in erase(snapshot, now).changes]
        try:
            store.commit(changes)
        except (CommitRefused, StoreBusy):  # one of them has changed: each by itself
            for order in together:
                carry_out(
                    store,
                    Wanted(order.key),
                    lambda snapshot: erase(snapshot, now),
                    now=now,
                    patience=patience,
                )
    withdraw_all(store, listings)


def _held(store: Store, opportunity_ids: Sequence[str]) -> list[str]:
    """Those of which somebody holds a space."""
    return [
        opportunity_id
        for opportunity_id, (_, capacity) in store.listings(opportunity_ids).items()
        if capacity is not None and (capacity.spaces_left < capacity.spaces_total or capacity.spaces_leased)
    ]


def _disjoint(orders: Iterable[Order | DeletedOrder]) -> Iterator[list[Order]]:
    """In batches for one transaction each, which may touch no row twice."""
    batch: list[Order] = []
    touched: set[str] = set()
    for order in orders:
        if not isinstance(order, Order):
            continue
        held = order.holds().keys()
        actions = len(batch) + 2 * len(touched) + 1 + 2 * len(held)
        if batch and (touched & held or actions > MAX_ACTIONS):
            yield batch
            batch, touched = [], set()
        batch.append(order)
        touched |= held
    if batch:
        yield batch


def withdraw_all(store: Store, listings: Iterable[Listing]) -> None:
    """Take out many that have just been read, some dozens in one write."""
    waiting = iter(listings)
    while batch := list(islice(waiting, _TOGETHER)):
        try:
            store.publish_together(
                [(withdrawn(each), 0 if each.opportunity.type.is_bookable else None) for each in batch]
            )
        except (CommitRefused, StoreBusy):  # one of them has changed: each by itself
            for each in batch:
                withdraw(store, each.opportunity.id)
