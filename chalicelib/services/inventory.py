"""The inventory: publish, change and withdraw Opportunities, in the same way for every caller.

Every new version of an Opportunity is written by `Inventory._publish_next`: a change that its holders need to
follow is written together with its pending work.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib.booking.opportunity_changes import (
    ChangeKind,
    OpportunityChange,
    cancellation_of,
    change_between,
    withdrawal_of,
)
from chalicelib.domain.capacity import Capacity, HoldState
from chalicelib.domain.errors import RequestTooLargeError
from chalicelib.domain.limits import check_text
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.opportunity_types import SPACES_TERMS
from chalicelib.domain.parties import Json, Seller
from chalicelib.services.following import KIND, pending_change, read_change
from chalicelib.storage.errors import CommitRefused
from chalicelib.storage.pending import PendingStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, SellerEntry, Store
from chalicelib.wire.logistics import cancelled
from chalicelib.wire.opportunities import Published, too_large

# Holds in one read of the register.
_HOLDS = 1000


class Outcome(StrEnum):
    """The outcome for one document."""

    added = "added"  # the inventory did not contain it
    changed = "changed"  # its content is new, or it was withdrawn before
    unchanged = "unchanged"  # nothing was written
    withdrawn = "withdrawn"  # it was withdrawn and can no longer be booked
    elsewhere = "elsewhere"  # owned by another source, which alone may change it


class NotListed(Exception):
    """The inventory does not contain this Opportunity, or no longer does."""


@dataclass(frozen=True)
class Document:
    """A published document as read, with its source and the original JSON."""

    published: Published
    source: str
    basis: tuple[Json | None, ...]

    @property
    def digest(self) -> str:
        """Equal for equal content. The source's spaces left are not content: our counter applies."""
        text = json.dumps([_without_spaces(part) for part in self.basis], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Inventory:
    """The Opportunities and Sellers of one installation. Every method may raise StoreBusy."""

    store: Store
    pending: PendingStore
    retry: RetryPolicy

    def bring_in(self, documents: Sequence[Document]) -> list[Outcome]:
        """Add or update each document; the outcomes in the same order.

        Raises CommitRefused if another caller changes the same Opportunity meanwhile.
        """
        known = self.store.listings([document.published.opportunity.id for document in documents])
        return [self.put_in(document, known.get(document.published.opportunity.id)) for document in documents]

    def add_together(self, documents: Sequence[Document]) -> None:
        """Add up to 50 documents that the inventory does not contain, all or none. Raises CommitRefused."""
        self.store.publish_together(
            [
                (_listing(document, document.published.opportunity, 1), document.published.spaces)
                for document in documents
            ]
        )

    def put_in(self, document: Document, known: tuple[Listing, Capacity | None] | None) -> Outcome:
        """Add or update one document if it differs from `known`, its listing in the inventory.

        The spaces of a new Opportunity start at its source's number; afterwards our counter applies.
        Orders that hold it follow. Raises CommitRefused if the listing is no longer `known`.
        """
        opportunity, spaces = document.published.opportunity, document.published.spaces
        outcome = outcome_of(document, known[0] if known else None)
        if known is None:
            self.store.publish(_listing(document, opportunity, 1), spaces)
        if known is None or outcome in (Outcome.elsewhere, Outcome.unchanged):
            return outcome
        current, capacity = known
        if opportunity.access_channel is None:
            # Open data never contains a channel: the Seller entered it here, so an import does not remove it.
            opportunity = replace(opportunity, access_channel=current.opportunity.access_channel)
        following = replace(_listing(document, opportunity, current.version + 1), closed=current.closed)
        self._publish_next(current, following, capacity, spaces)
        return outcome

    def change(self, opportunity_id: str, change: Callable[[Opportunity], Opportunity]) -> Listing:
        """Publish what `change` returns as the Opportunity's next version, which all its holders then follow.

        Raises NotListed; RequestTooLargeError if it becomes too large; StillBusy if others keep changing it.
        """

        def attempt() -> Listing:
            current, capacity = self._known(opportunity_id)
            if current.deleted:
                raise NotListed(opportunity_id)
            listing = _next_version(current, change(current.opportunity))
            if reason := too_large(listing.opportunity):
                raise RequestTooLargeError(f"The change of the opportunity is invalid: {reason}.")
            self._publish_next(current, listing, capacity, capacity.spaces_left if capacity else None)
            return listing

        return self.retry.run(attempt, on=(CommitRefused,))

    def set_closed(self, opportunity_id: str, closed: bool) -> bool:
        """Take an Opportunity off sale, or put it on sale again; whether that changed anything.

        Orders and OrderProposals stay as they are. Raises NotListed; StillBusy if others keep changing it.
        """

        def attempt() -> bool:
            current, capacity = self._known(opportunity_id)
            if current.deleted or capacity is None:
                raise NotListed(opportunity_id)
            if current.closed is closed:
                return False
            listing = replace(_next_version(current, current.opportunity), closed=closed)
            self._publish_next(current, listing, capacity, capacity.spaces_left)
            return True

        return self.retry.run(attempt, on=(CommitRefused,))

    def cancel(self, opportunity_id: str, message: str | None = None) -> Listing:
        """Cancel it for all holders; also one that was withdrawn or cancelled before (CANCEL-14).

        Raises NotListed; RequestTooLargeError for a long message; StillBusy if others keep changing it.
        """
        check_text("The message", message)

        def attempt() -> Listing:
            current, capacity = self._known(opportunity_id)
            listing = _next_version(current, cancelled(current.opportunity))
            change = cancellation_of(listing.opportunity, message)
            self._publish_next(current, listing, capacity, capacity.spaces_left if capacity else None, change)
            return listing

        return self.retry.run(attempt, on=(CommitRefused,))

    def withdraw(self, opportunity_id: str, *, as_cancelled: bool = False) -> Outcome:
        """Withdraw an Opportunity: its feed shows it as deleted, and it can no longer be booked.

        Its Orders stay valid, unless `as_cancelled`; its OrderProposals are rejected (P-17). Raises CommitRefused if another caller changes it meanwhile.
        """
        listing, capacity = self.store.listings([opportunity_id]).get(opportunity_id, (None, None))
        if listing is None or listing.deleted:
            return Outcome.unchanged
        spaces = 0 if capacity else None  # existing counters are not changed
        if as_cancelled:
            next_one = withdrawn(replace(listing, opportunity=cancelled(listing.opportunity)))
            change = cancellation_of(next_one.opportunity)
        else:
            next_one = withdrawn(listing)
            change = withdrawal_of(next_one.opportunity)
        self._publish_next(listing, next_one, capacity, spaces, change)
        return Outcome.withdrawn

    def withdraw_unless_held(self, opportunity_id: str) -> Outcome | None:
        """Withdraw an Opportunity unless an Order, a proposal or a lease holds a space of it: then None.

        Raises CommitRefused if another caller changes it meanwhile.
        """
        listing, capacity = self.store.listings([opportunity_id]).get(opportunity_id, (None, None))
        if listing is None or listing.deleted:
            return Outcome.unchanged
        if capacity is not None and capacity.spaces_left != capacity.spaces_total:
            return None
        # A Broker may book between the read and the write.
        self.store.publish(withdrawn(listing), 0 if capacity else None, if_unheld=True)
        return Outcome.withdrawn

    def resize(self, opportunity_id: str, spaces: int) -> int:
        """Give an Opportunity so many spaces, but not fewer than are held; how many it has now.

        Raises NotListed; StillBusy if others keep changing it.
        """

        def attempt() -> int:
            _, capacity = self._known(opportunity_id)
            if capacity is None:
                raise NotListed(opportunity_id)
            total = max(spaces, capacity.spaces_total - capacity.spaces_left)
            if total != capacity.spaces_total:
                self.store.resize(opportunity_id, capacity, total)
            return total

        return self.retry.run(attempt, on=(CommitRefused,))

    def standing(self, opportunity_id: str) -> int:
        """How many Orders and OrderProposals hold it; leases, which expire, are not counted."""
        count, after = 0, ""
        while holds := self.store.holds(opportunity_id, after=after, limit=_HOLDS):
            count += sum(hold.state is not HoldState.leased for hold in holds.values())
            after = str(list(holds)[-1])
        return count

    def keep_seller(
        self, seller: Seller, source: str | None = None, had_before: Callable[[], bool] = lambda: False
    ) -> Outcome:
        """Write a Seller if it is new or has changed, for the import from `source` or for no import.

        The first import owns it: an import does not change a Seller of another. `had_before` returns whether the
        import had already imported Opportunities of it; it is called for rows of release 0.1.0, which do not
        name an owner. Raises CommitRefused if another caller is faster.
        """
        known = self.store.seller_entry(seller.id)
        if source is None:
            if known is not None and known.seller == seller:
                return Outcome.unchanged
            self.store.save_seller(seller)
            return Outcome.changed if known else Outcome.added
        outcome = seller_outcome(seller, source, known, had_before)
        if outcome is not Outcome.elsewhere and not (outcome is Outcome.unchanged and _owns(source, known)):
            self.store.import_seller(seller, source)
        return outcome

    def _known(self, opportunity_id: str) -> tuple[Listing, Capacity | None]:
        found = self.store.listings([opportunity_id]).get(opportunity_id)
        if found is None:
            raise NotListed(opportunity_id)
        return found

    def _publish_next(
        self,
        before: Listing,
        after: Listing,
        capacity: Capacity | None,
        spaces: int | None,
        change: OpportunityChange | None = None,
    ) -> None:
        """Publish the next version of a listing, with its pending work, in one transaction.

        Without holders there is no pending work; the transaction checks that there are none, since a Broker may
        book between the read and the write. `change` is always applied, even if the listing shows no difference.
        """
        if change is None:
            change = change_between(before.opportunity, after.opportunity)
        if change is None:
            self.store.publish(after, spaces)
        elif capacity is None or not capacity.has_holds:
            self.store.publish(after, spaces, if_unheld=True)
        else:
            if change.kind is not ChangeKind.cancelled:
                # Read after the listing: a caller that adds an entry changes the listing too, and this write is refused.
                earlier = self.pending.entry(KIND, after.opportunity.id)
                unfinished = read_change(earlier) if earlier else None
                if change.kind is ChangeKind.withdrawn:
                    change = withdrawal_of(after.opportunity, unfinished)
                else:
                    change = change_between(before.opportunity, after.opportunity, unfinished) or change
            self.store.publish(after, spaces, pending_change(change))


def outcome_of(document: Document, known: Listing | None) -> Outcome:
    """What happens to a document for which `known` is listed. Nothing is written.

    A source speaks only for ids that it has brought in first, also after they were withdrawn: Orders may still
    hold them.
    """
    if known is None:
        return Outcome.added
    if known.source != document.source:
        return Outcome.elsewhere
    if not known.deleted and known.source_digest == document.digest:
        return Outcome.unchanged
    return Outcome.changed


def seller_outcome(
    seller: Seller, source: str, known: SellerEntry | None, had_before: Callable[[], bool]
) -> Outcome:
    """What happens to a Seller of the import from `source`; see `Inventory.keep_seller`. Nothing is written."""
    if known is None:
        return Outcome.added
    if known.source != source and not (known.is_of_0_1_0 and had_before()):
        return Outcome.elsewhere
    return Outcome.unchanged if known.seller == seller else Outcome.changed


def _owns(source: str, known: SellerEntry | None) -> bool:
    return known is not None and known.source == source


def withdrawn(listing: Listing) -> Listing:
    """The next version of a listing, in which it is deleted."""
    return replace(_next_version(listing, listing.opportunity), deleted=True, source_digest=None)


def _listing(document: Document, opportunity: Opportunity, version: int) -> Listing:
    return Listing(
        replace(opportunity, revision=version),
        version=version,
        source=document.source,
        source_digest=document.digest,
    )


def _next_version(listing: Listing, opportunity: Opportunity) -> Listing:
    version = listing.version + 1
    return replace(listing, opportunity=replace(opportunity, revision=version), version=version)


def _without_spaces(part: Json | None) -> Json:
    return {term: value for term, value in (part or {}).items() if term not in SPACES_TERMS}
