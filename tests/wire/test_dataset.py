"""The dataset site's document and page."""

import json
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from chalicelib.wire.dataset import FEEDS, DatasetDetails, dataset_document, dataset_page
from tests.support.validator import Validator, start_or_skip

BASE_URL = "http://localhost:8000"

DETAILS = DatasetDetails(
    name="Avonmead and Porter Valley: sessions and facilities",
    description="Classes, courts and climbing of two leisure operators, with live availability.",
    publisher_name="Open Leisure Cooperative",
    publisher_legal_name="Open Leisure Cooperative Limited",
    publisher_url="https://open-leisure.example/",
    publisher_logo_url="https://open-leisure.example/logo.png",
    publisher_email="data@open-leisure.example",
    booking_service_name="Open Booking",
    discussion_url="https://github.com/open-leisure-example/data/issues",
)


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


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with start_or_skip() as running:
        yield running


def full_details() -> DatasetDetails:
    return replace(
        DETAILS,
        booking_service_url="https://booking.example/",
        booking_service_version="1.0.0",
        booking_terms_url="https://booking.example/terms",
        booking_access_url="https://booking.example/access",
        authentication_authority="https://login.example",
    )


@pytest.mark.parametrize("details", [DETAILS, full_details()], ids=["least", "everything"])
def test_document_passes_the_official_validator(validator: Validator, details: DatasetDetails) -> None:
    assert validator.failures(dataset_document(BASE_URL, details), "DatasetSite") == []


def test_document_names_the_booking_api_without_a_trailing_slash() -> None:
    service = dataset_document(BASE_URL, DETAILS)["accessService"]
    assert service["endpointUrl"] == "http://localhost:8000/api/openbooking"


def test_authentication_authority_is_told_only_where_there_is_one() -> None:
    assert "authenticationAuthority" not in dataset_document(BASE_URL, DETAILS)["accessService"]
    told = dataset_document(BASE_URL, full_details())["accessService"]
    assert told["authenticationAuthority"] == "https://login.example"


def test_each_feed_has_its_own_identifier_name_and_address() -> None:
    distribution = dataset_document(BASE_URL, DETAILS)["distribution"]
    assert [(d["additionalType"], d["contentUrl"]) for d in distribution] == [
        ("https://openactive.io/SessionSeries", f"{BASE_URL}/feeds/session-series"),
        ("https://openactive.io/ScheduledSession", f"{BASE_URL}/feeds/scheduled-sessions"),
        ("https://openactive.io/FacilityUse", f"{BASE_URL}/feeds/facility-uses"),
        ("https://openactive.io/Slot", f"{BASE_URL}/feeds/slots"),
    ]
    for told in ("identifier", "name", "contentUrl"):
        assert len({feed[told] for feed in distribution}) == len(FEEDS)


def test_absent_details_leave_no_property_behind() -> None:
    text = json.dumps(dataset_document(BASE_URL, replace(DETAILS, publisher_email=None)))
    assert "null" not in text
    assert '""' not in text


def test_first_json_ld_of_the_page_is_the_document() -> None:
    document = dataset_document(BASE_URL, DETAILS)
    assert json.loads(Reading(dataset_page(document)).json_ld[0]) == document


def test_page_tells_its_language_title_and_width() -> None:
    reading = Reading(dataset_page(dataset_document(BASE_URL, DETAILS)))
    assert reading.attributes("html") == [{"lang": "en-GB"}]
    assert reading.texts["title"] == DETAILS.name
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in reading.attributes(
        "meta"
    )


def test_page_links_every_feed_and_shows_the_booking_api() -> None:
    page = dataset_page(dataset_document(BASE_URL, DETAILS))
    reading = Reading(page)
    assert {f"{BASE_URL}/feeds/{feed.path}" for feed in FEEDS} <= set(reading.links())
    assert f"<code>{BASE_URL}/api/openbooking</code>" in page


def test_page_loads_nothing_from_elsewhere() -> None:
    reading = Reading(dataset_page(dataset_document(BASE_URL, full_details())))
    assert [attributes.get("type") for attributes in reading.attributes("script")] == ["application/ld+json"]
    assert not any(
        name in ("link", "img", "iframe") or "src" in attributes for name, attributes in reading.elements
    )


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
        Reading(dataset_page(document)),
        Reading(dataset_page(dataset_document(BASE_URL, DETAILS))),
    )
    assert json.loads(reading.json_ld[0]) == document
    assert elements_but_texts(reading) == elements_but_texts(plain)
    assert reading.texts["title"] == hostile


def test_link_with_another_scheme_is_shown_as_text() -> None:
    details = replace(DETAILS, publisher_url="javascript:alert(1)")
    reading = Reading(dataset_page(dataset_document(BASE_URL, details)))
    assert not any((link or "").startswith("javascript:") for link in reading.links())
    assert DETAILS.publisher_name in reading.texts["dd"]


def elements_but_texts(reading: Reading) -> list[Any]:
    return [name for name, _ in reading.elements]
