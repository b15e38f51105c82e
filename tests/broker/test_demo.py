from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from openbooking.broker.client import Exchange, UnexpectedAnswer
from openbooking.broker.demo import run_demo, run_proposal
from openbooking.cli.serve import seed_samples
from openbooking.local.stack import LocalStack
from tests.support.validator import FeedPage, Validator, start_or_skip

STEPS = [
    "DatasetSite",
    "SessionSeries",
    "ScheduledSession",
    "C1",
    "C2",
    "B",
    "Status",
    "Cancel",
    "OrdersFeed",
]
MODES = {
    "C1": "C1Response",
    "C2": "C2Response",
    "B": "BResponse",
    "Status": "OrderStatus",
    "OrdersFeed": "OrdersFeed",
    "SessionSeries": "BookableRPDEFeed",
    "ScheduledSession": "BookableRPDEFeed",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The real app with the sample inventory, on the embedded engine."""
    with LocalStack(seed=seed_samples, directory=tmp_path_factory.mktemp("stack")) as stack:
        stack.drain()
        yield stack


class Recording:
    def __init__(self, stack: LocalStack, **more: Any) -> None:
        self.lines: list[str] = []
        self.exchanges: list[Exchange] = []
        run_demo(stack.url, self.lines.append, record=self.exchanges.append, pause=stack.drain, **more)


@pytest.fixture(scope="module")
def recording(stack: LocalStack) -> Recording:
    return Recording(stack)


def test_the_demo_passes_and_shows_every_step(recording: Recording) -> None:
    shown = "\n".join(recording.lines)
    for number in range(1, 10):
        assert f"\n{number}. " in shown
    assert "CustomerCancelled" in shown
    assert recording.lines[-1] == "All answers were as expected."
    steps = list(dict.fromkeys(each.step for each in recording.exchanges))
    assert sorted(steps) == sorted(STEPS)


def test_a_proposal_waits_for_its_seller(stack: LocalStack) -> None:
    """It is of a session of that Seller that needs approval."""
    exchanges: list[Exchange] = []
    lines: list[str] = []
    order, of = run_proposal(stack.url, lines.append, seller="1", record=exchanges.append)
    assert "4. P: propose to book it" in lines
    last = exchanges[-1]
    assert (last.step, last.status, last.url.rpartition("/")[2]) == ("P", 201, order)
    proposal = json.loads(last.body)
    assert proposal["orderProposalStatus"] == "https://openactive.io/AwaitingSellerConfirmation"
    assert proposal["seller"]["@id"] == of
    assert of.endswith("/sellers/1")


def test_of_a_seller_without_such_a_session_there_is_none(stack: LocalStack) -> None:
    with pytest.raises(UnexpectedAnswer, match="of the Seller 'unknown' can be booked with approval"):
        run_proposal(stack.url, print, seller="unknown")


def test_it_passes_again_and_leaves_the_spaces_as_they_were(stack: LocalStack) -> None:
    def spaces(run: Recording) -> int:
        [quote] = [each for each in run.exchanges if each.step == "C1"]
        [item] = json.loads(quote.body)["orderedItem"]
        return int(item["orderedItem"]["remainingAttendeeCapacity"])

    assert spaces(Recording(stack)) == spaces(Recording(stack))


def test_a_booking_may_be_kept_so_that_its_seller_sees_it(stack: LocalStack) -> None:
    kept = Recording(stack, seller="1", keep=True)
    assert kept.lines[-1].startswith("It stays booked: ")
    assert [each.step for each in kept.exchanges if each.step in ("B", "Cancel")] == ["B"]


@pytest.mark.node
def test_every_answer_of_the_demo_passes_the_official_validator(recording: Recording) -> None:
    with start_or_skip() as validator:
        found = {
            f"{each.step} {each.url}": failures
            for each in recording.exchanges
            if (failures := _failures(validator, each))
        }
    assert found == {}


def _failures(validator: Validator, exchange: Exchange) -> list[str]:
    if exchange.status == 204 or exchange.step == "DatasetSite":
        return []
    document = json.loads(exchange.body)
    mode = MODES[exchange.step]
    if "items" not in document:
        return validator.failures(document, mode)
    page = FeedPage(
        exchange.url,
        document,
        exchange.headers["content-type"],
        exchange.headers.get("cache-control"),
    )
    found = validator.rpde_failures(page, orders_feed=exchange.step == "OrdersFeed")
    for item in document["items"]:
        if item["state"] == "updated":
            found += validator.failures(item["data"], mode)
    return found


class Spoilt(httpx.HTTPTransport):
    """The way to the system, with one answer changed on it."""

    def __init__(self, method: str, path: str, status: int | None = None, **changes: Any) -> None:
        super().__init__()
        self._method, self._path, self._status, self._changes = method, path, status, changes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if request.method != self._method or self._path not in request.url.path:
            return answer
        answer.read()
        status = self._status or answer.status_code
        document = {**json.loads(answer.content or b"{}"), **self._changes}
        return httpx.Response(status, json=document)


ITEM = {"@type": "OrderItem", "@id": "x", "orderItemStatus": "https://openactive.io/SellerCancelled"}


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        (Spoilt("GET", "/feeds/session-series", 503), "SessionSeries answered 503"),
        (Spoilt("PUT", "/order-quote-templates/", 409), "C1 answered 409 instead of 200"),
        (Spoilt("PUT", "/order-quote-templates/", **{"@type": "Order"}), "not answer with an OrderQuote"),
        (Spoilt("PUT", "/order-quotes/", customer={"@type": "Person"}), "changed the customer"),
        (Spoilt("PUT", "/orders/", orderedItem=[ITEM]), "B says SellerCancelled"),
        (Spoilt("PUT", "/orders/", orderedItem=[]), "B has 0 OrderItems"),
        (Spoilt("GET", "/orders/", **{"@id": "another"}), "of another Order"),
        (Spoilt("PATCH", "/orders/", 204, a=1), "204 with a body"),
        (Spoilt("GET", "/orders-rpde", items=[]), "did not arrive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_differences_are_reported_in_one_sentence(stack: LocalStack, spoilt: Spoilt, sentence: str) -> None:
    with pytest.raises(UnexpectedAnswer, match=sentence):
        Recording(stack, transport=spoilt)


def test_a_missing_server_is_reported_in_one_sentence() -> None:
    with pytest.raises(UnexpectedAnswer, match="make run"):
        run_demo("http://127.0.0.1:1", lambda line: None)
