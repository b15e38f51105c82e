"""What an earlier import has brought in and the present one has not found, and what leaves sale with it."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TypeVar

from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.parties import Seller
from chalicelib.importing.intake import Intake, LeftOut, whole_of
from chalicelib.importing.sale import Leaving, is_on_sale, stays_on_sale
from chalicelib.importing.spool import Spool, SpooledList
from chalicelib.importing.stored import Stored
from chalicelib.services.inventory import Inventory, is_same_content
from chalicelib.storage.errors import CommitRefused, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.values import dataclass
from chalicelib.wire.unreadable import Cause

T = TypeVar("T")

# One BatchGetItem takes 100 keys, and an Opportunity has two rows.
BATCH = 50
# Between two signs of progress.
_COMPARED_AT_ONCE = 500


@dataclass(frozen=True)
class Standing:
    """An Opportunity that its source no longer publishes, with the number of Orders and OrderProposals on it."""

    kind: str
    id: str
    seller_id: str
    name: str
    starts_at: datetime | None
    orders: int


@dataclass(frozen=True)
class Gone:
    """The needed part of a Listing that its source no longer has; there may be very many."""

    kind: str
    id: str
    seller_id: str
    name: str
    starts_at: datetime | None
    ends_at: datetime | None
    is_child: bool

    def is_over(self, now: datetime) -> bool:
        end = self.ends_at or self.starts_at
        return end is not None and end <= now


def _gone(listing: Listing) -> Gone:
    opportunity = listing.opportunity
    return Gone(
        opportunity.type.value,
        opportunity.id,
        opportunity.seller_id,
        opportunity.name,
        opportunity.starts_at,
        opportunity.ends_at,
        opportunity.type.is_bookable,
    )


class GoneItems:
    """What this import has not found: what it must withdraw, and what an earlier one has withdrawn."""

    def __init__(self, spool: Spool) -> None:
        self.now: SpooledList[Gone] = SpooledList(spool)
        self.earlier: SpooledList[Gone] = SpooledList(spool)
        self.kept: Counter[str] = Counter()
        """By type: Opportunities that are not withdrawn, because not all feeds that could have them were read."""
        self.leaving = Leaving()
        """What leaves sale of what was on sale before."""


def patiently(retry: RetryPolicy, action: Callable[[], T]) -> T:
    """Run `action`, and retry it after a conflict or if the store is busy. Raises StillBusy."""
    return retry.run(action, on=(CommitRefused, StoreBusy))


def look_for_gone(
    inventory: Inventory,
    intake: Intake,
    refused_sellers: Collection[str],
    new_sellers: Mapping[str, Seller],
    stored: Stored,
    kinds: Collection[str],
    retry: RetryPolicy,
    now: datetime,
    *,
    settle_children: bool = True,
    on_compared: Callable[[int], None] = lambda done: None,
) -> GoneItems:
    """Compare what was read with what is `stored` of the source, before anything is written.

    `new_sellers` are the Sellers that the import will write; `kinds` the types that it may withdraw. Documents of
    `refused_sellers` are not imported. Documents that are stored already are settled, with `settle_children` children, too.
    """
    old_sellers: dict[str, Seller] = {}
    sellers = ChainMap(dict(new_sellers), old_sellers)
    gone = GoneItems(intake.spool)
    unread: dict[str, str] = {}
    for done, listing in enumerate(stored, 1):
        if done % _COMPARED_AT_ONCE == 0:
            on_compared(done)
        opportunity = listing.opportunity
        if opportunity.seller_id not in old_sellers:
            seller = patiently(retry, lambda o=opportunity: inventory.store.seller(o.seller_id))  # type: ignore[misc]
            if seller is not None:
                old_sellers[opportunity.seller_id] = seller
        documents = intake.children if opportunity.type.is_bookable else intake.parents
        digest = documents.digest(opportunity.id)
        was_on_sale = not listing.deleted and is_on_sale(opportunity, old_sellers, now)
        will_be = False
        if is_same_content(listing.source_digest, digest) and not listing.deleted:
            is_refused = opportunity.seller_id in refused_sellers
            will_be = was_on_sale and not is_refused and stays_on_sale(opportunity, sellers, now)
            if not is_refused:
                if settle_children or documents is intake.parents:
                    documents.settle(opportunity.id)
                if not settle_children:
                    documents.note_listed(opportunity.id)
                gone.leaving.count(was_on_sale, will_be)
                continue
            digest = None
        if digest is not None:
            documents.note_listed(opportunity.id)
        document = documents.find(opportunity.id) if digest is not None else None
        if document is not None and document.published.opportunity.seller_id in refused_sellers:
            document = None
        if document is not None:
            will_be = was_on_sale and stays_on_sale(document.published.opportunity, sellers, now)
        elif listing.deleted:
            gone.earlier.append(_gone(listing))
        elif opportunity.type.value in kinds or (
            opportunity.is_embedded and _parent_type(opportunity) in kinds
        ):
            gone.now.append(_gone(listing))
        else:
            gone.kept[opportunity.type.value] += 1
            will_be = was_on_sale
            if whole_id := whole_of(opportunity):
                unread[whole_id] = opportunity.id
        gone.leaving.count(was_on_sale, will_be)
    _leave_as_they_are(unread, intake)
    return gone


def _leave_as_they_are(unread: Mapping[str, str], intake: Intake) -> None:
    """Take in no course of which a sub-event stays on sale and was not read: it would be sold beside that.

    `unread`: a sub-event of each.
    """
    for whole_id, sub_event in unread.items():
        document = intake.children.find(whole_id)
        if document is not None:
            intake.children.settle(whole_id)
            kind = document.published.opportunity.type.value
            reason = f"its sub-event {sub_event} is in none of the feeds that could be read"
            intake.left_out.append(LeftOut(kind, whole_id, reason, Cause.parent))


def _parent_type(opportunity: Opportunity) -> str:
    return str((opportunity.parent or {}).get("@type"))


def in_batches(values: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """The values, so many at a time."""
    waiting = iter(values)
    while batch := list(islice(waiting, size)):
        yield batch


def with_orders(inventory: Inventory, gone: Iterable[Gone], retry: RetryPolicy) -> Iterator[Standing]:
    """Those with valid Orders, also from an earlier import, which may have been killed before it reported them."""
    for batch in in_batches(gone):
        known = patiently(
            retry,
            lambda batch=batch: inventory.store.listings([each.id for each in batch]),  # type: ignore[misc]
        )
        for each in batch:
            capacity = known[each.id][1]
            if capacity is None or capacity.spaces_left == capacity.spaces_total:
                continue
            orders = patiently(retry, lambda each=each: inventory.standing(each.id))  # type: ignore[misc]
            if orders:
                yield Standing(each.kind, each.id, each.seller_id, each.name, each.starts_at, orders)
