"""A Seller's changes of what it has published, each noted for those who hold it."""

from collections.abc import Callable
from dataclasses import replace

from chalicelib.booking.opportunity_changes import ChangeKind, OpportunityChange
from chalicelib.domain.opportunities import Opportunity
from chalicelib.storage.errors import CommitRefused, StoreBusy
from chalicelib.storage.store import Listing, Store

_ATTEMPTS = 8


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
