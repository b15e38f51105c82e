"""Remove many Opportunities with every Order that holds one: in bounded steps that can be resumed.

Each Opportunity is noted under its dataset when it is created. Removing thousands takes longer than a request
may take: deleting a dataset turns its notes into pending work, with some dozens of Opportunities in each entry.
The request works on the entries while it has time, then the sweep does; an entry is finished when all that it
names is removed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from chalicelib.booking.cancel import erase
from chalicelib.booking.decisions import Snapshot, Wanted
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.services.attempts import carry_out
from chalicelib.services.inventory import withdrawn
from chalicelib.services.pending import Step
from chalicelib.storage import codec
from chalicelib.storage.errors import CommitRefused, StoreBusy
from chalicelib.storage.pending import CLEARING, PendingStore, PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import MAX_ACTIONS, Store
from chalicelib.values import dataclass

KIND = CLEARING

# Opportunities in one entry: one or two seconds of work. A note of a dataset names one and its parent.
STEP = 80
# Two rows each, in one transaction, for which others must wait.
_TOGETHER = 20


@dataclass(frozen=True)
class Clearing:
    """Opportunities to remove, with every Order that holds one of them."""

    opportunity_ids: tuple[str, ...]


def note_made(pending: PendingStore, dataset: str, opportunity_ids: Sequence[str], note_id: str) -> None:
    """Note what a dataset is about to create, so that it is removed even after a crash."""
    note = Clearing(tuple(opportunity_ids))
    pending.exchange((), [PendingWork(_notes_of(dataset), note_id, codec.to_json(note))])


def note_clearing(pending: PendingStore, dataset: str, new_id: Callable[[], str]) -> None:
    """Turn all notes of a dataset into pending work. This removes nothing yet. Raises StoreBusy."""
    while pending.take_over(dataset):
        continue
    while notes := pending.entries(_notes_of(dataset), STEP // 2):
        made = (each for note in notes for each in read_clearing(note).opportunity_ids)
        clearing = Clearing(tuple(dict.fromkeys(made)))
        with suppress(CommitRefused):  # another request deletes the same dataset
            pending.exchange(notes, [PendingWork(KIND, new_id(), codec.to_json(clearing))])


def read_clearing(entry: PendingWork) -> Clearing:
    """The content of an entry. Raises Undecodable."""
    return codec.from_json(entry.document, Clearing)


def take_step(entry: PendingWork, store: Store, now: datetime, retry: RetryPolicy) -> Step:
    """Remove all that an entry names. Raises CommitRefused if another request changes one of them."""
    clearing = read_clearing(entry)
    _clear(store, clearing.opportunity_ids, now, retry)
    return Step(len(clearing.opportunity_ids))


def _notes_of(dataset: str) -> str:
    return f"dataset#{dataset}"


def _clear(store: Store, opportunity_ids: Sequence[str], now: datetime, retry: RetryPolicy) -> None:
    """Withdraw the Opportunities, then erase their Orders: a withdrawn Opportunity gets no new ones."""
    listed = [listing for listing, _ in store.listings(opportunity_ids).values() if not listing.deleted]
    for start in range(0, len(listed), _TOGETHER):
        store.publish_together(
            [
                (withdrawn(each), 0 if each.opportunity.type.is_bookable else None)
                for each in listed[start : start + _TOGETHER]
            ]
        )
    holders: dict[OrderKey, None] = {}
    for opportunity_id in _held(store, opportunity_ids):
        holders |= dict.fromkeys(store.holds(opportunity_id))
    for together in _disjoint(store.orders(list(holders)).values()):
        changes = [change for order in together for change in erase(Snapshot(order=order), now).changes]
        try:
            store.commit(changes)
        except (CommitRefused, StoreBusy):  # one of them has changed: erase each separately
            for order in together:
                carry_out(
                    store,
                    Wanted(order.key),
                    lambda snapshot: erase(snapshot, now),
                    now=now,
                    retry=retry,
                )


def _held(store: Store, opportunity_ids: Sequence[str]) -> list[str]:
    """Those of which an Order holds a space."""
    return [
        opportunity_id
        for opportunity_id, (_, capacity) in store.listings(opportunity_ids).items()
        if capacity is not None and capacity.has_holds
    ]


def _disjoint(orders: Iterable[Order | DeletedOrder]) -> Iterator[list[Order]]:
    """The Orders in batches, each for one transaction, which may not write a row twice."""
    batch: list[Order] = []
    touched: set[str] = set()
    rows = 0
    for order in orders:
        if not isinstance(order, Order):
            continue
        held = order.holds().keys()
        # Its row, for each Opportunity the hold and the counters, the entry that would end a proposal, and the
        # counters of its partner.
        own = 2 + 2 * len(held) + (order.ends_at is not None)
        if batch and (touched & held or rows + own > MAX_ACTIONS):
            yield batch
            batch, touched, rows = [], set(), 0
        batch.append(order)
        touched |= held
        rows += own
    if batch:
        yield batch
