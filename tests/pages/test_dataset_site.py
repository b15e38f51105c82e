"""The dataset site as people and their browsers meet it."""

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from chalicelib.pages.dataset_site import dataset_page
from chalicelib.pages.rendering import Service
from chalicelib.values import replace
from chalicelib.wire.dataset import FEEDS, DatasetDetails, dataset_document
from tests.wire.test_dataset import BASE_URL, DETAILS, full_details


def page_of(details: DatasetDetails) -> str:
    return dataset_page(Service("Open Booking", BASE_URL), dataset_document(BASE_URL, details)).text


class Reading(HTMLParser):
    """What a page says: its elements, the text of its JSON-LD scripts, its title and links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.json_ld: list[str] = []
        self.texts: dict[str, str] = {}
        self._inside: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag == "script" and dict(attrs).get("type") == "application/ld+json":
            self.json_ld.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag = self._inside[-1] if self._inside else ""
        if tag == "script" and self.json_ld:
            self.json_ld[-1] += data
        self.texts[tag] = self.texts.get(tag, "") + data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def links(self) -> list[str | None]:
        return [attributes.get("href") for attributes in self.attributes("a")]


def test_first_json_ld_of_the_page_is_the_document() -> None:
    document = dataset_document(BASE_URL, DETAILS)
    assert json.loads(Reading(page_of(DETAILS)).json_ld[0]) == document


def test_page_links_the_certificate_only_if_there_is_one() -> None:
    assert "https://booking.example/certificate/" in Reading(page_of(full_details())).links()
    assert "Conformance" not in page_of(DETAILS)


def test_page_has_language_title_and_width() -> None:
    reading = Reading(page_of(DETAILS))
    assert reading.attributes("html") == [{"lang": "en-GB"}]
    assert reading.texts["title"] == DETAILS.name
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in reading.attributes(
        "meta"
    )


def test_page_links_every_feed_and_shows_the_booking_api() -> None:
    page = page_of(DETAILS)
    reading = Reading(page)
    assert {f"{BASE_URL}/feeds/{feed.path}" for feed in FEEDS} <= set(reading.links())
    assert f"<code>{BASE_URL}/api/openbooking</code>" in page


def test_page_loads_nothing_from_elsewhere() -> None:
    reading = Reading(page_of(full_details()))
    assert [attributes.get("type") for attributes in reading.attributes("script")] == ["application/ld+json"]
    assert [attributes["href"] for attributes in reading.attributes("link")] == [f"{BASE_URL}/favicon.svg"]
    assert not any(name in ("img", "iframe") or "src" in attributes for name, attributes in reading.elements)


@pytest.mark.parametrize(
    "hostile",
    [
        "</script><script>alert(1)</script>",
        "<!--<script>",
        '"><img src=x onerror=alert(1)>',
        "Tom & Jerry's {club} \u2028\u2029 <b>bold</b>",
    ],
)
def test_no_text_can_break_out_of_the_page(hostile: str) -> None:
    details = replace(
        DETAILS, name=hostile, description=hostile, publisher_name=hostile, booking_service_name=hostile
    )
    document = dataset_document(BASE_URL, details)
    reading, plain = (
        Reading(page_of(details)),
        Reading(page_of(DETAILS)),
    )
    assert json.loads(reading.json_ld[0]) == document
    assert elements_but_texts(reading) == elements_but_texts(plain)
    assert reading.texts["title"] == hostile


def test_link_with_another_scheme_is_shown_as_text() -> None:
    details = replace(DETAILS, publisher_url="javascript:alert(1)")
    reading = Reading(page_of(details))
    assert not any((link or "").startswith("javascript:") for link in reading.links())
    assert DETAILS.publisher_name in reading.texts["dd"]


def elements_but_texts(reading: Reading) -> list[Any]:
    return [name for name, _ in reading.elements]
