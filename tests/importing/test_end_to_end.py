"""The command as a person runs it: from an operator's site over HTTP into a running local stack."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from chalicelib.domain.parties import Json
from chalicelib.runtime.system import install
from openbooking.broker.client import Broker, current, partner_headers
from openbooking.cli.main import app
from openbooking.local.stack import LocalStack
from tests.importing.site import (
    SELLER,
    OperatorSite,
    facility_use,
    offer,
    series,
    served,
    session,
    slot,
    unit_id,
)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    with LocalStack(sweep_every=None, directory=tmp_path) as running:
        yield running
    install(None)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30) as opened:
        yield opened


def import_from(site: OperatorSite, stack: LocalStack) -> str:
    result = CliRunner().invoke(
        app,
        ["import", "rpde", site.url, "--confirm-leaving", "--dynamodb-url", stack.dynamodb_url],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    stack.drain()
    return result.output


def feed(client: httpx.Client, stack: LocalStack, name: str) -> tuple[dict[str, Json], str]:
    """What one of our feeds holds now, and where it ends."""
    items, end = Broker(client).harvest(name, f"{stack.url}/feeds/{name}")
    return current(items), end


def quote(client: httpx.Client, stack: LocalStack, document: Json, offer_id: str) -> httpx.Response:
    """C1 for one space of it."""
    item = {"@type": "OrderItem", "position": 0, "orderedItem": document["@id"], "acceptedOffer": offer_id}
    body = {
        "@context": "https://openactive.io/",
        "@type": "OrderQuote",
        "brokerRole": "https://openactive.io/NoBroker",
        "seller": SELLER["@id"],
        "orderedItem": [item],
    }
    url = f"{stack.url}/api/openbooking/order-quote-templates/{uuid.uuid4()}"
    return client.put(url, json=body, headers=partner_headers(SELLER["@id"]))


def test_what_an_operator_publishes_can_be_booked_here_until_it_is_deleted_there(
    stack: LocalStack, client: httpx.Client
) -> None:
    site = OperatorSite(by="change number")
    bookable = {"openBookingInAdvance": "https://openactive.io/Required"}
    an_hour = session(1, of=1, spaces=3)
    a_court = slot(1, unit_id(1, 2), offers=[{**offer(slot(1, "")["@id"]), **bookable}])
    site.publish(an_hour, a_court, session(2, of=9), facility_use(1, 2), series(1))
    with served(site):
        told = import_from(site, stack)
        assert "its superEvent is in none of the feeds" in told
        names = ("session-series", "scheduled-sessions", "facility-uses", "slots")
        ends = []
        for name in names:
            found, end = feed(client, stack, name)
            assert len(found) == 1, name
            ends.append(end)

        offers = {an_hour["@id"]: series(1)["offers"][0]["@id"], a_court["@id"]: a_court["offers"][0]["@id"]}
        for document in (an_hour, a_court):
            answer = quote(client, stack, document, offers[document["@id"]])
            assert answer.status_code == 200, answer.text
        stack.drain()

        # The leases of C1 are in the feeds; the second import adds nothing to them.
        ends = [feed(client, stack, name)[1] for name in names]
        import_from(site, stack)
        assert [feed(client, stack, name)[1] for name in names] == ends
        assert feed(client, stack, "scheduled-sessions")[0][an_hour["@id"]]["remainingAttendeeCapacity"] == 2

        site.delete(a_court)
        import_from(site, stack)
        assert feed(client, stack, "slots")[0] == {}
        answer = quote(client, stack, a_court, offers[a_court["@id"]])
        errors = [error["@type"] for error in answer.json()["orderedItem"][0]["error"]]
        assert (answer.status_code, errors) == (409, ["UnknownOpportunityError"])


def test_without_a_stack_or_an_engine_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNAMODB_URL", "http://127.0.0.1:1")
    result = CliRunner().invoke(app, ["import", "rpde", "https://operator.example/openactive"])
    assert result.exit_code == 1
    assert "The table openbooking-local-identity at http://127.0.0.1:1 cannot be read" in result.output
