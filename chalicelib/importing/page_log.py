"""Keeps the pages of a source's feeds that were read, so that the next run continues where this one ends.

They are rows of the table of unfinished work, under separate kinds: the reading of a source is never finished.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator
from itertools import count

from chalicelib.importing.harvest import Page
from chalicelib.storage.errors import CommitRefused, StoreBusy
from chalicelib.storage.pending import PAGES, PendingStore, PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass, field

# Of the text of one row; DynamoDB takes 400 KB.
_ROW_CHARACTERS = 300_000
_ROWS_AT_ONCE = 20


@dataclass
class PageLog:
    """The pages of one source in one generation: a complete reading from the start, and all that came after it."""

    pending: PendingStore
    retry: RetryPolicy
    source: str
    generation: int
    _numbers: dict[str, Iterator[int]] = field(default_factory=dict)

    def pages(self, feed_url: str) -> Iterator[Page]:
        """The pages of a feed, oldest first. Raises StillBusy."""
        number, parts = 0, []
        for row in self._rows(feed_url):
            parts.append(row.document)
            if row.progress:
                continue  # the page has another part
            yield _read("".join(parts))
            number, parts = number + 1, []
        self._numbers[feed_url] = count(number)

    def add(self, feed_url: str, page: Page) -> None:
        """Keep a page after those that `pages` has returned. Raises StillBusy; CommitRefused if another run is adding."""
        number = next(self._numbers.setdefault(feed_url, count()))
        text = _text(page)
        parts = [text[start : start + _ROW_CHARACTERS] for start in range(0, len(text), _ROW_CHARACTERS)]
        for part, document in enumerate(parts):
            has_more = "more" if part + 1 < len(parts) else ""
            row = PendingWork(self._kind(feed_url), f"{number:08d}#{part:04d}", document, progress=has_more)
            self.retry.run(lambda row=row: self.pending.exchange((), [row]), on=(StoreBusy,))  # type: ignore[misc]

    def clear(self, feed_url: str) -> None:
        """Remove the pages of a feed. Raises StillBusy."""
        while rows := self._read_rows(feed_url, ""):
            for row in rows:
                self.retry.run(lambda row=row: self.pending.finish(row), on=(CommitRefused, StoreBusy))  # type: ignore[misc]

    def _rows(self, feed_url: str) -> Iterator[PendingWork]:
        after = ""
        while rows := self._read_rows(feed_url, after):
            yield from rows
            after = rows[-1].id

    def _read_rows(self, feed_url: str, after: str) -> list[PendingWork]:
        kind = self._kind(feed_url)
        return self.retry.run(lambda: self.pending.entries(kind, _ROWS_AT_ONCE, after), on=(StoreBusy,))

    def _kind(self, feed_url: str) -> str:
        name = f"{self.source} {self.generation} {feed_url}"
        return PAGES + hashlib.sha256(name.encode()).hexdigest()[:32]


def _text(page: Page) -> str:
    body = json.dumps([page.url, page.following, page.items]).encode()
    return base64.b64encode(zlib.compress(body, 6)).decode()


def _read(text: str) -> Page:
    return Page(*json.loads(zlib.decompress(base64.b64decode(text))))
