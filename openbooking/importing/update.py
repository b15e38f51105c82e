"""Bringing the inventory in line with an intake: Sellers first, then parents, children, withdrawals.

Decides the order and how hard to try; what becomes of one document is the catalogue's decision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import TypeVar

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
    """An Opportunity that was taken out, and why."""

    kind: str
    id: str
    reason: str


@dataclass
class Changes:
    """What became of everything, counted by type, and what needs a reason."""

    outcomes: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    sellers: Counter[Outcome] = field(default_factory=Counter)
    left_out: list[LeftOut] = field(default_factory=list)
    withdrawn: list[Withdrawal] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)
    """By type: of an earlier import, while the site no longer lists a feed of that type."""


def update_inventory(
    inventory: Inventory,
    intake: Intake,
    source: str,
    *,
    kinds: Collection[str],
    retry: RetryPolicy,
    on_progress: OnProgress = lambda done, total: None,
) -> Changes:
    """Put in what is new or has changed, and withdraw what `source` had before and has no longer.

    `kinds` are the types whose feeds were all read to their end: only of these anything is
    withdrawn. Raises StillBusy; what was done by then stays, and a repetition does the rest.
    """
    changes = Changes()
    for seller in intake.sellers:
        # Before anything that can be booked from it is visible.
        outcome = _patiently(retry, lambda seller=seller: inventory.keep_seller(seller))  # type: ignore[misc]
        changes.sellers[outcome] += 1
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
    _withdraw_others(inventory, intake, source, kinds, retry, changes)
    return changes


def _put_in(
    inventory: Inventory, documents: Sequence[Document], retry: RetryPolicy
) -> list[tuple[Document, Outcome]]:
    ids = [document.published.opportunity.id for document in documents]
    known = _patiently(retry, lambda: inventory.store.listings(ids))
    outcomes = []
    for document in documents:
        current = known.get(document.published.opportunity.id, (None, None))[0]
        outcomes.append((document, _put_one(inventory, document, current, retry)))
    return outcomes


def _put_one(
    inventory: Inventory, document: Document, current: Listing | None, retry: RetryPolicy
) -> Outcome:
    """Where somebody else has changed it since it was read, decides again on what it is now."""
    opportunity_id = document.published.opportunity.id
    try:
        return inventory.put_in(document, current)
    except (CommitRefused, StoreBusy):

        def decide_again() -> Outcome:
            now = inventory.store.listings([opportunity_id]).get(opportunity_id, (None, None))[0]
            return inventory.put_in(document, now)

        return _patiently(retry, decide_again)


def _count(changes: Changes, document: Document, outcome: Outcome) -> None:
    opportunity = document.published.opportunity
    if outcome is Outcome.elsewhere:
        reason = "the inventory has it from another source, which alone may change it"
        changes.left_out.append(LeftOut(opportunity.type.value, opportunity.id, reason))
    else:
        changes.outcomes[opportunity.type.value, outcome] += 1


def _withdraw_others(
    inventory: Inventory,
    intake: Intake,
    source: str,
    kinds: Collection[str],
    retry: RetryPolicy,
    changes: Changes,
) -> None:
    taken = {document.published.opportunity.id for document in (*intake.parents, *intake.children)}
    reasons = {left_out.id: left_out.reason for left_out in intake.left_out}
    gone: list[Listing] = []
    for listing in _patiently(retry, lambda: list(inventory.store.imported_from(source))):
        opportunity = listing.opportunity
        if listing.deleted or opportunity.id in taken:
            continue
        if opportunity.type.value in kinds:
            gone.append(listing)
        else:
            changes.kept[opportunity.type.value] += 1
    for listing in _children_first(gone):
        opportunity_id, kind = listing.opportunity.id, listing.opportunity.type.value
        outcome = _patiently(
            retry,
            lambda opportunity_id=opportunity_id: inventory.withdraw(opportunity_id),  # type: ignore[misc]
        )
        changes.outcomes[kind, outcome] += 1
        reason = reasons.get(opportunity_id, "its feed no longer has it, or has it as deleted")
        changes.withdrawn.append(Withdrawal(kind, opportunity_id, reason))


def _children_first(listings: Sequence[Listing]) -> Iterator[Listing]:
    yield from sorted(
        listings, key=lambda each: (not each.opportunity.type.traits.parents, each.opportunity.id)
    )


def _patiently(retry: RetryPolicy, action: Callable[[], T]) -> T:
    """What `action` returns, tried again where others were faster or the store was busy. Raises StillBusy."""
    return retry.run(action, on=(CommitRefused, StoreBusy))
