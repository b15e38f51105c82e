"""Reading a site: which feeds it lists, and each of them to its end by the rules of RPDE."""

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import httpx
import pytest

from chalicelib.domain.parties import Json
from chalicelib.importing.harvest import DatasetSite, Feed, FeedAddress, harvest, read_feed, read_site
from chalicelib.importing.web import SiteError
from tests.importing.site import OperatorSite, session, web

FEED = "https://operator.example/feed"
ADDRESS = FeedAddress("ScheduledSession", FEED)


def item(item_id: Any, modified: int = 1, **changes: Any) -> Json:
    return {
        "state": "updated",
        "kind": "ScheduledSession",
        "id": item_id,
        "modified": modified,
        "data": {"n": modified},
        **changes,
    }


def read_pages(pages: Mapping[str, Any], max_pages: int = 1000) -> Feed:
    """The feed whose pages are these, by what follows the feed's own URL."""

    def answer(request: httpx.Request) -> httpx.Response:
        page = pages[str(request.url).removeprefix(FEED)]
        return httpx.Response(200, content=page if isinstance(page, bytes | str) else json.dumps(page))

    with closing(web(answer)) as site:
        return read_feed(site, ADDRESS, max_pages=max_pages)


def page(following: str, *items: Any) -> Json:
    return {"next": FEED + following, "items": list(items)}


def read_site_page(content: str, **headers: str) -> DatasetSite:
    with closing(web(lambda _: httpx.Response(200, content=content, headers=headers))) as site:
        return read_site(site, "https://operator.example/openactive")


def dataset(*distributions: Any) -> Json:
    return {"@type": "Dataset", "distribution": list(distributions)}


SESSIONS = {"additionalType": "https://openactive.io/ScheduledSession", "contentUrl": FEED}


# --- the dataset site ----------------------------------------------------------------------


def test_a_site_lists_its_feeds_in_html() -> None:
    operator = OperatorSite()
    operator.list_feed("Picnic")
    with closing(operator.web()) as site:
        found = read_site(site, operator.url)
    assert [address.kind for address in found.feeds] == [
        "SessionSeries",
        "ScheduledSession",
        "FacilityUse",
        "Slot",
    ]
    assert found.feeds[0].url == "https://operator.example/feeds/SessionSeries"
    assert found.unsupported == ("Picnic",)


@pytest.mark.parametrize(
    "document",
    [
        dataset(SESSIONS),
        [{"@type": "WebSite"}, dataset(SESSIONS)],
        {"@graph": [dataset(SESSIONS)]},
        dataset({**SESSIONS, "contentUrl": "/feed"}),
        dataset({"name": "ScheduledSession", "contentUrl": FEED}),
        {"distribution": SESSIONS},
        dataset(SESSIONS, SESSIONS, "nonsense"),
    ],
)
def test_a_site_may_answer_json_in_any_of_its_shapes(document: Any) -> None:
    assert read_site_page("\ufeff " + json.dumps(document)).feeds == (ADDRESS,)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<html>Hello</html>", "has no JSON-LD"),
        ('<script type="application/ld+json">{</script>', "is not JSON"),
        ('<SCRIPT TYPE="application/ld+json; charset=utf-8">{}</SCRIPT>', "lists no distribution"),
        (json.dumps(dataset()), "lists no feed of SessionSeries, "),
        (json.dumps(dataset({"additionalType": "Slot"})), "a feed of Slot without its contentUrl"),
        (json.dumps(page("", item("1"))), "is a page of a feed. Give the dataset site"),
    ],
)
def test_what_is_no_dataset_site_is_refused_with_what_is_missing(content: str, said: str) -> None:
    with pytest.raises(SiteError, match=said):
        read_site_page(content)


# --- pages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["timestamp", "change number"])
@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_a_feed_is_read_to_its_end_in_either_order(by: str, count: int) -> None:
    operator = OperatorSite(by=by)
    operator.publish(*(session(n, of=1) for n in range(count)))
    seen: list[int] = []
    with closing(operator.web()) as site:
        harvested = harvest(site, read_site(site, operator.url), lambda feed: seen.append(len(feed.items)))
    feed = next(harvested.of_kind("ScheduledSession"))
    assert len(feed.items) == count
    assert feed.pages == (count + 1) // 2 + 1
    assert seen[-1] == 0  # the empty feed of slots


