"""A Broker's client: reads a dataset site and feeds, chooses a session, calls the API.

Uses only what a Broker knows, which is the specifications, and raises errors for answers against them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from urllib.parse import urlsplit

import httpx
import isodate

from chalicelib.domain.parties import Json
from chalicelib.importing.page import json_ld_blocks
from chalicelib.values import dataclass

MEDIA_TYPE = "application/vnd.openactive.booking+json; version=1"
BOOKING_PARTNER = "booking-partner-1"
CONTEXT = "https://openactive.io/"
BROKER: Json = {
    "@type": "Organization",
    "name": "Demo Broker",
    "url": "https://broker.example/",
    "email": "hello@broker.example",
}
UNAVAILABLE = "https://openactive.io/Unavailable"
_APPROVAL = "https://openactive.io/OpenBookingApproval"
# What an offer with approval may need besides, which asks nothing of the Customer.
_WITH_APPROVAL = {
    _APPROVAL,
    "https://openactive.io/OpenBookingNegotiation",
    "https://openactive.io/OpenBookingMessageExchange",
}

_NOT_HAPPENING = {
    "https://schema.org/EventCancelled",
    "https://schema.org/EventPostponed",
}
_PAGES_AT_MOST = 10_000


class UnexpectedAnswer(Exception):
    """An answer that a Broker does not expect; the message is one sentence for people."""


@dataclass(frozen=True)
class Exchange:
    """One request of the demo and its answer."""

    step: str
    """DatasetSite, SessionSeries, ScheduledSession, C1, C2, P, B, Status, Cancel or OrdersFeed."""
    method: str
    url: str
    request: Json | None
    status: int
    headers: Mapping[str, str]
    """Of the answer, with names in lower case."""
    body: str


@dataclass(frozen=True)
class Site:
    """The contents of a dataset site: the booking endpoint, and the feed of each kind."""

    endpoint: str
    feeds: dict[str, str]


@dataclass(frozen=True)
class Choice:
    """A session to book, its offer, and its Seller."""

    session: Json
    series: Json
    offer: Json
    seller: Json

    @property
    def name(self) -> str:
        return str(self.session.get("name") or self.series.get("name"))

    @property
    def seller_id(self) -> str:
        return str(self.seller["@id"])

    def order_item(self, position: int = 0) -> Json:
        return {
            "@type": "OrderItem",
            "position": position,
            "acceptedOffer": {"@type": "Offer", "@id": self.offer["@id"]},
            "orderedItem": {"@type": "ScheduledSession", "@id": self.session["@id"]},
        }


def order_request(kind: str, choice: Choice) -> Json:
    """The part that the requests of C1, C2 and B share."""
    return {
        "@context": CONTEXT,
        "@type": kind,
        "brokerRole": "https://openactive.io/AgentBroker",
        "broker": BROKER,
        "seller": {
            "@type": choice.seller.get("@type", "Organization"),
            "@id": choice.seller["@id"],
        },
        "orderedItem": [choice.order_item()],
    }


class Broker:
    """The client. Every answer is recorded; unexpected ones raise UnexpectedAnswer."""

    def __init__(self, client: httpx.Client, record: Callable[[Exchange], None] = lambda _: None) -> None:
        self._client = client
        self._record = record

    def dataset_site(self, base_url: str) -> Site:
        url = f"{base_url.rstrip('/')}/openactive"
        page = self._send("DatasetSite", "GET", url, expect=200)
        blocks = json_ld_blocks(page.text)
        if not blocks:
            raise UnexpectedAnswer(f"{url} contains no JSON-LD.")
        dataset = _parsed(blocks[0], f"The JSON-LD of {url}")
        endpoint = (dataset.get("accessService") or {}).get("endpointUrl")
        feeds = {
            str(each.get("additionalType", "")).rpartition("/")[2]: each["contentUrl"]
            for each in dataset.get("distribution", [])
            if "contentUrl" in each
        }
        if not endpoint or not {"SessionSeries", "ScheduledSession"} <= feeds.keys():
            raise UnexpectedAnswer(f"{url} names no booking endpoint, or no feeds of sessions.")
        return Site(str(endpoint), feeds)

    def harvest(self, step: str, url: str, headers: Json | None = None) -> tuple[list[Json], str]:
        """All items from `url` to the end of the feed, and the URL to continue from later (RPDE)."""
        items: list[Json] = []
        for _ in range(_PAGES_AT_MOST):
            page = _parsed(self._send(step, "GET", url, headers, expect=200).text, url)
            if not isinstance(page.get("items"), list) or not isinstance(page.get("next"), str):
                raise UnexpectedAnswer(f"{url} is not an RPDE page: it lacks items or next.")
            items += page["items"]
            if page["next"] == url:
                if page["items"]:
                    raise UnexpectedAnswer(f"{url} has items and names itself as the next page.")
                return items, url
            url = page["next"]
        raise UnexpectedAnswer(f"The feed at {url} does not end after {_PAGES_AT_MOST} pages.")

    def call(self, step: str, method: str, url: str, choice: Choice, body: Json | None, expect: int) -> Json:
        """One request of the booking API, for the seller of `choice`."""
        headers = partner_headers(choice.seller["@id"])
        answer = self._send(step, method, url, headers, body, expect=expect)
        if expect == 204:
            if answer.content:
                raise UnexpectedAnswer(f"{step} answered 204 with a body.")
            return {}
        return _parsed(answer.text, f"The answer of {step}")

    def _send(
        self,
        step: str,
        method: str,
        url: str,
        headers: Json | None = None,
        body: Json | None = None,
        *,
        expect: int,
    ) -> httpx.Response:
        content = None if body is None else json.dumps(body).encode()
        try:
            answer = self._client.request(method, url, headers=headers, content=content)
        except httpx.ConnectError:
            parts = urlsplit(url)
            raise UnexpectedAnswer(
                f"Nothing answers at {parts.scheme}://{parts.netloc}. "
                "Start the system with `make run`, then try again."
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnexpectedAnswer(f"{method} {url} failed: {error or type(error).__name__}.") from None
        self._record(
            Exchange(
                step,
                method,
                url,
                body,
                answer.status_code,
                {name.lower(): value for name, value in answer.headers.items()},
                answer.text,
            )
        )
        if answer.status_code != expect:
            raise UnexpectedAnswer(
                f"{step} answered {answer.status_code} instead of {expect}"
                f" ({method} {url}): {_reason(answer)}"
            )
        return answer


def partner_headers(seller_id: str | None = None) -> dict[str, str]:
    """The headers that name the caller, in the development mode of the local stack."""
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Accept": MEDIA_TYPE,
        "X-OpenActive-Test-Client-Id": BOOKING_PARTNER,
    }
    if seller_id is not None:
        headers["X-OpenActive-Test-Seller-Id"] = seller_id
    return headers


def current(items: list[Json]) -> dict[str, Json]:
    """The current items of a feed after its updates and deletions, by `@id`."""
    latest = {str(item["id"]): item for item in items}
    updated = [item["data"] for item in latest.values() if item["state"] == "updated"]
    return {data["@id"]: data for data in updated}


@dataclass(frozen=True)
class Wanted:
    """What to look for: a session that can be booked, or one that needs approval; of any Seller, or of one.

    A Seller is named by its `@id`, or by the end of that.
    """

    approval: bool = False
    cancellable: bool = True
    seller: str | None = None

    def is_of(self, seller: Json) -> bool:
        return self.seller is None or f"/{seller.get('@id')}".endswith(f"/{self.seller}")

    def fits(self, offer: Json, starts: datetime, now: datetime) -> bool:
        needs = set(offer.get("openBookingFlowRequirement") or ())
        if self.approval:
            return _APPROVAL in needs and needs <= _WITH_APPROVAL and _is_sold_now(offer, starts, now)
        fits = not self.cancellable or _is_cancellable(offer, starts, now)
        return not needs and fits and _is_sold_now(offer, starts, now)


_ANY = Wanted()


def choices(
    series: dict[str, Json], sessions: dict[str, Json], now: datetime, wanted: Wanted = _ANY
) -> Iterator[Choice]:
    """The sessions that are wanted, and need no details of attendees or forms; paid ones first."""
    found = []
    for session in sessions.values():
        parent = session.get("superEvent")
        parent = series.get(parent, {}) if isinstance(parent, str) else (parent or {})
        seller = session.get("organizer") or parent.get("organizer")
        if not isinstance(seller, dict) or not wanted.is_of(seller) or not _takes_place(session, parent, now):
            continue
        starts = isodate.parse_datetime(session["startDate"])
        for offer in session.get("offers") or parent.get("offers") or []:
            if wanted.fits(offer, starts, now):
                price = float(offer.get("price", 0))
                found.append(((price == 0, starts), Choice(session, parent, offer, seller)))
    yield from (choice for _, choice in sorted(found, key=lambda pair: pair[0]))


def something_to_book(url: str, now: datetime) -> Choice | None:
    """A session of the system at `url`; None if it has none that can be booked."""
    with httpx.Client(timeout=10) as client:
        broker = Broker(client)
        try:
            return find_session(broker, broker.dataset_site(url), now)[0]
        except UnexpectedAnswer:
            return None


def find_session(broker: Broker, site: Site, now: datetime, wanted: Wanted = _ANY) -> tuple[Choice, int, int]:
    """(what to book, series read, sessions read) from the open feeds."""
    series = current(broker.harvest("SessionSeries", site.feeds["SessionSeries"])[0])
    sessions = current(broker.harvest("ScheduledSession", site.feeds["ScheduledSession"])[0])
    for choice in choices(series, sessions, now, wanted):
        return choice, len(series), len(sessions)
    if not sessions:
        raise UnexpectedAnswer(
            "No session is published yet. After an import the feeds follow within some seconds: try again."
        )
    can = "be booked with approval" if wanted.approval else "be booked"
    if wanted.cancellable and not wanted.approval:
        can += " and cancelled for a refund"
    of = f" of the Seller {wanted.seller!r}" if wanted.seller else ""
    raise UnexpectedAnswer(f"None of the {len(sessions)} sessions published{of} can {can} right now.")


def _takes_place(session: Json, series: Json, now: datetime) -> bool:
    status = session.get("eventStatus") or series.get("eventStatus")
    return (
        session.get("remainingAttendeeCapacity", 0) > 0
        and "startDate" in session
        and status not in _NOT_HAPPENING
        and isodate.parse_datetime(session["startDate"]) > now
    )


def _is_sold_now(offer: Json, starts: datetime, now: datetime) -> bool:
    opens = offer.get("validFromBeforeStartDate")
    return (
        "@id" in offer
        and UNAVAILABLE not in (offer.get("advanceBooking"), offer.get("openBookingInAdvance"))
        and (opens is None or starts - isodate.parse_duration(opens) <= now)
    )


def _is_cancellable(offer: Json, starts: datetime, now: datetime) -> bool:
    closes = offer.get("latestCancellationBeforeStartDate")
    return offer.get("allowCustomerCancellationFullRefund") is True and (
        closes is None or starts - isodate.parse_duration(closes) > now
    )


def _reason(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:200] or "no body"
    errors = [error for item in body.get("orderedItem", []) for error in item.get("error", [])]
    named = errors or [body]
    return "; ".join(f"{each.get('@type')} - {each.get('description') or each.get('name')}" for each in named)


def _parsed(text: str, what: str) -> Json:
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise UnexpectedAnswer(f"{what} is not a JSON object.")
    return parsed
