"""The requests in docs/booking.md, sent in their order; the answers have what the page shows of them."""

import json
import re
from pathlib import Path
from typing import Any

from chalicelib.domain.orders import OrderKey
from tests.support.world import API, Bookable, Broker, World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "booking.md"
BLOCK = re.compile(r"^```(http|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
UUIDS = {f"UUID{n}": f"10000000-0000-4000-8000-00000000000{n}" for n in (2, 3, 4)} | {
    "UUID": "10000000-0000-4000-8000-000000000001"
}
PROPOSAL = OrderKey("partner-1", UUIDS["UUID2"])


def test_the_requests_of_the_page_succeed(world: World, broker: Broker) -> None:
    yoga, judo = world.session(spaces=5, price=10), world.session(price=10, offer=APPROVAL)
    values = UUIDS | {
        "SELLER": broker.body("Order")["seller"]["@id"],
        "SESSION": yoga.item()["orderedItem"]["@id"],
        "OFFER": yoga.item()["acceptedOffer"]["@id"],
        "SESSION_BY_APPROVAL": judo.item()["orderedItem"]["@id"],
        "OFFER_BY_APPROVAL": judo.item()["acceptedOffer"]["@id"],
    }
    sent: list[str] = []
    answer: Any = None
    for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        first, _, rest = text.partition("\n")
        document = json.loads(_filled(rest, values)) if rest.strip() else None
        if kind == "http":
            verb, path = _filled(first, values).split()
            _prepare(world, broker, verb, path, judo, values["SELLER"])
            answer = broker.send(verb, f"{API}/{path}", document)
            assert answer.status < 300, (first, answer.body)
            sent.append(first)
            values |= _found(answer.json if answer.body else {})
        else:
            assert answer.status == int(first)
            if document is not None:
                assert _shown(_again(rest, values), answer.json) == _again(rest, values)
    assert sent == [
        "PUT order-quote-templates/UUID",
        "PUT order-quotes/UUID",
        "PUT orders/UUID",
        "GET orders/UUID",
        "GET orders-rpde",
        "PATCH orders/UUID",
        "PUT order-proposals/UUID2",
        "PUT orders/UUID2",
        "PATCH order-proposals/UUID3",
        "DELETE order-quotes/UUID4",
        "DELETE orders/UUID",
    ]


def _prepare(world: World, broker: Broker, verb: str, path: str, judo: Bookable, seller: str) -> None:
    """What others have done before a request of the page."""
    if (verb, path) == ("PUT", f"orders/{PROPOSAL.uuid}"):
        world.system.seller_actions.accept(PROPOSAL)
    elif verb == "PATCH" and path.startswith("order-proposals"):
        body = broker.body(
            "OrderProposal",
            judo.item(),
            customer={"@type": "Person", "email": "ada@example.org"},
            totalPaymentDue={"@type": "PriceSpecification", "price": 10, "priceCurrency": "GBP"},
            payment={"@type": "Payment", "identifier": "1"},
        )
        assert broker.send("PUT", f"{API}/{path}", body).status == 201
    elif verb == "DELETE" and path.startswith("order-quotes"):
        assert broker.c2(path.rpartition("/")[2], judo.item()).status == 200


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\b[A-Z_]+\d?\b", lambda found: values.get(found[0], found[0]), text)


def _again(text: str, values: dict[str, str]) -> Any:
    """What the page shows of an answer, with the ids that are known only now."""
    return json.loads(_filled(text, values))


def _found(document: dict[str, Any]) -> dict[str, str]:
    """The ids in an answer that later requests name."""
    found = {}
    if document.get("@type") == "Order" and "@id" in document["orderedItem"][0]:
        found["ITEM"] = document["orderedItem"][0]["@id"]
    if "orderProposalVersion" in document:
        found["VERSION"] = document["orderProposalVersion"]
    return found


def _shown(wanted: Any, document: Any) -> Any:
    """The part of a document that has the shape of `wanted`."""
    if isinstance(wanted, dict):
        return {term: _shown(value, document.get(term)) for term, value in wanted.items()}
    if isinstance(wanted, list):
        return [_shown(value, each) for value, each in zip(wanted, document, strict=True)]
    return document
