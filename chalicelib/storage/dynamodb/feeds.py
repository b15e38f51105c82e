"""The rows of the feeds: appended in order of commit, read a page at a time.

A feed has a counter, its items by change number, and for each item a pointer to its change number.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from pynamodb.exceptions import PynamoDBException, TransactWriteError, UpdateError

from chalicelib.domain.limits import MAX_PAGE_BYTES, carried_bytes
from chalicelib.storage import codec
from chalicelib.storage.codec import Undecodable
from chalicelib.storage.dynamodb.calls import Raw, batch_get, passing_faults, row_name
from chalicelib.storage.dynamodb.rows import to_seconds
from chalicelib.storage.dynamodb.scans import scan_whole
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.dynamodb.transaction import Transaction
from chalicelib.storage.errors import CommitRefused, EntryRefused, FeedMoved
from chalicelib.storage.feeds import FeedEntry, FeedState, PageRows, Pointer, StoredItem

# A deleted item stays readable for at least seven days (RPDE-11); TTL takes it some time later.
DELETED_KEPT_FOR = timedelta(days=8)

# After an item has moved to a later row, its old row stays for a while, empty, so that recent change numbers
# have no gaps (see `_settled`).
VACATED_KEPT_FOR = timedelta(hours=1)
SETTLES_WITHIN = timedelta(minutes=10)

# Queries that one page may make after the first, each of a megabyte or about 8,000 empty rows; together about
# two thirds of what a partition serves in a second.
FURTHER_READS = 8

_COUNTER = "counter"
_CHANGE = "change#"
_ITEM = "item#"


class DynamoFeeds:
    """The feeds in DynamoDB."""

    def __init__(self, tables: Tables, further_reads: int = FURTHER_READS) -> None:
        self._tables = tables
        self._further_reads = further_reads

    def state(self, feed_id: str, item_ids: Sequence[str]) -> FeedState:
        table = self._tables.feeds.Meta.table_name
        entries = [_COUNTER, *(f"{_ITEM}{item_id}" for item_id in item_ids)]
        keys = [(table, {"feed_id": {"S": feed_id}, "entry": {"S": entry}}) for entry in entries]
        counter, pointers, turn = 0, {}, dict[str, Any]()
        for raw in batch_get(self._tables.connection, keys).get(table, []):
            entry, number = raw["entry"]["S"], int(raw["change_number"]["N"])
            if entry == _COUNTER:
                counter = number
                if "turn_ends_at" in raw:
                    ends_at = datetime.fromtimestamp(int(raw["turn_ends_at"]["N"]) / 1000, UTC)
                    turn = {"turn_of": raw["turn_of"]["S"], "turn_ends_at": ends_at}
            else:
                pointers[entry.removeprefix(_ITEM)] = Pointer(number, int(raw["version"]["N"]))
        return FeedState(counter, pointers, **turn)

    def append(self, feed_id: str, counter: int, entries: Sequence[FeedEntry], now: datetime) -> None:
        feeds = self._tables.feeds
        transaction = Transaction(self._tables.connection)
        # The counter moves in the same transaction as the rows. If the number were assigned first, a
        # slower writer could publish 41 after readers had passed 42 (RPDE-06).
        last = max(counter, *(entry.change_number for entry in entries))
        unchanged = feeds.change_number == counter
        transaction.update(
            feeds(feed_id, _COUNTER),
            [feeds.change_number.set(last), feeds.turn_of.remove(), feeds.turn_ends_at.remove()],
            unchanged if counter else feeds.entry.does_not_exist() | unchanged,
        )
        for entry in entries:
            # The counter and the pointers were read in one call but not in one transaction, so each is checked.
            unmoved = (
                feeds.version == entry.replaces.version if entry.replaces else feeds.entry.does_not_exist()
            )
            pointer = feeds(
                feed_id,
                f"{_ITEM}{entry.item_id}",
                change_number=entry.change_number,
                version=entry.version,
            )
            transaction.put(pointer, unmoved)
            if entry.text is not None:
                row = feeds(
                    feed_id,
                    _change(entry.change_number),
                    item=codec.pack_texts(entry.text),
                    written_at=to_seconds(now),
                )
                row.expires_at = to_seconds(now + DELETED_KEPT_FOR) if entry.is_deleted else None
                transaction.put(row)
            if entry.vacates:
                vacate = [feeds.item.remove(), feeds.expires_at.set(to_seconds(now + VACATED_KEPT_FOR))]
                transaction.update(feeds(feed_id, _change(entry.vacates)), vacate)
        try:
            transaction.write()
        except CommitRefused as refusal:
            raise FeedMoved(feed_id) from refusal
        except PynamoDBException as error:
            if not _never_writable(error):
                raise
            raise EntryRefused(f"the feed {feed_id} cannot take it") from error

    def take_turn(self, feed_id: str, writer: str, now: datetime, until: datetime) -> None:
        feeds = self._tables.feeds
        is_free = feeds.turn_ends_at.does_not_exist() | (feeds.turn_ends_at <= _milliseconds(now))
        actions: list[Any] = [feeds.turn_of.set(writer), feeds.turn_ends_at.set(_milliseconds(until))]
        try:
            with passing_faults(row_name(self._tables.name("feeds"), feed_id)):
                feeds(feed_id, _COUNTER).update(actions, feeds.change_number.exists() & is_free)
        except UpdateError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise

    def items(self, feed_id: str, after: str, limit: int) -> list[str]:
        feeds = self._tables.feeds
        # Ids are UUIDs: a blank comes before all of their characters, a tilde after.
        following = feeds.entry.between(f"{_ITEM}{after} ", f"{_ITEM}~")
        with passing_faults(row_name(self._tables.name("feeds"), feed_id)):
            found = list(feeds.query(feed_id, following, consistent_read=True, limit=limit))
        return [row.entry.removeprefix(_ITEM) for row in found]

    def page(self, feed_id: str, after: int, limit: int, now: datetime) -> PageRows:
        # One Query, even if it ends early because it has read a megabyte; more only if the rows are empty because
        # many items have moved. A page without items would end the feed (RPDE-09).
        found, more = self._rows_after(feed_id, after, limit, now)
        for _ in range(self._further_reads):
            if not more or any("item" in raw for raw in found):
                break
            found, more = self._rows_after(feed_id, _number(found[-1]), None, now)
        items: list[str] = []
        size = 0
        for position, raw in enumerate(found):
            if "item" not in raw:
                continue
            text = _item(raw)
            size += carried_bytes(text)
            # A page ends before the item that would make it too large; a single one is never too large.
            if items and (len(items) == limit or size > MAX_PAGE_BYTES):
                found, more = found[:position], True
                break
            items.append(text)
        if not items:
            return PageRows((), _number(found[-1]) if more else None, more=more)
        return PageRows(tuple(items), _number(found[-1]), more=more)

    def feed_ids(self) -> Iterator[str]:
        table, seen = self._tables.feeds.Meta.table_name, set[str]()
        for raw in scan_whole(self._tables, table, attributes=("feed_id",)):
            feed_id = raw["feed_id"]["S"]
            if feed_id not in seen:
                seen.add(feed_id)
                yield feed_id

    def pointers(self, feed_id: str, after: str, limit: int) -> dict[str, Pointer]:
        # Every item has an id: from the least text after the prefix and `after` up to the end of the items ($
        # follows #).
        following = self._tables.feeds.entry.between(f"{_ITEM}{after}\0", _ITEM.replace("#", "$"))
        found = self._query(feed_id, following, limit)
        return {
            raw["entry"]["S"].removeprefix(_ITEM): Pointer(
                int(raw["change_number"]["N"]), int(raw["version"]["N"])
            )
            for raw in found
        }

    def walk(self, feed_id: str, after: int, limit: int) -> list[StoredItem]:
        following = self._tables.feeds.entry.between(_change(after + 1), _change(10**16 - 1))
        return [_stored(raw) for raw in self._query(feed_id, following, limit)]

    def stored(self, feed_id: str, change_numbers: Sequence[int]) -> dict[int, StoredItem]:
        table = self._tables.feeds.Meta.table_name
        keys = [
            (table, {"feed_id": {"S": feed_id}, "entry": {"S": _change(number)}})
            for number in dict.fromkeys(change_numbers)
        ]
        found = batch_get(self._tables.connection, keys).get(table, [])
        return {_number(raw): _stored(raw) for raw in found}

    def last(self, feed_id: str) -> int:
        every = self._tables.feeds.entry.between(_change(0), _change(10**16 - 1))
        found = self._query(feed_id, every, 1, backwards=True)
        return _number(found[0]) if found else 0

    def raise_counter(self, feed_id: str, counter: int, to: int, now: datetime) -> None:
        feeds = self._tables.feeds
        transaction = Transaction(self._tables.connection)
        unchanged = feeds.change_number == counter
        transaction.update(
            feeds(feed_id, _COUNTER),
            [feeds.change_number.set(to)],
            unchanged if counter else feeds.entry.does_not_exist() | unchanged,
        )
        # An empty row before the next number: readers would wait at a gap there (see `_settled`).
        transaction.put(feeds(feed_id, _change(to), expires_at=to_seconds(now + VACATED_KEPT_FOR)))
        try:
            transaction.write()
        except CommitRefused as refusal:
            raise FeedMoved(feed_id) from refusal

    def adopt(self, feed_id: str, pointers: Mapping[str, Pointer]) -> None:
        feeds = self._tables.feeds
        for item_id, pointer in pointers.items():
            transaction = Transaction(self._tables.connection)
            row = feeds(
                feed_id,
                f"{_ITEM}{item_id}",
                change_number=pointer.change_number,
                version=pointer.version,
            )
            transaction.put(row, feeds.entry.does_not_exist())
            with suppress(CommitRefused):  # it has one
                transaction.write()

    def vacate(self, feed_id: str, change_number: int, item_id: str, now: datetime) -> bool:
        feeds = self._tables.feeds
        transaction = Transaction(self._tables.connection)
        elsewhere = feeds.entry.does_not_exist() | (feeds.change_number != change_number)
        transaction.check(feeds, feed_id, elsewhere, range_key=f"{_ITEM}{item_id}")
        row = feeds(feed_id, _change(change_number))
        transaction.update(
            row, [feeds.item.remove(), feeds.expires_at.set(to_seconds(now + VACATED_KEPT_FOR))]
        )
        try:
            transaction.write()
        except CommitRefused:
            return False
        return True

    def _query(self, feed_id: str, following: Any, limit: int, *, backwards: bool = False) -> list[Raw]:
        """As many rows as requested, even if one Query ends early because it has read a megabyte."""
        found: list[Raw] = []
        start = None
        while len(found) < limit:
            with passing_faults(row_name(self._tables.name("feeds"), feed_id)):
                answer: dict[str, Any] = self._tables.connection.query(
                    self._tables.feeds.Meta.table_name,
                    feed_id,
                    range_key_condition=following,
                    consistent_read=True,
                    limit=limit - len(found),
                    exclusive_start_key=start,
                    scan_index_forward=not backwards,
                )
            found += answer["Items"]
            start = answer.get("LastEvaluatedKey")
            if not start:
                break
        return found

    def _rows_after(
        self, feed_id: str, after: int, limit: int | None, now: datetime
    ) -> tuple[list[Raw], bool]:
        """The next rows that have settled, at most `limit`, and whether there may be more of these."""
        feeds = self._tables.feeds
        with passing_faults(row_name(self._tables.name("feeds"), feed_id)):
            answer: dict[str, Any] = self._tables.connection.query(
                feeds.Meta.table_name,
                feed_id,
                range_key_condition=feeds.entry.between(_change(after + 1), _change(10**16 - 1)),
                consistent_read=True,
                limit=limit,
            )
        settled = list(_settled(answer["Items"], after, now))
        return settled, "LastEvaluatedKey" in answer and len(settled) == len(answer["Items"])


def _never_writable(error: PynamoDBException) -> bool:
    """Whether DynamoDB refused the size of a row, a key or a transaction.

    It has no code for that. Other validation errors, for example of a table with another key, are not caused
    by the items.
    """
    causes = [(error.cause_response_code, error.cause_response_message)]
    if isinstance(error, TransactWriteError):
        causes += [(reason.code, reason.message) for reason in error.cancellation_reasons if reason]
    return any(
        code in ("ValidationError", "ValidationException") and "size" in (message or "").lower()
        for code, message in causes
    )


def _settled(found: Sequence[Raw], after: int, now: datetime) -> Iterator[Raw]:
    """The rows of a Query up to the first that may come before one that is not visible yet.

    A transaction takes effect as one, but a concurrent Query may see some of its rows and not yet
    others. A reader that continued from the last one would never read those (RPDE-06). Since no row
    is removed within the hour, a gap before a row that was just written is such a case.
    """
    last, recently = after, (now - SETTLES_WITHIN).timestamp()
    for raw in found:
        number = _number(raw)
        if number != last + 1 and "written_at" in raw and int(raw["written_at"]["N"]) > recently:
            return
        last = number
        yield raw


def _stored(raw: Raw) -> StoredItem:
    try:
        return StoredItem(_number(raw), _item(raw) if "item" in raw else None)
    except Undecodable:
        return StoredItem(_number(raw), "")  # not an item: the caller of `walk` reports it


def _item(raw: Raw) -> str:
    """The text of an item. Raises Undecodable."""
    stored = raw["item"]
    [text] = codec.unpack_texts(stored["B"]) if "B" in stored else [stored["S"]]
    return str(text)


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _change(number: int) -> str:
    return f"{_CHANGE}{number:016d}"


def _number(raw: Raw) -> int:
    return int(raw["entry"]["S"].removeprefix(_CHANGE))
