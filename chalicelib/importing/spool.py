"""Keeps what an import has read on disk, so that its memory does not grow with the feeds.

A spool is one temporary SQLite database, which is removed when it is closed. It is used by one thread.
"""

from __future__ import annotations

import pickle
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from itertools import count
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")

# Of the database in memory; the rest is in the file.
_CACHE_KB = 8_000
_ROWS_AT_ONCE = 200
# Smaller values are not worth the time of compressing them.
_COMPRESSED_FROM = 1_000
_PLAIN, _COMPRESSED = b"\0", b"\1"


class Spool:
    """Temporary tables on disk. With "" SQLite makes its own file, which no other process can open."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for setting in (f"cache_size=-{_CACHE_KB}", "journal_mode=OFF", "synchronous=OFF", "temp_store=FILE"):
            self.database.execute(f"PRAGMA {setting}")
        self.database.execute("BEGIN")

    def close(self) -> None:
        self.database.close()

    def __del__(self) -> None:
        self.close()

    def table(self, columns: str) -> str:
        """A new table with these columns; its name."""
        name = f"t{next(self._numbers)}"
        self.database.execute(f"CREATE TABLE {name} ({columns})")
        return name

    def rows(self, query: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """The rows of a query, some at a time, so that the tables can be read meanwhile."""
        cursor = self.database.execute(query, values)
        while found := cursor.fetchmany(_ROWS_AT_ONCE):
            yield from found


def packed(value: Any) -> bytes:
    """A value for the time of an import, whatever a site has published: numbers and texts that are not valid, too."""
    data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return _PLAIN + data if len(data) < _COMPRESSED_FROM else _COMPRESSED + zlib.compress(data, 1)


def unpacked(data: bytes) -> Any:
    plain = data[1:] if data.startswith(_PLAIN) else zlib.decompress(data[1:])
    return pickle.loads(plain)  # noqa: S301 - only this process can have written it


class SpooledMap(MutableMapping[str, T], Generic[T]):
    """A dict on disk; a value that is written again moves to the end."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._table = spool.table("place INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, value BLOB")
        self._count = 0

    def __setitem__(self, key: str, value: T) -> None:
        values = (_text(key), packed(value))
        added = self._spool.database.execute(
            f"INSERT OR IGNORE INTO {self._table} (key, value) VALUES (?, ?)", values
        ).rowcount
        self._count += added
        if not added:
            self._spool.database.execute(f"REPLACE INTO {self._table} (key, value) VALUES (?, ?)", values)

    def __getitem__(self, key: str) -> T:
        found = self._spool.database.execute(
            f"SELECT value FROM {self._table} WHERE key = ?", (_text(key),)
        ).fetchone()
        if found is None:
            raise KeyError(key)
        return self._read(found[0])

    def __delitem__(self, key: str) -> None:
        gone = self._spool.database.execute(
            f"DELETE FROM {self._table} WHERE key = ?", (_text(key),)
        ).rowcount
        if not gone:
            raise KeyError(key)
        self._count -= gone

    def __iter__(self) -> Iterator[str]:
        return (_key(row[0]) for row in self._spool.rows(f"SELECT key FROM {self._table} ORDER BY place"))

    def __len__(self) -> int:
        return self._count

    def values(self) -> Iterator[T]:  # type: ignore[override]  # a view would need to be sized
        return (
            self._read(row[0]) for row in self._spool.rows(f"SELECT value FROM {self._table} ORDER BY place")
        )

    def _read(self, data: bytes) -> T:
        value: T = unpacked(data)
        return value


class SpooledList(Sequence[T], Generic[T]):
    """A list on disk. With `key`, values can be found by it."""

    def __init__(self, spool: Spool, key: Callable[[T], str] | None = None) -> None:
        self._spool, self._key = spool, key
        self._table = spool.table("place INTEGER PRIMARY KEY, key TEXT, value BLOB")
        if key is not None:
            spool.database.execute(f"CREATE INDEX {self._table}_key ON {self._table} (key)")
        self._count = 0

    def append(self, value: T) -> None:
        key = None if self._key is None else _text(self._key(value))
        self._spool.database.execute(
            f"INSERT INTO {self._table} VALUES (?, ?, ?)", (self._count, key, packed(value))
        )
        self._count += 1

    def extend(self, values: Iterable[T]) -> None:
        for value in values:
            self.append(value)

    def last(self, key: str) -> T | None:
        """The value that was added last under a key."""
        found = self._spool.database.execute(
            f"SELECT value FROM {self._table} WHERE key = ? ORDER BY place DESC LIMIT 1", (_text(key),)
        ).fetchone()
        return None if found is None else self._read(found[0])

    def __iter__(self) -> Iterator[T]:
        return (
            self._read(row[0]) for row in self._spool.rows(f"SELECT value FROM {self._table} ORDER BY place")
        )

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._count))]
        place = index + self._count if index < 0 else index
        found = self._spool.database.execute(
            f"SELECT value FROM {self._table} WHERE place = ?", (place,)
        ).fetchone()
        if found is None:
            raise IndexError(index)
        return self._read(found[0])

    def _read(self, data: bytes) -> T:
        value: T = unpacked(data)
        return value


def _text(key: str) -> str:
    """Operators' ids may contain what is no Unicode text; SQLite stores only such."""
    return key.encode("utf-8", "surrogatepass").decode("latin-1") if not key.isascii() else key


def _key(text: str) -> str:
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "surrogatepass")
