"""The inventory: publish, change and withdraw Opportunities, in the same way for every caller.

Every new version of an Opportunity is written by `Inventory._publish_next`: a change that its holders need to
follow is written together with its pending work.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.booking.opportunity_changes import (
    ChangeKind,
    OpportunityChange,
    cancellation_of,
    change_between,
    withdrawal_of,
)
from chalicelib.domain.capacity import UNLIMITED, Capacity, Hold, HoldState, SourceCount
from chalicelib.domain.errors import RequestTooLargeError
from chalicelib.domain.limits import check_text
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.opportunity_types import SPACES_TERMS
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.parties import Json, Seller
from chalicelib.domain.source_counts import CounterMode, needs_holds, recount
from chalicelib.services.following import KIND, pending_change, read_change
from chalicelib.storage.errors import CommitRefused, OpportunityChanged, OrderTooLarge, StoreBusy
from chalicelib.storage.pending import PendingStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, Packed, SellerEntry, Store
from chalicelib.values import dataclass, replace
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
    """A published document as read, with its source and the original JSON, or its digest if that is known.

    `packed` is its Opportunity as a row keeps it, if it was packed already.
    """

    published: Published
    source: str
    basis: tuple[Json | None, ...] = ()
    known_digest: str = ""
    packed: bytes | None = None

    @property
    def digest(self) -> str:
        """Equal for equal content. The source's spaces left are not content: our counter applies."""
        if self.known_digest:
            return self.known_digest
        parts: list[Json | str] = [_without_spaces(part) for part in self.basis]
        if self.published.spaces == UNLIMITED:
            parts.append("unlimited")
        text = json.dumps(parts, sort_keys=True)
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

        The spaces of a new Opportunity start at its source's number; afterwards our counter applies, unless the
        source sets a limit or removes it.
        Orders that hold it follow. Raises CommitRefused if the listing is no longer `known`.
        """
        outcome = outcome_of(document, known[0] if known else None)
        if known is None:
            self.store.publish(
                _listing(document, document.published.opportunity, 1), document.published.spaces
            )
        if known is None or outcome in (Outcome.elsewhere, Outcome.unchanged):
            return outcome
        current, capacity = known
        spaces = document.published.spaces
        if _limit_changes(capacity, spaces):
            # Before the new version: if it is not written, the next import does both again.
            self.resize(current.opportunity.id, spaces or 0)
        self._publish_next(current, _next_listing(document, current), capacity, spaces)
        return outcome

    def put_in_together(
        self, documents: Sequence[Document], known: Mapping[str, tuple[Listing, Capacity | None]]
    ) -> list[Outcome | None]:
        """`put_in` for up to 50 documents, most of them in one transaction; the outcomes in the same order.

        None for a document that could not be written with the others: `put_in` must decide for it alone.
        """
        outcomes: list[Outcome | None] = []
        together: list[int] = []
        publications: list[tuple[Listing, int | None]] = []
        for place, document in enumerate(documents):
            current, capacity = known.get(document.published.opportunity.id, (None, None))
            outcome = outcome_of(document, current)
            outcomes.append(outcome)
            if outcome in (Outcome.elsewhere, Outcome.unchanged):
                continue
            if (capacity and capacity.has_holds) or _limit_changes(capacity, document.published.spaces):
                outcomes[place] = None  # with the pending work of its change, or with other counters
                continue
            after = (
                _next_listing(document, current)
                if current
                else _listing(document, document.published.opportunity, 1)
            )
            together.append(place)
            publications.append((after, document.published.spaces))
        for written, place in zip(self._publish_unheld(publications), together, strict=True):
            if not written:
                outcomes[place] = None
        return outcomes

    def withdraw_together(self, listings: Sequence[tuple[Listing, Capacity | None]]) -> list[bool]:
        """Withdraw up to 50 listings that no Order holds, in one transaction; which of them are withdrawn now."""
        unheld = [
            not listing.deleted and not (capacity and capacity.has_holds) for listing, capacity in listings
        ]
        written = iter(
            self._publish_unheld(
                [
                    (withdrawn(listing), 0 if capacity else None)
                    for (listing, capacity), free in zip(listings, unheld, strict=True)
                    if free
                ]
            )
        )
        return [free and next(written) for free in unheld]

    def _publish_unheld(self, publications: Sequence[tuple[Listing, int | None]]) -> list[bool]:
        """Publish versions that no Order holds, in as few transactions as possible; which are written.

        Where the store refuses some of them, or all as too large, the others are written without these.
        """
        if not publications:
            return []
        try:
            self.store.publish_together(publications, if_unheld=True)
        except CommitRefused as refused:
            reasons = {
                each.opportunity_id for each in refused.reasons if isinstance(each, OpportunityChanged)
            }
            is_fit = [listing.opportunity.id not in reasons for listing, _ in publications]
            if all(is_fit) or not any(is_fit):
                return [False] * len(publications)
            others = iter(
                self._publish_unheld([each for each, fit in zip(publications, is_fit, strict=True) if fit])
            )
            return [fit and next(others) for fit in is_fit]
        except OrderTooLarge:
            if len(publications) == 1:
                raise
            half = len(publications) // 2
            return self._publish_unheld(publications[:half]) + self._publish_unheld(publications[half:])
        except StoreBusy:
            return [False] * len(publications)
        return [True] * len(publications)

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

    def recount(
        self,
        opportunity_id: str,
        stated: int,
        mode: CounterMode,
        *,
        now: datetime,
        known_after: timedelta = timedelta(),
    ) -> SourceCount | None:
        """Adapt the total of spaces where its source now states `stated` spaces left; None if it has none to count.

        A source with the mode `source` knows a booking `known_after` it was made, and no lease and no proposal.
        The revision stays: prices and times are the same. Raises StillBusy if others keep changing it.
        """

        def attempt() -> SourceCount | None:
            listing, capacity = self.store.listings([opportunity_id]).get(opportunity_id, (None, None))
            if listing is None or listing.deleted or capacity is None:
                return None
            if capacity.is_unlimited or stated == UNLIMITED:
                return capacity.source_count  # there is nothing to count
            known_from = now - known_after
            unknown = self._unknown(opportunity_id, known_from) if needs_holds(mode, capacity) else 0
            total, count = recount(mode, capacity, stated, unknown)
            if (total, count) != (capacity.spaces_total, capacity.source_count):
                self.store.resize(opportunity_id, capacity, total, count)
            return count

        return self.retry.run(attempt, on=(CommitRefused, StoreBusy))

    def _unknown(self, opportunity_id: str, known_from: datetime) -> int:
        """The held spaces that a source does not know: leases, proposals, and bookings made after `known_from`."""
        unknown, booked = 0, {}
        for key, hold in self._all_holds(opportunity_id):
            if hold.state is HoldState.booked:
                booked[key] = hold.spaces
            else:
                unknown += hold.taken_spaces
        orders = self.store.orders(list(booked))
        for key, spaces in booked.items():
            order = orders.get(key)
            if isinstance(order, Order) and order.created_at is not None and order.created_at > known_from:
                unknown += spaces
        return unknown

    def holders(self, opportunity_id: str) -> list[OrderKey]:
        """The Orders and OrderProposals that hold spaces of it."""
        return [key for key, hold in self._all_holds(opportunity_id) if hold.state is not HoldState.leased]

    def _all_holds(self, opportunity_id: str) -> Iterator[tuple[OrderKey, Hold]]:
        after = ""
        while holds := self.store.holds(opportunity_id, after=after, limit=_HOLDS):
            yield from holds.items()
            after = str(list(holds)[-1])

    def standing(self, opportunity_id: str) -> int:
        """How many Orders and OrderProposals hold it; leases, which expire, are not counted."""
        return len(self.holders(opportunity_id))

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
    if not known.deleted and is_same_content(known.source_digest, document.digest):
        return Outcome.unchanged
    return Outcome.changed


def is_same_content(stored: str | None, digest: str | None) -> bool:
    """Whether two digests are of the same content. After a point they name what it was made of."""
    return stored is not None and digest is not None and stored.partition(".")[0] == digest.partition(".")[0]


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
    packed = None
    if opportunity.revision != version:
        opportunity = replace(opportunity, revision=version)
    elif document.packed is not None and opportunity is document.published.opportunity:
        packed = Packed(opportunity, document.packed)
    return Listing(
        opportunity,
        version=version,
        source=document.source,
        source_digest=document.digest,
        packed=packed,
    )


def _limit_changes(capacity: Capacity | None, spaces: int | None) -> bool:
    """Whether an Opportunity that had no limit gets one, or loses it."""
    return capacity is not None and spaces is not None and capacity.is_unlimited != (spaces == UNLIMITED)


def _next_listing(document: Document, current: Listing) -> Listing:
    """The next version of a listing, with the content of the document."""
    opportunity = document.published.opportunity
    if opportunity.access_channel is None:
        # Open data never contains a channel: the Seller entered it here, so an import does not remove it.
        opportunity = replace(opportunity, access_channel=current.opportunity.access_channel)
    return replace(_listing(document, opportunity, current.version + 1), closed=current.closed)


def _next_version(listing: Listing, opportunity: Opportunity) -> Listing:
    version = listing.version + 1
    return replace(listing, opportunity=replace(opportunity, revision=version), version=version)


def _without_spaces(part: Json | None) -> Json:
    return {term: value for term, value in (part or {}).items() if term not in SPACES_TERMS}
