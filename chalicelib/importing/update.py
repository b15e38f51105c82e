"""Updates the inventory from an intake: Sellers first, then parents, children, withdrawals.

Decides the order and the retries; `services.inventory` decides what happens to each document.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import chain

from chalicelib.domain.capacity import Capacity
from chalicelib.domain.orders import OrderKey
from chalicelib.domain.parties import Seller
from chalicelib.domain.source_counts import CounterMode, must_recount
from chalicelib.importing.bookability import NotBookable, not_bookable
from chalicelib.importing.documents import Batch, Documents
from chalicelib.importing.gone import (
    BATCH,
    Gone,
    GoneItems,
    Standing,
    in_batches,
    look_for_gone,
    patiently,
    with_orders,
)
from chalicelib.importing.intake import Intake, LeftOut
from chalicelib.importing.sale import Leaving
from chalicelib.importing.spool import SpooledList
from chalicelib.importing.stored import Stored
from chalicelib.services.inventory import Document, Inventory, Outcome, outcome_of, seller_outcome
from chalicelib.storage.errors import CommitRefused, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.values import dataclass, field
from chalicelib.wire.unreadable import Cause

OnProgress = Callable[[int, int], None]

_THREADS = 4

_GONE = "it is deleted in its feed, or missing from it"


@dataclass(frozen=True)
class Withdrawal:
    """An Opportunity that was withdrawn, and the reason."""

    kind: str
    id: str
    reason: str


@dataclass(frozen=True)
class Oversold:
    """An Opportunity whose source has sold spaces that are held here: how many are missing, and which Orders hold it."""

    kind: str
    id: str
    name: str
    starts_at: datetime | None
    spaces: int
    orders: tuple[OrderKey, ...]


@dataclass(frozen=True)
class Counting:
    """Whose counter counts, and after which time the source knows a booking of ours."""

    mode: CounterMode = CounterMode.ours
    known_after: timedelta = timedelta()


@dataclass
class Changes:
    """What an import has changed: counts by type, and lists of what needs a reason, on disk."""

    left_out: SpooledList[LeftOut]
    withdrawn: SpooledList[Withdrawal]
    not_bookable: SpooledList[NotBookable]
    """What is imported, and cannot be booked."""
    oversold: SpooledList[Oversold]
    recounted: int = 0
    """Opportunities whose total of spaces follows a new number of the source."""
    unsettled: int = 0
    """Opportunities of which the source does not know all bookings yet, or that it has oversold."""
    outcomes: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    sellers: Counter[Outcome] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    """By type: Opportunities of an earlier import whose type has no feed on the site any more."""
    others_sellers: list[str] = field(default_factory=list)
    """Sellers that another source or a command added: they are not changed."""
    leaving: Leaving = field(default_factory=Leaving)
    """What leaves sale of what was on sale before."""
    refusal: str | None = None
    """Why an import that is no dry run would be refused."""
    seller_outcomes: dict[str, Outcome] = field(default_factory=dict)
    stored_sellers: dict[str, Seller] = field(default_factory=dict)
    """Those of `others_sellers`, as they are stored."""
    standing: list[Standing] = field(default_factory=list)
    """Withdrawn by this import or an earlier one, not over yet, and with valid Orders."""


_OURS = Counting()


class TooMuchLeaves(Exception):
    """More would leave sale than the limit allows; nothing was changed. The message gives the numbers."""


def update_inventory(
    inventory: Inventory,
    intake: Intake,
    source: str,
    *,
    stored: Stored,
    kinds: Collection[str],
    retry: RetryPolicy,
    now: datetime,
    deleted_means_cancelled: Collection[str] = (),
    max_leaving: Decimal | None = None,
    shared_sellers: Collection[str] = (),
    counting: Counting = _OURS,
    dry_run: bool = False,
    on_progress: OnProgress = lambda done, total: None,
    on_compared: Callable[[int], None] = lambda done: None,
) -> Changes:
    """Store what is new or has changed, and withdraw what `source` no longer publishes; `stored` is what it has so far.

    `kinds` are the types whose feeds were all read to their end; other types are not withdrawn. Orders on
    withdrawn Opportunities stay valid; for types in `deleted_means_cancelled` they are cancelled, unless the
    Opportunity is over by `now`. Of the Opportunities on sale at most the share `max_leaving` may leave sale, for
    any reason (None: any share). Sellers of another source are left to it, with everything of theirs, except those in
    `shared_sellers`. With `dry_run` nothing is written or refused; the result is what would be.

    Raises TooMuchLeaves; StillBusy, where the changes so far are kept, and a repetition does the rest.
    """
    spool = intake.spool
    changes = Changes(
        SpooledList(spool, key=lambda each: each.id),
        SpooledList(spool),
        SpooledList(spool),
        SpooledList(spool),
    )
    refused = _others_sellers(inventory, intake, source, stored, retry, changes) - set(shared_sellers)
    sellers = {
        seller.id: seller
        for seller in intake.sellers
        if changes.seller_outcomes[seller.id] is not Outcome.elsewhere
    }
    # Where the source's numbers count, those of unchanged documents must be compared, too.
    is_ours = counting.mode is CounterMode.ours
    gone = look_for_gone(
        inventory,
        intake,
        refused,
        sellers,
        stored,
        kinds,
        retry,
        now,
        settle_children=is_ours,
        on_compared=on_compared,
    )
    changes.kept, changes.leaving = gone.kept, gone.leaving
    for documents in (intake.parents, intake.children):
        for kind, count in documents.settled_by_kind().items():
            changes.outcomes[kind, Outcome.unchanged] += count
        _leave_out(documents, refused, changes)
    booked_for = {**changes.stored_sellers, **sellers}
    for seller_id in refused:
        booked_for.pop(seller_id, None)
    changes.not_bookable.extend(not_bookable(intake.children, intake.not_bookable, booked_for))
    reason = None if max_leaving is None else changes.leaving.why_refused(max_leaving)
    if dry_run:
        changes.refusal = reason
        _preview(inventory, gone, intake, retry, changes)
        return changes
    if reason is not None:
        raise TooMuchLeaves(reason)
    _keep_sellers(inventory, intake, source, retry, changes)
    _Writing(inventory, retry, changes, counting, now, on_progress).write(intake)
    _withdraw(inventory, gone, intake, retry, now, deleted_means_cancelled, changes)
    return changes


class _Writing:
    """Writes what is new or has changed: many documents to a transaction, and several transactions at a time.

    The documents are read by this thread; the others only wait for the store.
    """

    def __init__(
        self,
        inventory: Inventory,
        retry: RetryPolicy,
        changes: Changes,
        counting: Counting,
        now: datetime,
        on_progress: OnProgress,
    ) -> None:
        self._inventory = inventory
        self._retry = retry
        self._changes = changes
        self._counting = counting
        self._now = now
        self._on_progress = on_progress
        self._done = 0

    def write(self, intake: Intake) -> None:
        """Write parents, then children: a Broker needs the parent to show the child."""
        total = intake.parents.open_count() + intake.children.open_count()
        with ThreadPoolExecutor(_THREADS) as threads:
            for documents in (intake.parents, intake.children):
                running: deque[Future[_Written]] = deque()
                try:
                    for batch in documents.open_batches(BATCH):
                        running.append(threads.submit(self._put_in, batch))
                        if len(running) > 2 * _THREADS:
                            self._finish(running.popleft(), total)
                    while running:
                        self._finish(running.popleft(), total)
                except BaseException:
                    threads.shutdown(cancel_futures=True)
                    raise

    def _finish(self, running: Future[_Written], total: int) -> None:
        written = running.result()
        for document, outcome in written.outcomes:
            _count(self._changes, document, outcome)
            self._done += 1
        for recounted in written.recounted:
            self._changes.recounted += 1
            self._changes.unsettled += recounted is not None
            if recounted is not None and recounted.spaces:
                self._changes.oversold.append(recounted)
        self._on_progress(self._done, total)

    def _put_in(self, batch: Batch) -> _Written:
        """Write a batch. Only what the scan has found is read again; the others are written as new.

        Where that is refused, because an Opportunity belongs to another source, it is read, too.
        """
        inventory, retry = self._inventory, self._retry
        known = dict(patiently(retry, lambda: inventory.store.listings(batch.listed)))
        together = list(zip(batch.documents, inventory.put_in_together(batch.documents, known), strict=True))
        missed = [
            document.published.opportunity.id
            for document, outcome in together
            if outcome is None and document.published.opportunity.id not in known
        ]
        known |= patiently(retry, lambda: inventory.store.listings(missed))
        outcomes = [
            (
                document,
                _put_one(inventory, document, known.get(document.published.opportunity.id), retry)
                if outcome is None
                else outcome,
            )
            for document, outcome in together
        ]
        recounted = [
            self._recount(document)
            for document, outcome in outcomes
            if outcome in (Outcome.changed, Outcome.unchanged) and self._must_recount(document, known)
        ]
        return _Written(outcomes, recounted)

    def _must_recount(self, document: Document, known: Mapping[str, tuple[Listing, Capacity | None]]) -> bool:
        capacity = known.get(document.published.opportunity.id, (None, None))[1]
        stated = document.published.spaces
        return (
            capacity is not None
            and stated is not None
            and must_recount(self._counting.mode, capacity, stated)
        )

    def _recount(self, document: Document) -> Oversold | None:
        """Follow the source's number; what is not settled with it."""
        opportunity, stated = document.published.opportunity, document.published.spaces
        assert stated is not None
        mode, known_after = self._counting.mode, self._counting.known_after
        count = self._inventory.recount(opportunity.id, stated, mode, now=self._now, known_after=known_after)
        if count is None or count.is_settled:
            return None
        orders = tuple(self._inventory.holders(opportunity.id)) if count.oversold else ()
        kind, starts_at = opportunity.type.value, opportunity.starts_at
        return Oversold(kind, opportunity.id, opportunity.name, starts_at, count.oversold, orders)


