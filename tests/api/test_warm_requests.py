"""Who calls costs a warm process nothing: no call to DynamoDB beside those that the booking makes."""

from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest

from chalicelib.identity.callers import make_api_key
from chalicelib.identity.entries import ApiKey
from chalicelib.identity.hashing import digest
from chalicelib.runtime.system import install
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.identities import DynamoIdentities
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Tables
from tests.support.builders import CUSTOMER
from tests.support.engines import Calls, new_tables, simulated_aws
from tests.support.oauth import SCOPE, Client, open_provider
from tests.support.world import API, PAYMENT, Answer, Bookable, Broker, World, seller_id

Headers = dict[str, str | None]

_uuids = (f"{number:08d}-0000-4000-8000-000000000000" for number in count(1))


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    with simulated_aws():
        made = new_tables("warm")
        yield made
        made.connection.client.close()


@pytest.fixture(scope="module")
def partner(tables: Tables) -> Iterator[Client]:
    """A partner of an installation that has served before."""
    world = World(
        store=DynamoStore(tables),
        feeds=DynamoFeeds(tables),
        identities=DynamoIdentities(tables),
        pending=DynamoPending(tables),
    )
    open_provider(world)
    yield Client.registered(world)
    install(None)


@pytest.fixture(scope="module")
def session(partner: Client) -> Bookable:
    return partner.world.session(spaces=1000)


@pytest.fixture(scope="module")
def bearer(partner: Client) -> Headers:
    token = partner.authorised(scope=f"{SCOPE} openactive-ordersfeed")["access_token"]
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def api_key(partner: Client) -> Headers:
    secret, now = make_api_key("a-secret"), partner.world.clock.now
    partner.world.system.register.save(ApiKey(digest(secret), partner.id, seller_id(1), now))
    return {"X-Api-Key": secret}


@pytest.fixture
def calls(tables: Tables) -> Iterator[Calls]:
    made = Calls(tables)
    yield made
    made.stop()


def ask(partner: Client, session: Bookable, stage: str, headers: Headers | None) -> Answer:
    """One request under a UUID of its own; with development headers where there are no others."""
    broker = Broker(partner.world, partner.id if headers is None else None, 1 if headers is None else None)
    uuid, body = next(_uuids), {}
    match stage:
        case "C1":
            path, body = f"order-quote-templates/{uuid}", broker.body("OrderQuote", session.item())
        case "C2":
            path = f"order-quotes/{uuid}"
            body = broker.body("OrderQuote", session.item(), customer=CUSTOMER)
        case "B":
            path = f"orders/{uuid}"
            due = {"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"}
            body = broker.body(
                "Order", session.item(), customer=CUSTOMER, payment=PAYMENT, totalPaymentDue=due
            )
        case _:
            return broker.send("GET", f"{API}/{stage}", headers=headers or {})
    return broker.send("PUT", f"{API}/{path}", body, headers or {})


STAGES = {"C1": 200, "C2": 200, "B": 201, "orders-rpde": 200}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("way", ["bearer", "api_key"])
def test_warm_request_makes_the_same_calls_whoever_is_believed(
    partner: Client, session: Bookable, calls: Calls, stage: str, way: str, request: pytest.FixtureRequest
) -> None:
    # All tests of this module quote the same session.
    partner.world.set(
        rate_limit=0, authentication="openid,api-keys,headers", anonymous_lease_spaces=0, lease_spaces=0
    )
    headers: Headers = request.getfixturevalue(way)
    made = []
    for who in (None, headers):
        assert ask(partner, session, stage, who).status == STAGES[stage]  # the first one warms up
        calls.forget()
        assert ask(partner, session, stage, who).status == STAGES[stage]
        made.append(Counter(calls.made))
    assert made[0] == made[1]
    assert made[0].total() == (1 if stage == "orders-rpde" else 2)


@pytest.mark.parametrize("stage", STAGES)
def test_first_request_reads_the_keys_once(
    partner: Client, session: Bookable, calls: Calls, bearer: Headers, stage: str
) -> None:
    """A cold process: one call more than a warm one."""
    partner.world.set(rate_limit=0, authentication="openid")
    calls.forget()
    ask(partner, session, stage, bearer)
    cold = calls.total
    calls.forget()
    ask(partner, session, stage, bearer)
    assert cold == calls.total + 1


@pytest.mark.parametrize("stage", STAGES)
def test_rate_limit_costs_one_call_more_for_each_portion(
    partner: Client, session: Bookable, calls: Calls, bearer: Headers, stage: str
) -> None:
    """RATE-01: the first request is free; then portions of 1, 2, 4, and at 100 a minute five from then on."""
    partner.world.set(rate_limit=0, authentication="openid")
    partner.world.clock.advance(minutes=1)
    ask(partner, session, stage, bearer)
    calls.forget()
    ask(partner, session, stage, bearer)
    usual = calls.total
    partner.world.set(rate_limit=100)
    partner.world.system.keys.public()
    made = []
    for _ in range(11):
        calls.forget()
        assert ask(partner, session, stage, bearer).status == STAGES[stage]
        made.append(calls.total - usual)
        assert calls.made["UpdateItem"] == made[-1]
    assert made == [0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 0]


def test_refused_requests_cost_no_call(
    partner: Client, session: Bookable, calls: Calls, bearer: Headers
) -> None:
    partner.world.set(rate_limit=0, authentication="openid,api-keys")
    assert ask(partner, session, "C1", bearer).status == 200
    calls.forget()
    bad: tuple[Headers, ...] = (
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": f"{bearer['Authorization']}x"},
        {"X-Api-Key": "guess"},
    )
    for headers in bad:
        for stage in STAGES:
            assert ask(partner, session, stage, headers).status in (401, 403)
    assert calls.total == 0
