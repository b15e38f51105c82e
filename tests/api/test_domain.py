"""What a change of the domain does to tokens, ids and feeds (docs/deploying.md)."""

from __future__ import annotations

import json

import pytest

from tests.support.oauth import Client, claims, open_provider
from tests.support.world import API, BASE_URL, Broker, World

NEW = "https://booking.example.org/sports"
UUID = "c1e5a0d2-7a4e-4c55-8ef5-8e9a9e1f0001"


@pytest.fixture
def client(world: World) -> Client:
    open_provider(world)
    return Client.registered(world)


def test_access_tokens_end_and_authorisations_stay(world: World, client: Client) -> None:
    world.session()
    tokens = client.authorised()

    def feed(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return (
            Broker(world, partner=None, seller=None)
            .send("GET", f"{API}/orders/{UUID}", headers=headers)
            .status
        )

    assert feed(tokens["access_token"]) == 404
    world.set(base_url=NEW)
    assert feed(tokens["access_token"]) == 401
    renewed = client.refresh(tokens["refresh_token"])
    assert renewed.status == 200
    assert claims(renewed.json["access_token"])["iss"] == f"{NEW}/auth"
    assert claims(tokens["access_token"])["iss"] == f"{BASE_URL}/auth"
    assert feed(renewed.json["access_token"]) == 404


def test_ids_have_the_new_host_and_those_with_the_old_one_are_unknown(world: World, broker: Broker) -> None:
    session = world.session()
    old = session.item()
    assert broker.b(UUID, old).status == 201
    position = broker.send("GET", "/feeds/scheduled-sessions").json["next"]
    world.set(base_url=NEW)

    def moved(document: object) -> object:
        return json.loads(json.dumps(document).replace(BASE_URL, NEW))

    acting = {"X-OpenActive-Test-Seller-Id": str(moved(broker.body("Order")["seller"]["@id"]))}
    order = broker.send("GET", f"{API}/orders/{UUID}", headers=acting)
    assert order.status == 200
    assert NEW in order.body.decode() and BASE_URL not in order.body.decode()

    body = moved(broker.body("OrderQuote", old))
    assert broker.send("PUT", f"{API}/order-quote-templates/{UUID[:-1]}2", body, acting).status == 200  # type: ignore[arg-type]
    body["orderedItem"] = [old]  # type: ignore[index]
    refused = broker.send("PUT", f"{API}/order-quote-templates/{UUID[:-1]}3", body, acting)  # type: ignore[arg-type]
    assert refused.status >= 400

    # Positions stay valid: the page is empty, and leads to the new URL.
    page = broker.send("GET", position.removeprefix(BASE_URL))
    assert (page.status, page.json["items"]) == (200, [])
    assert page.json["next"] == position.replace(BASE_URL, NEW)
    assert all(
        NEW in json.dumps(each) for each in broker.send("GET", "/feeds/scheduled-sessions").json["items"]
    )