@dataclass(frozen=True)
class _Written:
    outcomes: Sequence[tuple[Document, Outcome]]
    recounted: Sequence[Oversold | None]


def _others_sellers(
    inventory: Inventory,
    intake: Intake,
    source: str,
    stored: Stored,
    retry: RetryPolicy,
    changes: Changes,
) -> set[str]:
    """The Sellers that another import has brought in: this source must not speak for them.

    One that a command has added belongs to no source: it is not changed, and may be sold for.
    """

    @cache
    def had_before() -> frozenset[str]:
        return frozenset(listing.opportunity.seller_id for listing in stored)

    refused = set()
    for seller in intake.sellers:
        known = patiently(retry, lambda seller=seller: inventory.store.seller_entry(seller.id))  # type: ignore[misc]
        outcome = seller_outcome(seller, source, known, lambda seller=seller: seller.id in had_before())  # type: ignore[misc]
        changes.seller_outcomes[seller.id] = outcome
        if outcome is not Outcome.elsewhere or known is None:
            continue
        changes.others_sellers.append(seller.id)
        changes.stored_sellers[seller.id] = known.seller
        if known.source is not None:
            refused.add(seller.id)
    return refused


def _leave_out(documents: Documents, refused: Collection[str], changes: Changes) -> None:
    """Leave out the documents of Sellers that this source may not speak for."""
    for each in documents.settle_of(refused):
        reason = f"its Seller {each.seller_id} belongs to another source, and only that one may sell for it"
        changes.left_out.append(LeftOut(each.kind, each.id, reason, Cause.source))


