"""Reads an operator's dataset site and its RPDE feeds to the end, by the rules of RPDE 1.0.

Decides the last state of each item; does not know what items mean. A feed that cannot be read to its
end has failed, because the items that are missing would seem to be deleted; the other feeds are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import parse_qs, urljoin, urlsplit, urlunsplit

from chalicelib.domain.opportunity_types import OPPORTUNITY_TYPES
from chalicelib.domain.parties import Json
from chalicelib.importing.last_pages import Answer, LastPages
from chalicelib.importing.page import json_ld_blocks
from chalicelib.importing.spool import Spool, SpooledMap
from chalicelib.importing.web import NotUnderstood, SiteError, Validity, Web, parse_json
from chalicelib.values import dataclass, field
from chalicelib.wire.rpde import OPEN_FEED_MEDIA_TYPE

# Types that are read only for what others inherit from them.
ANCESTOR_TYPES = frozenset({"EventSeries", "Course"}) - frozenset(OPPORTUNITY_TYPES)
# In the order in which they are read; the units of a type follow it.
SUPPORTED = (
    *sorted(ANCESTOR_TYPES),
    *(name for kind, traits in OPPORTUNITY_TYPES.items() for name in (kind.value, traits.units) if name),
)
# What sites call feeds of a type, beside its own name.
_FEED_NAMES = {
    name: kind.value
    for kind, traits in OPPORTUNITY_TYPES.items()
    for name in traits.test_names
    if name != kind
}

MAX_PAGES = 100_000
MAX_ITEMS = 5_000_000  # all are kept on disk until the last feed is read
_SITE_TYPES = "text/html, application/ld+json, application/json;q=0.9"
_FEED_TYPES = f"{OPEN_FEED_MEDIA_TYPE}, application/json;q=0.9"
_STATES = ("updated", "deleted")
_POSITIONS = ("afterChangeNumber", "afterTimestamp", "afterId")


@dataclass(frozen=True)
class FeedAddress:
    """A feed that a dataset site lists, with the type of its items."""

    kind: str
    url: str


@dataclass(frozen=True)
class DatasetSite:
    """The feeds that a dataset site lists, and the types that are not supported."""

    url: str
    feeds: tuple[FeedAddress, ...]
    unsupported: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """The last state of an item. `data` is None if it is deleted."""

    id: str
    modified: Any
    data: Json | None


@dataclass
class Feed:
    """A feed that was read to its end: the last state of each item, and malformed items."""

    kind: str
    url: str
    items: MutableMapping[str, Item] = field(default_factory=dict)
    malformed: MutableMapping[str, str] = field(default_factory=dict)
    """The reason for each item that has no id, state or data at last, by its id or its position."""
    pages: int = 0
    deleted: int = 0
    """Of the items, those that are deleted."""

    @property
    def published(self) -> int:
        """Items that are not deleted, malformed ones included."""
        return len(self.items) - self.deleted + len(self.malformed)


@dataclass(frozen=True)
class FailedFeed:
    """A feed that could not be read to its end, and the reason."""

    kind: str
    url: str
    reason: str


@dataclass(frozen=True)
class Harvest:
    """All feeds of a dataset site with supported types: those that were read, and those that failed."""

    site: DatasetSite
    feeds: tuple[Feed, ...]
    failed: tuple[FailedFeed, ...] = ()

    def of_kind(self, kind: str) -> Iterator[Feed]:
        return (feed for feed in self.feeds if feed.kind == kind)


@dataclass(frozen=True)
class Page:
    """A page of a feed that was read earlier: its URL, that of the next one, and its items."""

    url: str
    following: str
    items: list[Any]


class Log(Protocol):
    """The pages of a source that were read, in their order: what is left of a harvest when a process ends."""

    def pages(self, feed_url: str) -> Iterator[Page]:
        """The pages of a feed."""

    def add(self, feed_url: str, page: Page) -> None:
        """Keep the next page of a feed."""


class OutOfTime(Exception):
    """The time of this process is over; the next one continues."""


def harvest(
    web: Web,
    site: DatasetSite,
    on_page: Callable[[Feed], None] = lambda feed: None,
    spool: Spool | None = None,
    *,
    log: Log | None = None,
    last_pages: LastPages | None = None,
    has_time: Callable[[], bool] = lambda: True,
) -> Harvest:
    """Read all feeds of the site to their end, into `spool`, from where `log` ends, where `last_pages` were read before.

    Raises SiteError if none of them can be read; OutOfTime.
    """
    feeds, failed = [], []
    for address in site.feeds:
        try:
            feed = read_feed(
                web, address, on_page, spool=spool, log=log, last_pages=last_pages, has_time=has_time
            )
            feeds.append(feed)
        except SiteError as error:
            failed.append(FailedFeed(address.kind, address.url, str(error)))
    if not feeds:
        raise SiteError(failed[0].reason)
    return Harvest(site, tuple(feeds), tuple(failed))


def read_site(web: Web, url: str) -> DatasetSite:
    """The feeds that the dataset site at `url` lists. Raises SiteError."""
    found = web.get(url, _SITE_TYPES)
    dataset = _dataset(found.body, url)
    listed: dict[FeedAddress, None] = {}
    unsupported: dict[str, None] = {}
    for distribution in _list(dataset.get("distribution")):
        if not isinstance(distribution, dict):
            continue
        kind = _last_segment(distribution.get("additionalType") or distribution.get("name"))
        kind = _FEED_NAMES.get(kind, kind)
        content_url = distribution.get("contentUrl")
        if kind not in SUPPORTED:
            unsupported[kind or "a feed without a type"] = None
        elif not isinstance(content_url, str) or not content_url:
            raise SiteError(f"{url} lists a feed of {kind} without its contentUrl.")
        else:
            listed[FeedAddress(kind, urljoin(found.url, content_url.strip()))] = None
    imported = [kind for kind in SUPPORTED if kind not in ANCESTOR_TYPES]
    if not any(address.kind in imported for address in listed):
        raise SiteError(f"{url} lists no feed of {', '.join(imported[:-1])} or {imported[-1]}.")
    feeds = sorted(listed, key=lambda address: SUPPORTED.index(address.kind))
    return DatasetSite(url, tuple(feeds), tuple(unsupported))


def read_feed(
    web: Web,
    address: FeedAddress,
    on_page: Callable[[Feed], None] = lambda feed: None,
    max_pages: int = MAX_PAGES,
    *,
    spool: Spool | None = None,
    log: Log | None = None,
    last_pages: LastPages | None = None,
    has_time: Callable[[], bool] = lambda: True,
) -> Feed:
    """Read a feed to its end, from where `log` ends. Raises SiteError, OutOfTime."""
    feed = new_feed(address, spool or Spool())
    last = LastPages(lambda: datetime.now(UTC)) if last_pages is None else last_pages
    url = address.url
    for page in log.pages(address.url) if log else ():
        _take_all(feed, page.items, page.url)
        url = page.following
    visited = {url}
    previous: Sequence[Any] = []
    while True:
        if not has_time():
            raise OutOfTime
        items, following = _page(web, address.url, url, last)
        feed.pages += 1
        _take_all(feed, items, url)
        on_page(feed)
        if not items and _is_same_page(url, following):
            return feed  # an empty page that names itself is the last one (RPDE-09)
        last.forget(address.url)
        if following == url:
            raise SiteError(f"{url} has items and names itself as the next page: the feed does not continue.")
        # An empty page that names another page is not the last one: a filter may have removed its items.
        if following in visited:
            raise SiteError(f"{url} leads back to {following}: the feed is a loop.")
        if items and items == previous:
            raise SiteError(f"{url} repeats the items of the page before: the feed does not continue.")
        _check_forward(url, following)
        if feed.pages >= max_pages or len(feed.items) > MAX_ITEMS:
            raise SiteError(f"{address.url} does not end after {feed.pages} pages, {len(feed.items)} items.")
        if log is not None:
            log.add(address.url, Page(url, following, items))
        visited.add(following)
        previous, url = items, following


def has_news(web: Web, site: DatasetSite, log: Log, last: LastPages) -> bool:
    """Whether a feed of the site has anything after the end of `log`, and after its last page. Raises SiteError."""
    for address in site.feeds:
        url = address.url
        for page in log.pages(address.url):
            url = page.following
        items, following = _page(web, address.url, url, last)
        last.keep(url, (items, following))
        if items or not _is_same_page(url, following):
            last.forget(address.url)
            return True
    return False


def new_feed(address: FeedAddress, spool: Spool) -> Feed:
    """A feed of which nothing has been read yet."""
    return Feed(address.kind, address.url, SpooledMap(spool), SpooledMap(spool))


def _page(web: Web, feed_url: str, url: str, last: LastPages) -> tuple[list[Any], str]:
    """The items of a page, and the address of the next one.

    What is no page is tried again: a site that is overloaded may answer with half a page, or with HTML.
    """

    def read(body: bytes) -> Json:
        try:
            page = parse_json(body)
        except ValueError:
            raise NotUnderstood("is not JSON") from None
        if not isinstance(page, dict) or not isinstance(page.get("items"), list):
            raise NotUnderstood("is not an RPDE page: it has no list of items")
        if not isinstance(page.get("next"), str) or not page["next"].strip():
            raise NotUnderstood("is not an RPDE page: it has no next")
        return page

    def fetch(known: Validity | None) -> tuple[Answer | None, Validity]:
        page, validity = web.read(url, _FEED_TYPES, read, known)
        if page is None:
            return None, validity
        return (page["items"], _next_address(url, page["next"].strip())), validity

    return last.read(feed_url, url, fetch)


def _next_address(url: str, stated: str) -> str:
    """The address of the next page, absolute and on the same host (RPDE-08). Raises SiteError.

    A relative one is relative to the page. A feed has one host. If `next` names another one, the server does not
    know its own address (often behind a proxy), or tries to make us read an address that it cannot reach itself.
    For the same reason a page that was read by https is never continued by http: behind a proxy the server
    sees http.
    """
    try:
        following = urljoin(url, stated)
        here, there = urlsplit(url), urlsplit(following)
        hosts, port = (here.hostname, there.hostname), there.port
    except ValueError:
        raise SiteError(f"{url} names {stated!r} as the next page, which is not a URL.") from None
    if there.scheme not in ("http", "https") or not hosts[1]:
        raise SiteError(f"{url} names {stated!r} as the next page, which is not an http or https URL.")
    if hosts[0] != hosts[1]:
        raise SiteError(f"{url} names {following} as the next page, which is on another host.")
    if here.scheme == "https" and there.scheme == "http":
        # The port of a server behind the proxy cannot be reached, either.
        netloc = here.netloc if port in (None, 80) or port != here.port else there.netloc
        following = urlunsplit(there._replace(scheme="https", netloc=netloc))
    return following


def _is_same_page(url: str, following: str) -> bool:
    """Whether both name one position in the feed; other parameters, such as a session, may differ."""
    if following == url:
        return True
    here, there = _place(url), _place(following)
    return here is not None and here == there


def _place(url: str) -> tuple[str, tuple[str, ...]] | None:
    parts = urlsplit(url)
    values = parse_qs(parts.query)
    position = tuple(values.get(name, [""])[0] for name in _POSITIONS)
    return (parts.path, position) if any(position) else None


def _check_forward(url: str, following: str) -> None:
    before, after = _position(urlsplit(url).query), _position(urlsplit(following).query)
    if before is not None and after is not None and after < before:
        raise SiteError(f"{url} leads back to {following}: the feed does not continue.")


def _position(query: str) -> int | None:
    """The position in the feed at which a page starts, by either ordering strategy (RPDE-03).

    None if it is not a number: then only the server knows the order.
    """
    values = parse_qs(query)
    for name in ("afterChangeNumber", "afterTimestamp"):
        value = values.get(name, [""])[0]
        if value.isdecimal() and len(value) < 40:
            return int(value)
    return None


def _take_all(feed: Feed, items: Sequence[Any], url: str) -> None:
    for position, item in enumerate(items):
        _take(feed, item, f"item {position + 1} of {url}")


def _take(feed: Feed, item: Any, where: str) -> None:
    """Store the item as the last state of its id: pages are in the order of changes (RPDE-04)."""
    if not isinstance(item, dict):
        feed.malformed[where] = "it is not a JSON object"
        return
    item_id, state = item.get("id"), item.get("state")
    if isinstance(state, str):
        state = state.strip()
    if isinstance(item_id, str):
        item_id = item_id.strip()  # some sources publish ids with white space, and delete them without
    if isinstance(item_id, bool) or not isinstance(item_id, str | int) or item_id == "":
        feed.malformed[where] = "it has no id"
        return
    item_id = str(item_id)
    earlier = feed.items.pop(item_id, None)
    feed.deleted -= earlier is not None and earlier.data is None
    if feed.malformed:
        feed.malformed.pop(item_id, None)
    if state not in _STATES:
        feed.malformed[item_id] = f"its state {state!r} is neither updated nor deleted"
    elif state == "updated" and not isinstance(item.get("data"), dict):
        feed.malformed[item_id] = "it is updated but has no data"
    else:
        data = item["data"] if state == "updated" else None
        feed.deleted += data is None
        feed.items[item_id] = Item(item_id, item.get("modified"), data)


def _dataset(body: bytes, url: str) -> Json:
    """The dataset in the JSON-LD of a page, or in a JSON document."""
    text = body.decode("utf-8", errors="replace").lstrip("\ufeff \r\n\t")
    blocks = [text] if text[:1] in ("{", "[") else json_ld_blocks(text)
    if not blocks:
        raise SiteError(f"{url} is not a dataset site: it has no JSON-LD.")
    values = [value for block in blocks if (value := _json_or_none(block)) is not None]
    if not values:
        raise SiteError(f"{url} is not a dataset site: its JSON-LD is not JSON.")
    for value in values:
        if isinstance(value, dict) and isinstance(value.get("items"), list) and "next" in value:
            raise SiteError(f"{url} is a page of a feed. Give the dataset site that lists it.")
        whole = value.get("@graph", value) if isinstance(value, dict) else value
        for each in _list(whole):
            if isinstance(each, dict) and "distribution" in each:
                return each
    raise SiteError(f"{url} is not a dataset site: its JSON-LD lists no distribution.")


def _json_or_none(block: str) -> Any:
    """The value of a block, or None: a page may have several blocks, and some of them are broken."""
    try:
        return parse_json(block)
    except ValueError:
        return None


def _last_segment(value: Any) -> str:
    """`SessionSeries` for `https://openactive.io/SessionSeries` and for `SessionSeries`."""
    text = next((each for each in _list(value) if isinstance(each, str)), "")
    return text.rstrip("/").rpartition("/")[2].rpartition("#")[2]


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
