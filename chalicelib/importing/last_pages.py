"""The last pages of a source's feeds as they were read: how to ask the site whether they have changed, and when not to.

The last page of an RPDE feed is the one that is polled. A site says by its cache headers until when it is up to date
(RPDE 1.0, "Cache"), and with a validator an unchanged page needs no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from chalicelib.importing.web import Validity
from chalicelib.values import dataclass

Answer = tuple[list[Any], str]
"""The items of a page, and the URL of the next one."""
Fetch = Callable[[Validity | None], tuple[Answer | None, Validity]]
"""Fetches a page; None for one that has not changed."""


@dataclass(frozen=True)
class LastPage:
    """The last page of the feed at `feed_url`, which had no items, with what its site says of it."""

    feed_url: str
    url: str
    validity: Validity


class LastPages:
    """The last pages of a source. Pages that were fetched to look for news are not fetched again to be read."""

    def __init__(self, now: Callable[[], datetime], known: Iterable[LastPage] = ()) -> None:
        self._now = now
        self._known = {page.feed_url: page for page in known}
        self._fetched: dict[str, Answer] = {}

    def __iter__(self) -> Iterator[LastPage]:
        return iter(self._known.values())

    @property
    def are_fresh(self) -> bool:
        """Whether the site has asked not to be read yet."""
        return bool(self._known) and all(map(self._is_fresh, self))

    def read(self, feed_url: str, url: str, fetch: Fetch) -> Answer:
        """The page at `url` by `fetch`, or what is known of it if it has not changed."""
        if (fetched := self._fetched.pop(url, None)) is not None:
            return fetched
        known = self._known.get(feed_url)
        if known is None or known.url != url:
            known = None
        elif self._is_fresh(known):
            return [], url
        answer, validity = fetch(known.validity if known else None)
        self._known[feed_url] = LastPage(feed_url, url, validity)
        return ([], url) if answer is None else answer

    def keep(self, url: str, answer: Answer) -> None:
        """Keep a page that was fetched, for the next `read` of it."""
        self._fetched[url] = answer

    def forget(self, feed_url: str) -> None:
        """The page that was read is not the last one."""
        self._known.pop(feed_url, None)

    def _is_fresh(self, page: LastPage) -> bool:
        return page.validity.fresh_until is not None and self._now() < page.validity.fresh_until
