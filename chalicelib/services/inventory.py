"""What is for sale: published, changed and withdrawn in one way, whoever asks for it.

A change that people who have booked need to follow is written together with its pending work.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib.booking.opportunity_changes import ChangeKind, OpportunityChange
from chalicelib.domain.errors import RequestTooLargeError
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.opportunity_types import SPACES_TERMS
from chalicelib.domain.parties import Json, Seller
from chalicelib.services.following import KIND, pending_change, read_change
from chalicelib.storage.errors import CommitRefused
from chalicelib.storage.pending import PendingStore, PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, Store
from chalicelib.wire.opportunities import Published, too_large


class Outcome(StrEnum):
    """What became of one document."""

    added = "added"  # the inventory did not have it
    changed = "changed"  # its content is new, or it was withdrawn before
    unchanged = "unchanged"  # nothing was written
    withdrawn = "withdrawn"  # it is gone, and nobody books it any more
    elsewhere = "elsewhere"  # the inventory has it from another source, which alone may change it


class NotListed(Exception):
    """The inventory has no such Opportunity, or no longer."""


@dataclass(frozen=True)
class Document:
    """A published document as read, with its source and all that it was read from."""

    published: Published
    source: str
    basis: tuple[Json | None, ...]

    @property
    def digest(self) -> str:
        """Equal for equal content. What the source says of spaces left is not content: our counter applies."""
        text = json.dumps([_without_spaces(part) for part in self.basis], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Inventory:
    """The Opportunities and Sellers of one installation. Every method may raise StoreBusy."""

    store: Store
    pending: PendingStore
    retry: RetryPolicy

    def bring_in(self, documents: Sequence[Document]) -> list[Outcome]:
        """Put each document in; the outcomes in the same order.

        Raises CommitRefused where somebody else changes the same one meanwhile.
        """
        known = self.store.listings([document.published.opportunity.id for document in documents])
        return [
            self.put_in(document, known.get(document.published.opportunity.id, (None, None))[0])
            for document in documents
        ]

    def put_in(self, document: Document, current: Listing | None) -> Outcome:
        """Put one document in where `current`, what the inventory has of it, differs.

        The spaces of a new Opportunity start at what its source says; afterwards our counter is the
        truth. Raises CommitRefused where `current` no longer is.
        """
        opportunity, version = document.published.opportunity, 1
        if current is not None:
            if not current.deleted and current.source != document.source:
                return Outcome.elsewhere
            if not current.deleted and current.source_digest == document.digest:
                return Outcome.unchanged
            version = current.version + 1
        listing = Listing(
            replace(opportunity, revision=version),
            version=version,
            source=document.source,
            source_digest=document.digest,
        )
        self.store.publish(listing, document.published.spaces)
        return Outcome.changed if current else Outcome.added

    def change(
        self,
        opportunity_id: str,
        change: Callable[[Opportunity], Opportunity],
        followed_by: OpportunityChange | None = None,
    ) -> Listing:
        """Publish the Opportunity as `change` makes it, as its next version.

        `followed_by` is written in the same transaction, for everyone who holds it to follow. A
        cancellation that not everyone has followed yet stays: whom it has not reached needs no other news.

        Raises NotListed; RequestTooLargeError where it becomes too large; StillBusy where others keep changing it.
        """

        def attempt() -> Listing:
            current, capacity = self.store.listings([opportunity_id]).get(opportunity_id, (None, None))
            if current is None or current.deleted:
                raise NotListed(opportunity_id)
            listing = _next_version(current, change(current.opportunity))
            if reason := too_large(listing.opportunity):
                raise RequestTooLargeError(f"The opportunity cannot be changed so: {reason}.")
            pending = None if followed_by is None else self._to_follow(followed_by, listing)
            self.store.publish(listing, capacity.spaces_left if capacity else None, pending)
            return listing

        return self.retry.run(attempt, on=(CommitRefused,))

    def _to_follow(self, change: OpportunityChange, listing: Listing) -> PendingWork:
        revision = listing.opportunity.revision
        earlier = self.pending.entry(KIND, listing.opportunity.id)
        if earlier is not None and change.kind is not ChangeKind.cancelled:
            known = read_change(earlier)
            if known.kind is ChangeKind.cancelled:
                return replace(pending_change(replace(known, revision=revision)), progress=earlier.progress)
        return pending_change(replace(change, revision=revision))

    def withdraw(self, opportunity_id: str) -> Outcome:
        """Take an Opportunity off the inventory: its feed shows it deleted, and nobody books it any more.

        Raises CommitRefused where somebody else changes it meanwhile.
        """
        listing, capacity = self.store.listings([opportunity_id]).get(opportunity_id, (None, None))
        if listing is None or listing.deleted:
            return Outcome.unchanged
        # Counters that are there stay as they are.
        self.store.publish(withdrawn(listing), 0 if capacity else None)
        return Outcome.withdrawn

    def keep_seller(self, seller: Seller) -> Outcome:
        """Put a Seller, if it is new or has changed."""
        current = self.store.seller(seller.id)
        if current == seller:
            return Outcome.unchanged
        self.store.save_seller(seller)
        return Outcome.changed if current else Outcome.added


def withdrawn(listing: Listing) -> Listing:
    """The next version of a listing, in which it is gone."""
    return replace(_next_version(listing, listing.opportunity), deleted=True, source_digest=None)


def _next_version(listing: Listing, opportunity: Opportunity) -> Listing:
    version = listing.version + 1
    return replace(listing, opportunity=replace(opportunity, revision=version), version=version)


def _without_spaces(part: Json | None) -> Json:
    return {term: value for term, value in (part or {}).items() if term not in SPACES_TERMS}
