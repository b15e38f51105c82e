"""Taking out many Opportunities with every Order that holds one: in bounded steps, resumable, nobody missed.

Each is noted when it is made, under its dataset. Thousands of them take longer to go than a request may: when
the dataset is deleted, the notes become notes of what is to go, some dozens of Opportunities in each; a note is
crossed off when all of it is gone, by whoever comes to it: the request while it has time, then the sweep.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from chalicelib.booking.cancel import erase
from chalicelib.booking.decisions import Snapshot, Wanted
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.services.attempts import carry_out
from chalicelib.services.inventory import withdrawn
from chalicelib.storage.errors import CommitRefused, StillBusy, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import MAX_ACTIONS, Clearing, Store

# Opportunities in one note: a second or two of work. A note of a dataset names one and its parent.
STEP = 80
# Notes of a dataset, each of a few hundred bytes: more than a test ever makes.
_MOST = 20_000
# Notes that are looked at together, so that two who clear at once seldom take the same.
_IN_SIGHT = 25
# How long to go on, of the 29 s that API Gateway waits for a request and the 50 s that a sweep has for everything.
_SECONDS = 15.0
# Two rows each, in one transaction, which others have to wait for.
_TOGETHER = 20


def note_clearing(store: Store, dataset: str, new_id: Callable[[], str]) -> None:
    """Note that all that a dataset has now is to go. Nothing is taken out yet. Raises StoreBusy."""
    notes = iter(store.clearings(_MOST, dataset))
    while some := list(islice(notes, STEP // 2)):
        together = dict.fromkeys(each for note in some for each in note.opportunity_ids)
        store.note_clearing(Clearing(new_id(), tuple(together)), instead_of=some)


def clear(store: Store, now: datetime, retry: RetryPolicy, *, seconds: float = _SECONDS) -> int:
    """Take out what is noted, for about so many seconds; how many Opportunities were seen to.

    What somebody else changes at the same time is left to the next call.
    """
    seen = 0
    ends_at = retry.clock() + seconds
    while notes := store.clearings(_IN_SIGHT):
        note = notes[int(retry.jitter() * len(notes)) % len(notes)]
        try:
            _clear(store, note.opportunity_ids, now, retry)
        except (CommitRefused, StoreBusy, StillBusy):
            break
        store.close_clearing(note)
        seen += len(note.opportunity_ids)
        if retry.clock() > ends_at:
            break
    return seen


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
