"""Updates the inventory from an intake: Sellers first, then parents, children, withdrawals.

Decides the order and the retries; `services.inventory` decides what happens to each document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache

from chalicelib.domain.capacity import Capacity
from chalicelib.domain.parties import Seller
from chalicelib.services.inventory import Document, Inventory, Outcome, outcome_of, seller_outcome
from chalicelib.storage.errors import CommitRefused, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.wire.unreadable import Cause
from openbooking.importing.bookability import NotBookable, not_bookable
from openbooking.importing.gone import (
    BATCH,
    GoneItems,
    Standing,
    imported,
    look_for_gone,
    patiently,
    with_orders,
)
from openbooking.importing.intake import Intake, LeftOut
from openbooking.importing.sale import Leaving

OnProgress = Callable[[int, int], None]

_THREADS = 4

_GONE = "it is deleted in its feed, or missing from it"


@dataclass(frozen=True)
class Withdrawal:
    """An Opportunity that was withdrawn, and the reason."""

    kind: str
    id: str
    reason: str


@dataclass
class Changes:
    """What an import has changed: counts by type, and lists of what needs a reason."""

    outcomes: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    sellers: Counter[Outcome] = field(default_factory=Counter)
    left_out: list[LeftOut] = field(default_factory=list)
    withdrawn: list[Withdrawal] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)
    """By type: Opportunities of an earlier import whose type has no feed on the site any more."""
    others_sellers: list[str] = field(default_factory=list)
    """Sellers that another source or a command added: they are not changed."""
    not_bookable: list[NotBookable] = field(default_factory=list)
    """What is imported, and cannot be booked."""
    leaving: Leaving = field(default_factory=Leaving)
    """What leaves sale of what was on sale before."""
    refusal: str | None = None
    """Why an import that is no dry run would be refused."""
    seller_outcomes: dict[str, Outcome] = field(default_factory=dict)
    stored_sellers: dict[str, Seller] = field(default_factory=dict)
    """Those of `others_sellers`, as they are stored."""
    standing: list[Standing] = field(default_factory=list)
    """Withdrawn by this import or an earlier one, not over yet, and with valid Orders."""


class TooMuchLeaves(Exception):
    """More would leave sale than the limit allows; nothing was changed. The message gives the numbers."""


def update_inventory(
    inventory: Inventory,
    intake: Intake,
    source: str,
    *,
    kinds: Collection[str],
    retry: RetryPolicy,
    now: datetime,
    deleted_means_cancelled: Collection[str] = (),
    max_leaving: Decimal | None = None,
    shared_sellers: Collection[str] = (),
    dry_run: bool = False,
    on_progress: OnProgress = lambda done, total: None,
) -> Changes:
    """Store what is new or has changed, and withdraw what `source` no longer publishes.

    `kinds` are the types whose feeds were all read to their end; other types are not withdrawn. Orders on
    withdrawn Opportunities stay valid; for types in `deleted_means_cancelled` they are cancelled, unless the
    Opportunity is over by `now`. Of the Opportunities on sale at most the share `max_leaving` may leave sale, for
    any reason (None: any share). Sellers of another source are left to it, with everything of theirs, except those in
    `shared_sellers`. With `dry_run` nothing is written or refused; the result is what would be.

    Raises TooMuchLeaves; StillBusy, where the changes so far are kept, and a repetition does the rest.
    """
    changes = Changes()
    refused = _others_sellers(inventory, intake, source, retry, changes)
    parents, children = (
        _without_sellers(documents, refused - set(shared_sellers), changes)
        for documents in (intake.parents, intake.children)
    )
    sellers = {
        seller.id: seller
        for seller in intake.sellers
        if changes.seller_outcomes[seller.id] is not Outcome.elsewhere
    }
    gone = look_for_gone(inventory, [*parents, *children], sellers, source, kinds, retry, now)
    changes.kept, changes.leaving = gone.kept, gone.leaving
    changes.not_bookable += not_bookable(children, {**changes.stored_sellers, **sellers})
    reason = None if max_leaving is None else changes.leaving.why_refused(max_leaving)
    if dry_run:
        changes.refusal = reason
        _preview(inventory, parents, children, gone, intake, retry, changes)
        return changes
    if reason is not None:
        raise TooMuchLeaves(reason)
    _keep_sellers(inventory, intake, source, refused, retry, changes)
    with ThreadPoolExecutor(_THREADS) as threads:
        total, done = len(parents) + len(children), 0
        for documents in (parents, children):  # a Broker needs the parent to show the child
            running = [threads.submit(_put_in, inventory, batch, retry) for batch in _batches(documents)]
            try:
                for finished in as_completed(running):
                    for document, outcome in finished.result():
                        _count(changes, document, outcome)
                        done += 1
                    on_progress(done, total)
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
    _withdraw(inventory, gone, intake, retry, now, deleted_means_cancelled, changes)
    return changes


def _batches(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    for start in range(0, len(documents), BATCH):
        yield documents[start : start + BATCH]


def _others_sellers(
    inventory: Inventory, intake: Intake, source: str, retry: RetryPolicy, changes: Changes
) -> set[str]:
    """The Sellers that another import has brought in: this source must not speak for them.

    One that a command has added belongs to no source: it is not changed, and may be sold for.
    """

    @cache
    def had_before() -> frozenset[str]:
        return frozenset(listing.opportunity.seller_id for listing in imported(inventory, source, retry))

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


def _without_sellers(
    documents: Sequence[Document], refused: Collection[str], changes: Changes
) -> list[Document]:
    """The documents of Sellers that this source may speak for; the others are left out."""
    kept = []
    for document in documents:
        opportunity = document.published.opportunity
        if opportunity.seller_id in refused:
            reason = f"its Seller {opportunity.seller_id} belongs to another source, and only that one may sell for it"
            changes.left_out.append(LeftOut(opportunity.type.value, opportunity.id, reason, Cause.source))
        else:
            kept.append(document)
    return kept


def _keep_sellers(
    inventory: Inventory,
    intake: Intake,
    source: str,
    refused: Collection[str],
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


def _put_in(
    inventory: Inventory, documents: Sequence[Document], retry: RetryPolicy
) -> list[tuple[Document, Outcome]]:
    ids = [document.published.opportunity.id for document in documents]
    known = patiently(retry, lambda: inventory.store.listings(ids))
    outcomes = []
    for document in documents:
        current = known.get(document.published.opportunity.id)
        outcomes.append((document, _put_one(inventory, document, current, retry)))
    return outcomes


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
    inventory: Inventory,
    parents: Sequence[Document],
    children: Sequence[Document],
    gone: GoneItems,
    intake: Intake,
    retry: RetryPolicy,
    changes: Changes,
) -> None:
    """Count what would happen, without writing it."""
    for outcome in changes.seller_outcomes.values():
        if outcome is not Outcome.elsewhere:
            changes.sellers[outcome] += 1
    for batch in (*_batches(parents), *_batches(children)):
        ids = [document.published.opportunity.id for document in batch]
        known = patiently(retry, lambda ids=ids: inventory.store.listings(ids))  # type: ignore[misc]
        for document in batch:
            listing = known.get(document.published.opportunity.id, (None, None))[0]
            _count(changes, document, outcome_of(document, listing))
    reasons = {left_out.id: left_out.reason for left_out in intake.left_out}
    for each in gone.now:
        changes.outcomes[each.kind, Outcome.withdrawn] += 1
        changes.withdrawn.append(Withdrawal(each.kind, each.id, reasons.get(each.id, _GONE)))


def _withdraw(
    inventory: Inventory,
    gone: GoneItems,
    intake: Intake,
    retry: RetryPolicy,
    now: datetime,
    deleted_means_cancelled: Collection[str],
    changes: Changes,
) -> None:
    reasons = {left_out.id: left_out.reason for left_out in (*intake.left_out, *changes.left_out)}
    withdrawn = gone.earlier
    for each in sorted(gone.now, key=lambda each: (not each.is_child, each.id)):
        reason = reasons.get(each.id, _GONE)
        # An unreadable item is still published, so it is not deleted. One that is over is not cancelled.
        is_cancelled = (
            each.kind in deleted_means_cancelled and each.id not in reasons and not each.is_over(now)
        )
        outcome = patiently(
            retry,
            lambda each=each, cancel=is_cancelled: inventory.withdraw(each.id, as_cancelled=cancel),  # type: ignore[misc]
        )
        changes.outcomes[each.kind, outcome] += 1
        if is_cancelled:
            reason += ", so it is cancelled"
        else:
            withdrawn.append(each)
        changes.withdrawn.append(Withdrawal(each.kind, each.id, reason))
    coming = [each for each in withdrawn if each.is_child and not each.is_over(now)]
    changes.standing += with_orders(inventory, coming, retry)
