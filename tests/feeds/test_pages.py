"""Pages as readers get them: links, licence, caching."""

import json
from datetime import datetime
from typing import Any

import pytest

from chalicelib.feeds.pages import read_page
from chalicelib.storage.feeds import FeedEntry, PageRows
from chalicelib.wire.rpde import LICENSE
from tests.support.builders import NOW
from tests.support.memory import MemoryFeeds

URL = "https://base.invalid/feeds/slots"


@pytest.fixture
def store() -> MemoryFeeds:
    """Five items."""
    store = MemoryFeeds()
    entries = [FeedEntry(str(n), n, 1, json.dumps({"id": str(n), "modified": n})) for n in range(1, 6)]
    store.append("slots", 0, entries, NOW)
    return store


def page(store: MemoryFeeds, after: int = 0, *, is_open: bool = True) -> tuple[dict[str, Any], str]:
    found = read_page(store, "slots", URL, after, NOW, is_open=is_open, limit=2)
    return json.loads(found.text), found.cache_control


def test_an_empty_feed_leads_back_to_its_own_bare_url() -> None:
    """RPDE-08: `afterChangeNumber=0` would be no number that a page has given."""
    assert page(MemoryFeeds())[0] == {"next": URL, "items": [], "license": LICENSE}


def test_pages_lead_from_one_to_the_next_until_the_last_leads_to_itself(store: MemoryFeeds) -> None:
    """RPDE-04, RPDE-08, RPDE-09."""
    seen, after, urls = [], 0, []
    for _ in range(4):
        document, _ = page(store, after)
        seen += [item["modified"] for item in document["items"]]
        urls.append(document["next"])
        after = int(document["next"].rpartition("=")[2])
    assert seen == [1, 2, 3, 4, 5]
    assert urls == [f"{URL}?afterChangeNumber={n}" for n in (2, 4, 5, 5)]


def test_a_full_page_may_be_cached_long_and_the_last_one_hardly(store: MemoryFeeds) -> None:
    """RPDE-19."""
    assert page(store)[1] == "public, max-age=3600"
    assert page(store, 4)[1] == "public, max-age=8"


def test_a_reader_is_sent_past_what_has_moved_on_where_that_is_too_much_for_one_request() -> None:
    """RPDE-09: a page without items would be the end. What has moved on never comes back, so it may be cached."""

    class Long(MemoryFeeds):
        def page(self, feed_id: str, after: int, limit: int, now: datetime) -> PageRows:
            return PageRows((), 64_000, more=True)

    found = read_page(Long(), "slots", URL, 7, NOW, is_open=True)
    assert found.continues_at == f"{URL}?afterChangeNumber=64000"
    assert found.cache_control == "public, max-age=3600"


def test_a_partners_own_feed_is_nobody_elses_and_has_no_licence(store: MemoryFeeds) -> None:
    """RPDE-19, T11."""
    document, cache_control = page(store, is_open=False)
    assert "license" not in document
    assert "public" not in cache_control
