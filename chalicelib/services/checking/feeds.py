"""Check feeds: whether each shows the content of the store, and whether its rows agree with each other."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chalicelib.domain.orders import DeletedOrder
from chalicelib.feeds.contents import FeedContents
from chalicelib.feeds.ledger import FeedItem
from chalicelib.services.checking.findings import Damage, Finding, Subject
from chalicelib.services.checking.inventory import StoredOrder
from chalicelib.storage.feeds import FeedStore, Pointer, StoredItem
from chalicelib.values import dataclass
from chalicelib.wire.jsonld import write


@dataclass(frozen=True)
class ShownItem:
    """The content of a stored row."""

    id: str
    is_deleted: bool
    data: Any


@dataclass(frozen=True)
class FeedLook:
    """Checks some rows of feeds, strongly consistent. Every method may raise StoreBusy.

    The feed is always read before the store: so the store is never behind the feed, unless it was restored.
    """

    feeds: FeedStore
    contents: FeedContents

    def orders(self, orders: Sequence[StoredOrder]) -> Iterator[Finding]:
        """Whether each Order that must be in a feed has ever been in it."""
        wanted: dict[str, list[tuple[str, bool, StoredOrder]]] = {}
        for order in orders:
            for feed_id, item in self.contents.of_order(order).items():
                if item.data is not None or isinstance(order, DeletedOrder):
                    wanted.setdefault(feed_id, []).append((item.id, item.data is not None, order))
        known: dict[str, set[str]] = {}
        for feed_id, items in wanted.items():
            pointers = self.feeds.state(feed_id, [item_id for item_id, _, _ in items]).pointers
            known[feed_id] = set(pointers)
            for item_id, is_live, _ in items:
                if is_live and (item_id not in pointers or not pointers[item_id].change_number):
                    yield _missing(feed_id, item_id)
        yield from self._stubs(wanted, known)

    def _stubs(
        self, wanted: Mapping[str, Sequence[tuple[str, bool, StoredOrder]]], known: Mapping[str, set[str]]
    ) -> Iterator[Finding]:
        """A deleted Order must be in one of the two feeds; its stub does not contain which one.

        An Order that was deleted before a change was published was never shown; only its version is noted (DEL-03).
        """
        in_none: dict[str, str] = {}
        in_one: set[str] = set()
        for feed_id, items in wanted.items():
            for item_id, _, order in items:
                if isinstance(order, DeletedOrder):
                    if item_id in known[feed_id]:
                        in_one.add(str(order.key))
                    in_none.setdefault(str(order.key), feed_id)
        for key, feed_id in in_none.items():
            if key not in in_one:
                yield _missing(feed_id, key.rsplit("#", 1)[1], f"deleted; nor in its other feed ({key})")

    def listings(self, ids: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
        """Whether each Opportunity that is listed, by open feed, has ever been in it."""
        for feed_id, item_ids in ids.items():
            pointers = self.feeds.state(feed_id, item_ids).pointers
            for item_id in item_ids:
                if item_id not in pointers or not pointers[item_id].change_number:
                    yield _missing(feed_id, item_id)

    def items(self, feed_id: str, ids: Sequence[str]) -> Iterator[Finding]:
        """Whether the feed shows the newest version of each item that has a pointer, and no other items."""
        state = self.feeds.state(feed_id, ids)
        numbers = [pointer.change_number for pointer in state.pointers.values() if pointer.change_number]
        rows = self.feeds.stored(feed_id, numbers)
        current = self.contents.current(feed_id, list(state.pointers))
        highest = max(numbers, default=0)
        if highest > state.counter and highest > self.feeds.state(feed_id, []).counter:
            yield _counter(feed_id)
        for item_id, pointer in state.pointers.items():
            row = rows.get(pointer.change_number)
            if found := _item_damage(item_id, pointer, row, current[item_id]):
                damage, detail = found
                yield Finding(damage, f"feeds {feed_id} {item_id}", detail, Subject("item", item_id, feed_id))

    def rows(self, feed_id: str, rows: Sequence[StoredItem]) -> Iterator[Finding]:
        """Whether each row with an item is the one that its pointer points to."""
        shown = {row.change_number: read_item(row) for row in rows if row.text is not None}
        ids = dict.fromkeys(item.id for item in shown.values() if item)
        pointers = self.feeds.state(feed_id, list(ids)).pointers
        for number, item in shown.items():
            row, subject = f"feeds {feed_id} change#{number}", Subject("row", str(number), feed_id)
            if item is None:
                yield Finding(Damage.UNREADABLE, row, "no item", subject)
            elif item.id not in pointers:
                yield Finding(Damage.POINTER_MISSING, row, item.id, subject)
            elif pointers[item.id].change_number != number:
                yield Finding(Damage.ITEM_TWICE, row, item.id, subject)

    def counter(self, feed_id: str) -> Iterator[Finding]:
        """Whether the counter is at least the last change number. It is read last, since it only grows."""
        last = self.feeds.last(feed_id)
        if self.feeds.state(feed_id, []).counter < last:
            yield _counter(feed_id)


def _item_damage(
    item_id: str, pointer: Pointer, row: StoredItem | None, current: FeedItem
) -> tuple[Damage, str] | None:
    shown = read_item(row) if row is not None and row.text is not None else None
    is_live = shown is not None and shown.id == item_id and not shown.is_deleted
    versions = f"version {pointer.version} instead of {current.version}"
    if current.data is None:
        # The row of a deleted item is removed after some days.
        if is_live:
            return (Damage.ITEM_NOT_DELETED, "") if current.version else (Damage.ITEM_UNKNOWN, "")
    elif not pointer.change_number:
        return None  # it was never shown, which `orders` and `listings` report
    elif shown is None or shown.id != item_id:
        return Damage.ITEM_ROW_MISSING, f"change#{pointer.change_number}"
    elif not is_live:
        return Damage.ITEM_OUTDATED, "shown as deleted"
    elif pointer.version < current.version and not _is_same(shown, current):
        return Damage.ITEM_OUTDATED, versions
    if current.version and pointer.version > current.version:
        return Damage.ITEM_AHEAD, versions
    return None


def _is_same(shown: ShownItem | None, current: FeedItem) -> bool:
    """Whether the content is the same: equal content is not written again for a new version."""
    return shown is not None and bool(shown.data == json.loads(write(current.data)))


def read_item(row: StoredItem) -> ShownItem | None:
    """The item in a row; None if it is not an item."""
    try:
        document = json.loads(row.text or "")
        return ShownItem(str(document["id"]), document["state"] == "deleted", document.get("data"))
    except (ValueError, KeyError, TypeError):
        return None


def _missing(feed_id: str, item_id: str, detail: str = "") -> Finding:
    subject = Subject("owed", item_id, feed_id)
    return Finding(Damage.ITEM_MISSING, f"feeds {feed_id} {item_id}", detail, subject)


def _counter(feed_id: str) -> Finding:
    return Finding(Damage.COUNTER_TOO_LOW, f"feeds {feed_id} counter", "", Subject("feed", feed_id))
