"""The text of feed pages."""

import json

import pytest

from chalicelib.domain.errors import InvalidParameterError
from chalicelib.wire.rpde import (
    MAX_CHANGE_NUMBER,
    cache_control,
    item_text,
    next_url,
    page_text,
    read_after,
)

FEED = "https://base.invalid/feeds/slots"


def test_item_carries_data_exactly_where_it_is_updated() -> None:
    """RPDE-01, RPDE-02, RPDE-10, RPDE-17: `modified` is a number, `id` is no keyword."""
    assert json.loads(item_text("updated", "Slot", "https://a.example/1", 7, {"@type": "Slot"})) == {
        "state": "updated",
        "kind": "Slot",
        "id": "https://a.example/1",
        "modified": 7,
        "data": {"@type": "Slot"},
    }
    assert "data" not in json.loads(item_text("deleted", "Slot", "https://a.example/1", 8, None))


def test_page_splices_its_items_as_they_were_stored() -> None:
    items = [item_text("deleted", "Slot", str(n), n, None) for n in (1, 2)]
    page = page_text(items, next_url(FEED, 2), is_open=True)
    assert ",".join(items) in page
    assert [item["modified"] for item in json.loads(page)["items"]] == [1, 2]


def test_only_open_feeds_carry_a_licence() -> None:
    """RPDE-16, T11."""
    assert json.loads(page_text([], FEED, is_open=True)) == {
        "next": FEED,
        "items": [],
        "license": "https://creativecommons.org/licenses/by/4.0/",
    }
    assert json.loads(page_text([], FEED, is_open=False)) == {"next": FEED, "items": []}


def test_feed_with_nothing_in_it_yet_names_itself() -> None:
    """RPDE-08, RPDE-09: not ?afterChangeNumber=0, which readers refuse."""
    assert next_url(FEED, 0) == FEED
    assert next_url(FEED, 12) == f"{FEED}?afterChangeNumber=12"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (None, 0),
        ({}, 0),
        ({"limit": "10"}, 0),
        ({"afterChangeNumber": "0"}, 0),
        ({"afterChangeNumber": "12"}, 12),
        ({"afterChangeNumber": str(MAX_CHANGE_NUMBER)}, MAX_CHANGE_NUMBER),
    ],
)
def test_place_in_the_feed_is_read(query: dict[str, str] | None, expected: int) -> None:
    """RPDE-03, RPDE-05."""
    assert read_after(query) == expected


@pytest.mark.parametrize(
    "value", ["", "-1", "1.5", "abc", "1e3", "٣", "²", str(MAX_CHANGE_NUMBER + 1), "9" * 30, "1 "]
)
def test_place_that_no_page_has_given_is_refused(value: str) -> None:
    with pytest.raises(InvalidParameterError):
        read_after({"afterChangeNumber": value})


@pytest.mark.parametrize(
    ("is_open", "is_full", "expected"),
    [
        (True, True, "public, max-age=3600"),
        (True, False, "public, max-age=8"),
        (False, True, "private, no-store"),
        (False, False, "private, no-store"),
    ],
)
def test_caching(is_open: bool, is_full: bool, expected: str) -> None:
    """RPDE-19."""
    assert cache_control(is_open=is_open, is_full=is_full) == expected
