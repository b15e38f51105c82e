from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from openbooking.broker.client import (
    Broker,
    Exchange,
    Json,
    Site,
    UnexpectedAnswer,
    choices,
    current,
    find_session,
)

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SELLER = {"@type": "Organization", "@id": "https://x.example/sellers/1", "name": "Acme"}
OFFER = {
    "@type": "Offer",
    "@id": "https://x.example/offers/1",
    "price": 5,
    "priceCurrency": "GBP",
    "allowCustomerCancellationFullRefund": True,
}


def session(number: int = 1, **changes: Any) -> Json:
    made = {
        "@type": "ScheduledSession",
        "@id": f"https://x.example/sessions/{number}",
        "superEvent": "https://x.example/series/1",
        "startDate": (NOW + timedelta(days=number)).isoformat(),
        "remainingAttendeeCapacity": 3,
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def series(**changes: Any) -> dict[str, Json]:
    made = {
        "@type": "SessionSeries",
        "@id": "https://x.example/series/1",
        "name": "Yoga",
        "organizer": SELLER,
        "offers": [OFFER],
        **changes,
    }
    return {made["@id"]: {name: value for name, value in made.items() if value is not None}}


def chosen(sessions: list[Json], parents: dict[str, Json] | None = None) -> list[str]:
    found = choices(parents or series(), {each["@id"]: each for each in sessions}, NOW)
    return [each.session["@id"].rpartition("/")[2] for each in found]


# --- what to book ----------------------------------------------------------------------------


def test_a_session_has_name_offers_and_seller_of_its_series() -> None:
    [choice] = choices(series(), {"s": session()}, NOW)
    assert (choice.name, choice.offer, choice.seller) == ("Yoga", OFFER, SELLER)


def test_what_a_session_says_itself_comes_first() -> None:
    offer = {**OFFER, "@id": "https://x.example/offers/2"}
    [choice] = choices(series(), {"s": session(name="Late yoga", offers=[offer])}, NOW)
    assert (choice.name, choice.offer) == ("Late yoga", offer)


def test_the_earliest_paid_session_comes_first_and_free_ones_last() -> None:
    free = [{**OFFER, "price": 0}]
    assert chosen([session(3), session(1, offers=free), session(2)]) == ["2", "3", "1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"remainingAttendeeCapacity": 0},
        {"remainingAttendeeCapacity": None},
        {"startDate": None},
        {"startDate": (NOW - timedelta(hours=1)).isoformat()},
        {"eventStatus": "https://schema.org/EventCancelled"},
        {"superEvent": "https://x.example/series/unknown"},
        {"superEvent": None},
    ],
)
def test_a_session_that_cannot_be_booked_is_left(changes: Json) -> None:
    assert chosen([session(**changes)]) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"allowCustomerCancellationFullRefund": False},
        {"allowCustomerCancellationFullRefund": None},
        {"latestCancellationBeforeStartDate": "P2D"},
        {"validFromBeforeStartDate": "PT1H"},
        {"advanceBooking": "https://openactive.io/Unavailable"},
        {"openBookingInAdvance": "https://openactive.io/Unavailable"},
        {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]},
    ],
)
def test_an_offer_that_asks_for_more_is_left(changes: Json) -> None:
    assert chosen([session()], series(offers=[{**OFFER, **changes}])) == []


def test_an_offer_within_its_windows_is_taken() -> None:
    offer = {
        **OFFER,
        "latestCancellationBeforeStartDate": "PT1H",
        "validFromBeforeStartDate": "P7D",
        "openBookingFlowRequirement": [],
    }
    assert chosen([session()], series(offers=[offer])) == ["1"]


def test_a_feed_holds_the_last_that_was_said_of_each_item() -> None:
    def item(number: int, state: str, **data: Any) -> Json:
        made = {"id": number, "state": state}
        return {**made, "data": {"@id": f"@{number}", **data}} if state == "updated" else made

    held = current(
        [
            item(1, "updated", n=1),
            item(2, "updated"),
            item(1, "updated", n=2),
            item(2, "deleted"),
        ]
    )
    assert held == {"@1": {"@id": "@1", "n": 2}}


# --- what is refused -------------------------------------------------------------------------