def test_the_last_state_of_an_item_counts() -> None:
    feed = read_pages(
        {
            "": page("?afterChangeNumber=3", item("a", 1), item("b", 2), item("c", 3)),
            "?afterChangeNumber=3": page(
                "?afterChangeNumber=5", item("a", 4), {"state": "deleted", "id": "b"}
            ),
            "?afterChangeNumber=5": page("?afterChangeNumber=5"),
        }
    )
    assert {key: found.data for key, found in feed.items.items()} == {"a": {"n": 4}, "b": None, "c": {"n": 3}}


def test_white_space_around_an_id_is_no_part_of_it() -> None:
    gone = {"state": "deleted", "kind": "ScheduledSession", "id": "a\n", "modified": 2}
    feed = read_pages({"": page("?n=1", item("a", 1)), "?n=1": page("?n=2", gone), "?n=2": page("?n=2")})
    assert feed.items["a"].data is None


def test_an_empty_page_that_names_another_is_not_the_last() -> None:
    feed = read_pages(
        {
            "": page("?afterChangeNumber=50"),
            "?afterChangeNumber=50": page("?afterChangeNumber=60", item("a")),
            "?afterChangeNumber=60": page("?afterChangeNumber=60"),
        }
    )
    assert list(feed.items) == ["a"]


def test_a_page_that_names_itself_and_has_items_is_refused() -> None:
    with pytest.raises(SiteError, match="names itself as the next page"):
        read_pages({"": page("", item("a"))})


def test_a_loop_is_refused() -> None:
    pages = {
        "": page("?p=1", item("a")),
        "?p=1": page("?p=2", item("b")),
        "?p=2": page("?p=1", item("c")),
    }
    with pytest.raises(SiteError, match="is a loop"):
        read_pages(pages)