def _keep_sellers(
    inventory: Inventory,
    intake: Intake,
    source: str,
    retry: RetryPolicy,
    changes: Changes,
) -> None:
    """Store the Sellers, before any Opportunity of theirs is visible."""
    for seller in intake.sellers:
        outcome = changes.seller_outcomes[seller.id]
        if outcome is Outcome.elsewhere:
            continue
        outcome = patiently(
            retry,
            lambda seller=seller: inventory.keep_seller(seller, source, lambda: True),  # type: ignore[misc]
        )
        changes.sellers[outcome] += 1


def _put_one(
    inventory: Inventory,
    document: Document,
    current: tuple[Listing, Capacity | None] | None,
    retry: RetryPolicy,
) -> Outcome:
    """Store one document. If it was changed since it was read, decide again from its current state."""
    opportunity_id = document.published.opportunity.id
    try:
        return inventory.put_in(document, current)
    except (CommitRefused, StoreBusy):

        def decide_again() -> Outcome:
            now = inventory.store.listings([opportunity_id]).get(opportunity_id)
            return inventory.put_in(document, now)

        return patiently(retry, decide_again)


def _count(changes: Changes, document: Document, outcome: Outcome) -> None:
    opportunity = document.published.opportunity
    if outcome is Outcome.elsewhere:
        reason = "it belongs to another source, and only that source may change it"
        changes.left_out.append(LeftOut(opportunity.type.value, opportunity.id, reason, Cause.source))
    else:
        changes.outcomes[opportunity.type.value, outcome] += 1


