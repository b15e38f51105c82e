"""A page of a feed, as it is sent to its readers."""

from datetime import datetime

from chalicelib.storage.feeds import FeedStore
from chalicelib.values import dataclass
from chalicelib.wire.rpde import PAGE_SIZE, cache_control, item_without_prepayment, next_url, page_text


@dataclass(frozen=True)
class FeedPage:
    """The text of a page and how long it may be cached.

    `continues_at` is set instead if the read found too many rows of moved items: it is the link that continues
    the search for the next item. A page without items would mean the end of the feed.
    """

    text: str
    cache_control: str
    continues_at: str | None = None


def read_page(
    store: FeedStore,
    feed_id: str,
    feed_url: str,
    after: int,
    now: datetime,
    *,
    is_open: bool,
    limit: int = PAGE_SIZE,
    asked_limit: int | None = None,
    with_prepayment: bool = True,
) -> FeedPage:
    """The items after change number `after` (RPDE-04, RPDE-08), usually in one read.

    At most `limit` items, or `asked_limit` if that is lower (RPDE-13). Without `with_prepayment`, no item
    contains whether it is paid through the Broker (PAY-02).
    """
    rows = store.page(feed_id, after, min(asked_limit or limit, limit), now)
    link = next_url(feed_url, rows.last if rows.last is not None else after, asked_limit)
    cached = cache_control(is_open=is_open, is_full=rows.more)
    if rows.last is not None and not rows.items:
        return FeedPage("", cached, continues_at=link)
    items = rows.items if with_prepayment else [item_without_prepayment(item) for item in rows.items]
    return FeedPage(page_text(items, link, is_open=is_open), cached)
