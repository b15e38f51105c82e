"""Taking out many Opportunities with every Order that holds one: in bounded steps, resumable, nobody missed.

Each is noted when it is made, under its dataset. Thousands of them take longer to go than a request may: when
the dataset is deleted, the notes become notes of what is to go, some dozens of Opportunities in each; a note is
crossed off when all of it is gone, by whoever comes to it: the request while it has time, then the sweep.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from chalicelib.booking.cancel import erase
from chalicelib.booking.decisions import Snapshot, Wanted
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.services.attempts import carry_out
from chalicelib.services.inventory import withdrawn
from chalicelib.services.pending import Step
from chalicelib.storage import codec
from chalicelib.storage.errors import CommitRefused, StoreBusy
from chalicelib.storage.pending import PendingStore, PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import MAX_ACTIONS, Store

KIND = "clearing"

# Opportunities in one entry: a second or two of work. A note of a dataset names one and its parent.
STEP = 80
# Two rows each, in one transaction, which others have to wait for.
_TOGETHER = 20


@dataclass(frozen=True)
class Clearing:
    """Opportunities that are to go, with every Order that holds one of them."""

    opportunity_ids: tuple[str, ...]


def note_made(pending: PendingStore, dataset: str, opportunity_ids: Sequence[str], note_id: str) -> None:
    """Note what a dataset has made, before it is made: then nothing that a crash leaves behind is forgotten."""
    note = Clearing(tuple(opportunity_ids))
    pending.exchange((), [PendingWork(_notes_of(dataset), note_id, codec.to_json(note))])


def note_clearing(pending: PendingStore, dataset: str, new_id: Callable[[], str]) -> None:
    """Turn all notes of a dataset into pending work. Nothing is removed yet. Raises StoreBusy."""
    while pending.take_over(dataset):
        continue
    while notes := pending.entries(_notes_of(dataset), STEP // 2):
        made = (each for note in notes for each in read_clearing(note).opportunity_ids)
        clearing = Clearing(tuple(dict.fromkeys(made)))
        with suppress(CommitRefused):  # another request deletes the same dataset
            pending.exchange(notes, [PendingWork(KIND, new_id(), codec.to_json(clearing))])


def read_clearing(entry: PendingWork) -> Clearing:
    """What an entry is about. Raises Undecodable."""
    return codec.from_json(entry.document, Clearing)


def take_step(entry: PendingWork, store: Store, now: datetime, retry: RetryPolicy) -> Step:
    """Remove all that an entry names. Raises CommitRefused where somebody else changes one of them."""
    clearing = read_clearing(entry)
    _clear(store, clearing.opportunity_ids, now, retry)
    return Step(len(clearing.opportunity_ids))


def _notes_of(dataset: str) -> str:
    return f"dataset#{dataset}"


def _clear(store: Store, opportunity_ids: Sequence[str], now: datetime, retry: RetryPolicy) -> None:
    """Withdraw them, then erase the Orders: once withdrawn, an Opportunity gets no more of them."""
    standing = [listing for listing, _ in store.listings(opportunity_ids).values() if not listing.deleted]
    for start in range(0, len(standing), _TOGETHER):
        store.publish_together(
            [
                (withdrawn(each), 0 if each.opportunity.type.is_bookable else None)
                for each in standing[start : start + _TOGETHER]
            ]
        )
    holders: dict[OrderKey, None] = {}
    for opportunity_id in _held(store, opportunity_ids):
        holders |= dict.fromkeys(store.holds(opportunity_id))
    for together in _disjoint(store.orders(list(holders)).values()):
        changes = [change for order in together for change in erase(Snapshot(order=order), now).changes]
        try:
            store.commit(changes)
        except (CommitRefused, StoreBusy):  # one of them has changed: each by itself
            for order in together:
                carry_out(
                    store,
                    Wanted(order.key),
                    lambda snapshot: erase(snapshot, now),
                    now=now,
                    retry=retry,
                )


def _held(store: Store, opportunity_ids: Sequence[str]) -> list[str]:
    """Those of which somebody holds a space."""
    return [
        opportunity_id
        for opportunity_id, (_, capacity) in store.listings(opportunity_ids).items()
        if capacity is not None and (capacity.spaces_left < capacity.spaces_total or capacity.spaces_leased)
    ]


def _disjoint(orders: Iterable[Order | DeletedOrder]) -> Iterator[list[Order]]:
    """In batches for one transaction each, which may touch no row twice."""
    batch: list[Order] = []
    touched: set[str] = set()
    for order in orders:
        if not isinstance(order, Order):
            continue
        held = order.holds().keys()
        actions = len(batch) + 2 * len(touched) + 1 + 2 * len(held)
        if batch and (touched & held or actions > MAX_ACTIONS):
            yield batch
            batch, touched = [], set()
        batch.append(order)
        touched |= held
    if batch:
        yield batch