def _preview(
    inventory: Inventory, gone: GoneItems, intake: Intake, retry: RetryPolicy, changes: Changes
) -> None:
    """Count what would happen, without writing it."""
    for outcome in changes.seller_outcomes.values():
        if outcome is not Outcome.elsewhere:
            changes.sellers[outcome] += 1
    for batch in chain(intake.parents.open_batches(BATCH), intake.children.open_batches(BATCH)):
        ids = [document.published.opportunity.id for document in batch.documents]
        known = patiently(retry, lambda ids=ids: inventory.store.listings(ids))  # type: ignore[misc]
        for document in batch.documents:
            listing = known.get(document.published.opportunity.id, (None, None))[0]
            _count(changes, document, outcome_of(document, listing))
    for each in gone.now:
        reason = _why_left_out(each.id, intake, changes) or _GONE
        changes.outcomes[each.kind, Outcome.withdrawn] += 1
        changes.withdrawn.append(Withdrawal(each.kind, each.id, reason))


def _why_left_out(opportunity_id: str, intake: Intake, changes: Changes) -> str | None:
    found = changes.left_out.last(opportunity_id) or intake.left_out.last(opportunity_id)
    return found.reason if found else None


def _withdraw(
    inventory: Inventory,
    gone: GoneItems,
    intake: Intake,
    retry: RetryPolicy,
    now: datetime,
    deleted_means_cancelled: Collection[str],
    changes: Changes,
) -> None:
    """Withdraw what is gone: children first, many to a transaction where no Order holds them."""
    withdrawn: SpooledList[Gone] = SpooledList(intake.spool)
    for is_child in (True, False):
        for batch in in_batches(each for each in gone.now if each.is_child is is_child):
            ids = [each.id for each in batch]
            known = patiently(retry, lambda ids=ids: inventory.store.listings(ids))  # type: ignore[misc]
            reasons = [_why_left_out(each.id, intake, changes) for each in batch]
            # An unreadable item is still published, so it is not deleted. One that is over is not cancelled.
            are_cancelled = [
                each.kind in deleted_means_cancelled and reason is None and not each.is_over(now)
                for each, reason in zip(batch, reasons, strict=True)
            ]
            together = [
                known[each.id]
                for each, is_cancelled in zip(batch, are_cancelled, strict=True)
                if not is_cancelled and each.id in known
            ]
            written = inventory.withdraw_together(together)
            done = {
                found[0].opportunity.id for found, is_done in zip(together, written, strict=True) if is_done
            }
            for each, reason, is_cancelled in zip(batch, reasons, are_cancelled, strict=True):
                if each.id not in done:
                    # It may be withdrawn already: the answer to the transaction may have been lost.
                    patiently(
                        retry,
                        lambda each=each, cancel=is_cancelled: inventory.withdraw(
                            each.id, as_cancelled=cancel
                        ),  # type: ignore[misc]
                    )
                changes.outcomes[each.kind, Outcome.withdrawn] += 1
                shown = reason or _GONE
                if is_cancelled:
                    shown += ", so it is cancelled"
                elif each.is_child and not each.is_over(now):
                    withdrawn.append(each)
                changes.withdrawn.append(Withdrawal(each.kind, each.id, shown))
    earlier = (each for each in gone.earlier if each.is_child and not each.is_over(now))
    changes.standing += with_orders(inventory, chain(earlier, withdrawn), retry)
