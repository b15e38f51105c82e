"""Updates the inventory from an intake: Sellers first, then parents, children, withdrawals.

Decides the order and the retries; `services.inventory` decides what happens to each document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TypeVar

from chalicelib.domain.capacity import Capacity
from chalicelib.services.inventory import Document, Inventory, Outcome
from chalicelib.storage.errors import CommitRefused, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from openbooking.importing.intake import Intake, LeftOut

T = TypeVar("T")
OnProgress = Callable[[int, int], None]

# One BatchGetItem takes 100 keys, and an Opportunity has two rows.
_BATCH = 50
_THREADS = 4


@dataclass(frozen=True)
class Withdrawal:
    """An Opportunity that was withdrawn, and the reason."""

    kind: str
    id: str
    reason: str


@dataclass(frozen=True)
class Standing:
    """An Opportunity that its source no longer publishes, with the number of Orders and OrderProposals on it."""

    kind: str
    id: str
    name: str
    starts_at: datetime | None
    orders: int


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
    standing: list[Standing] = field(default_factory=list)
    """Withdrawn by this import or an earlier one, not over yet, and with valid Orders."""


def update_inventory(
    inventory: Inventory,
    intake: Intake,
    source: str,
    *,
    kinds: Collection[str],
    retry: RetryPolicy,
    now: datetime,
    deleted_means_cancelled: Collection[str] = (),
    on_progress: OnProgress = lambda done, total: None,
) -> Changes:
    """Store what is new or has changed, and withdraw what `source` no longer publishes.

    `kinds` are the types whose feeds were all read to their end; other types are not withdrawn. Orders on
    withdrawn Opportunities stay valid; for types in `deleted_means_cancelled` they are cancelled, unless the
    Opportunity is over by `now`. Raises StillBusy; the changes so far are kept, and a repetition does the rest.
    """
    changes = Changes()
    _keep_sellers(inventory, intake, source, retry, changes)
    with ThreadPoolExecutor(_THREADS) as threads:
        total, done = len(intake.parents) + len(intake.children), 0
        for documents in (intake.parents, intake.children):  # a Broker needs the parent to show the child
            batches = [documents[start : start + _BATCH] for start in range(0, len(documents), _BATCH)]
            running = [threads.submit(_put_in, inventory, batch, retry) for batch in batches]
            try:
                for finished in as_completed(running):
                    for document, outcome in finished.result():
                        _count(changes, document, outcome)
                        done += 1
                    on_progress(done, total)
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
    _withdraw_others(inventory, intake, source, kinds, retry, now, deleted_means_cancelled, changes)
    return changes


def _keep_sellers(
    inventory: Inventory, intake: Intake, source: str, retry: RetryPolicy, changes: Changes
) -> None:
    """Store the Sellers, before any Opportunity of theirs is visible."""

    @cache
    def had_before() -> frozenset[str]:
        return frozenset(listing.opportunity.seller_id for listing in _imported(inventory, source, retry))

    for seller in intake.sellers:
        outcome = _patiently(
            retry,
            lambda seller=seller: inventory.keep_seller(  # type: ignore[misc]
                seller, source, lambda: seller.id in had_before()
            ),
        )
        if outcome is Outcome.elsewhere:
            changes.others_sellers.append(seller.id)
        else:
            changes.sellers[outcome] += 1


def _imported(inventory: Inventory, source: str, retry: RetryPolicy) -> Iterator[Listing]:
    """All Opportunities of the source, page by page. If the store is busy, the page is read again."""
    after: str | None = None
    while True:
        page = _patiently(
            retry,
            lambda after=after: inventory.store.imported_page(source, after),  # type: ignore[misc]
        )
        yield from page.listings
        after = page.following
        if after is None:
            return


def _put_in(
    inventory: Inventory, documents: Sequence[Document], retry: RetryPolicy
) -> list[tuple[Document, Outcome]]:
    ids = [document.published.opportunity.id for document in documents]
    known = _patiently(retry, lambda: inventory.store.listings(ids))
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

        return _patiently(retry, decide_again)


def _count(changes: Changes, document: Document, outcome: Outcome) -> None:
    opportunity = document.published.opportunity
    if outcome is Outcome.elsewhere:
        reason = "it belongs to another source, and only that source may change it"
        changes.left_out.append(LeftOut(opportunity.type.value, opportunity.id, reason))
    else:
        changes.outcomes[opportunity.type.value, outcome] += 1


def _withdraw_others(
    inventory: Inventory,
    intake: Intake,
    source: str,
    kinds: Collection[str],
    retry: RetryPolicy,
    now: datetime,
    deleted_means_cancelled: Collection[str],
    changes: Changes,
) -> None:
    taken = {document.published.opportunity.id for document in (*intake.parents, *intake.children)}
    reasons = {left_out.id: left_out.reason for left_out in intake.left_out}
    gone: list[_Gone] = []
    withdrawn: list[_Gone] = []
    for listing in _imported(inventory, source, retry):
        opportunity = listing.opportunity
        if opportunity.id in taken:
            continue
        if listing.deleted:
            withdrawn.append(_gone(listing))
        elif opportunity.type.value in kinds:
            gone.append(_gone(listing))
        else:
            changes.kept[opportunity.type.value] += 1
    for each in sorted(gone, key=lambda each: (not each.is_child, each.id)):
        reason = reasons.get(each.id, "it is deleted in its feed, or missing from it")
        # An unreadable item is still published, so it is not deleted. One that is over is not cancelled.
        is_cancelled = (
            each.kind in deleted_means_cancelled and each.id not in reasons and not each.is_over(now)
        )
        outcome = _patiently(
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
    changes.standing += _with_orders(inventory, coming, retry)


@dataclass(frozen=True)
class _Gone:
    """The needed part of a Listing that its source no longer has; there may be very many."""

    kind: str
    id: str
    name: str
    starts_at: datetime | None
    ends_at: datetime | None
    is_child: bool

    def is_over(self, now: datetime) -> bool:
        end = self.ends_at or self.starts_at
        return end is not None and end <= now


def _gone(listing: Listing) -> _Gone:
    opportunity = listing.opportunity
    return _Gone(
        opportunity.type.value,
        opportunity.id,
        opportunity.name,
        opportunity.starts_at,
        opportunity.ends_at,
        opportunity.type.is_bookable,
    )


def _with_orders(inventory: Inventory, gone: Sequence[_Gone], retry: RetryPolicy) -> Iterator[Standing]:
    """Those with valid Orders, also from an earlier import, which may have been killed before it reported them."""
    for start in range(0, len(gone), _BATCH):
        batch = gone[start : start + _BATCH]
        known = _patiently(
            retry,
            lambda batch=batch: inventory.store.listings([each.id for each in batch]),  # type: ignore[misc]
        )
        for each in batch:
            capacity = known[each.id][1]
            if capacity is None or capacity.spaces_left == capacity.spaces_total:
                continue
            orders = _patiently(retry, lambda each=each: inventory.standing(each.id))  # type: ignore[misc]
            if orders:
                yield Standing(each.kind, each.id, each.name, each.starts_at, orders)


def _patiently(retry: RetryPolicy, action: Callable[[], T]) -> T:
    """Run `action`, and retry it after a conflict or if the store is busy. Raises StillBusy."""
    return retry.run(action, on=(CommitRefused, StoreBusy))