class Site404:
    """A site made of pages by URL."""

    def __init__(self, **pages: Any) -> None:
        self.pages: dict[str, Any] = dict(pages)
        self.exchanges: list[Exchange] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        page = self.pages.get(str(request.url))
        if page is None:
            return httpx.Response(404, json={"@type": "UnknownOrIncorrectEndpointError", "name": "No."})
        if isinstance(page, httpx.Response):
            return page
        return httpx.Response(200, text=page if isinstance(page, str) else json.dumps(page))


@pytest.fixture
def site() -> Site404:
    return Site404()


@pytest.fixture
def broker(site: Site404) -> Iterator[Broker]:
    with httpx.Client(transport=httpx.MockTransport(site.answer)) as client:
        yield Broker(client, site.exchanges.append)


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(UnexpectedAnswer) as caught:
        call()
    return str(caught.value)


DATASET = {
    "accessService": {"endpointUrl": "https://x.example/api"},
    "distribution": [
        {"additionalType": f"https://openactive.io/{kind}", "contentUrl": f"https://x.example/{kind}"}
        for kind in ("SessionSeries", "ScheduledSession")
    ],
}


def html(dataset: Any) -> str:
    text = dataset if isinstance(dataset, str) else json.dumps(dataset)
    return f'<p>x</p><script>1</script><script type="application/ld+json">\n{text}\n</script>'


def test_a_dataset_site_is_read(broker: Broker, site: Site404) -> None:
    site.pages["https://x.example/openactive"] = html(DATASET)
    assert broker.dataset_site("https://x.example/") == Site(
        "https://x.example/api",
        {
            "SessionSeries": "https://x.example/SessionSeries",
            "ScheduledSession": "https://x.example/ScheduledSession",
        },
    )
    assert [(each.step, each.status) for each in site.exchanges] == [("DatasetSite", 200)]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("<p>nothing</p>", "contains no JSON-LD"),
        (html("{"), "is not a JSON object"),
        (html([]), "is not a JSON object"),
        (html({}), "names no booking endpoint"),
        (html({**DATASET, "distribution": []}), "names no booking endpoint"),
    ],
)
def test_a_dataset_site_that_lacks_something_is_refused(
    broker: Broker, site: Site404, page: str, reason: str
) -> None:
    site.pages["https://x.example/openactive"] = page
    assert reason in refused(lambda: broker.dataset_site("https://x.example"))


def test_a_feed_is_followed_to_its_end(broker: Broker, site: Site404) -> None:
    first, second = "https://x.example/feed", "https://x.example/feed?after=1"
    site.pages[first] = {"items": [{"id": "a"}], "next": second}
    site.pages[second] = {"items": [], "next": second}
    assert broker.harvest("Feed", first) == ([{"id": "a"}], second)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ({"items": []}, "lacks items or next"),
        ({"next": "https://x.example/feed"}, "lacks items or next"),
        ("[1]", "is not a JSON object"),
        ({"items": [1], "next": "https://x.example/feed"}, "names itself as the next page"),
        ({"items": [], "next": "https://x.example/gone"}, "404 instead of 200"),
    ],
)
def test_a_feed_that_breaks_the_rules_is_refused(
    broker: Broker, site: Site404, page: Any, reason: str
) -> None:
    site.pages["https://x.example/feed"] = page
    assert reason in refused(lambda: broker.harvest("Feed", "https://x.example/feed"))


def test_an_error_is_reported_with_its_type_and_text(broker: Broker) -> None:
    message = refused(lambda: broker.harvest("Feed", "https://x.example/feed"))
    assert "UnknownOrIncorrectEndpointError - No." in message


def test_an_error_of_an_order_item_is_reported(broker: Broker, site: Site404) -> None:
    error = {"@type": "OpportunityIsFullError", "description": "Full."}
    site.pages["https://x.example/q"] = httpx.Response(409, json={"orderedItem": [{"error": [error]}]})
    [choice] = choices(series(), {"s": session()}, NOW)
    message = refused(lambda: broker.call("C1", "PUT", "https://x.example/q", choice, {}, 200))
    assert "C1 answered 409 instead of 200" in message
    assert "OpportunityIsFullError - Full." in message


def test_a_site_without_bookable_sessions_is_reported(broker: Broker, site: Site404) -> None:
    for kind in ("SessionSeries", "ScheduledSession"):
        url = f"https://x.example/{kind}"
        site.pages[url] = {"items": [], "next": url}
    site.pages["https://x.example/openactive"] = html(DATASET)
    found = broker.dataset_site("https://x.example")
    assert "No session is published yet" in refused(lambda: find_session(broker, found, NOW))