class Endless(dict[str, Any]):
    """Pages made up as they are asked for."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._made = 0

    def __missing__(self, key: str) -> Any:
        self._made += 1
        return self._make(self._made)


def test_ever_new_pages_with_the_same_items_are_refused() -> None:
    with pytest.raises(SiteError, match="repeats the items"):
        read_pages(Endless(lambda n: page(f"?page={n}", item("a"))))


def test_a_feed_that_goes_back_is_refused() -> None:
    with pytest.raises(SiteError, match="leads back to"):
        read_pages(Endless(lambda n: page(f"?afterTimestamp={100 - n}&afterId={n}", item(str(n), n))))


def test_a_feed_without_an_end_is_given_up() -> None:
    with pytest.raises(SiteError, match="does not end after 50 pages"):
        read_pages(Endless(lambda n: page(f"?afterTimestamp={n}", item(str(n), n))), 50)


@pytest.mark.parametrize(
    ("following", "said"),
    [
        ("file:///etc/passwd", "not an http or https URL"),
        ("http://[", "not a URL"),
        ("http://169.254.169.254/latest", "on another host"),
        (7, "has no next"),
        (None, "has no next"),
    ],
)
def test_a_next_that_leads_elsewhere_is_refused(following: Any, said: str) -> None:
    with pytest.raises(SiteError, match=said):
        read_pages({"": {"next": following, "items": [item("a")]}})


@pytest.mark.parametrize("port", ["", ":80"])
def test_behind_a_proxy_next_names_http_and_is_read_by_https(port: str) -> None:
    following = f"http://operator.example{port}/feed?p=1"
    pages = {
        "https://operator.example/feed": {"next": following, "items": [item("a")]},
        "https://operator.example/feed?p=1": {"next": following, "items": []},
    }
    with closing(web(lambda request: httpx.Response(200, json=pages[str(request.url)]))) as site:
        assert list(read_feed(site, ADDRESS).items) == ["a"]


@pytest.mark.parametrize("following", ["/feed?afterChangeNumber=1", "?afterChangeNumber=1"])
def test_a_relative_next_is_relative_to_its_page(following: str) -> None:
    """RPDE-08 wants it absolute; many sites publish a relative one."""
    pages = {
        "": {"next": following, "items": [item("a")]},
        "?afterChangeNumber=1": {"next": following, "items": []},
    }
    assert list(read_pages(pages).items) == ["a"]


@pytest.mark.parametrize("position", ["afterChangeNumber=7", "afterTimestamp=7&afterId=a"])
def test_a_next_with_a_new_session_in_it_is_the_same_page(position: str) -> None:
    pages = Endless(lambda n: page(f"?{position}&session={n}", *([item("a")] if n == 1 else [])))
    feed = read_pages(pages)
    assert (list(feed.items), feed.pages) == (["a"], 2)


@pytest.mark.parametrize("broken", ["<html>busy</html>", '{"items": [{"id": "a", "sta', '{"items": []}'])
def test_half_a_page_and_html_are_tried_again(broken: str) -> None:
    answers = [broken, json.dumps(page("?n=1", item("a"))), broken, broken, json.dumps(page("?n=1"))]
    feed = read_pages(Endless(lambda n: answers[n - 1]))
    assert list(feed.items) == ["a"]


def test_a_dead_feed_does_not_stop_the_others() -> None:
    operator = OperatorSite()
    operator.publish(session(1, of=1))
    operator.faults["/feeds/Slot"] = [httpx.Response(404)]
    with closing(operator.web()) as site:
        harvested = harvest(site, read_site(site, operator.url))
    assert [feed.kind for feed in harvested.feeds] == ["SessionSeries", "ScheduledSession", "FacilityUse"]
    assert [(feed.kind, feed.reason) for feed in harvested.failed] == [
        ("Slot", "https://operator.example/feeds/Slot answers 404.")
    ]


def test_blocks_that_are_broken_or_empty_do_not_hide_the_dataset() -> None:
    block = '<script type="application/ld+json">{}</script>'.format
    broken = block('{"@type": "WebSite", "name": "Example",}') + block("") + block('{"@type": "Thing"}')
    found = read_site_page(broken + block(json.dumps(dataset(SESSIONS))))
    assert [address.kind for address in found.feeds] == ["ScheduledSession"]
    with pytest.raises(SiteError, match="its JSON-LD is not JSON"):
        read_site_page(block("{,}"))


def test_feeds_of_slots_may_be_named_after_their_facilities() -> None:
    named = {"additionalType": "https://openactive.io/IndividualFacilityUseSlot", "contentUrl": " feed "}
    [address] = read_site_page(json.dumps(dataset(named))).feeds
    assert (address.kind, address.url) == ("Slot", "https://operator.example/feed")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<html>down for maintenance</html>", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        ("[]", "has no list of items"),
        ({"items": {}, "next": FEED}, "has no list of items"),
    ],
)
def test_what_is_no_page_is_refused(content: Any, said: str) -> None:
    with pytest.raises(SiteError, match=said):
        read_pages({"": content})


def test_items_that_are_none_are_kept_apart_with_a_reason() -> None:
    feed = read_pages(
        {
            "": page(
                "?afterChangeNumber=9",
                "text",
                item(None),
                item("a", state="gone"),
                item("b", data=None),
                item(5),
                item("c"),
                item("d", data=None),
            ),
            "?afterChangeNumber=9": page("?afterChangeNumber=10", item("c", state="lost"), item("d")),
            "?afterChangeNumber=10": page("?afterChangeNumber=10"),
        }
    )
    assert list(feed.items) == ["5", "d"]  # what "c" was before is not what it is now
    assert feed.malformed == {
        f"item 1 of {FEED}": "it is not a JSON object",
        f"item 2 of {FEED}": "it has no id",
        "a": "its state 'gone' is neither updated nor deleted",
        "b": "it is updated but has no data",
        "c": "its state 'lost' is neither updated nor deleted",
    }
