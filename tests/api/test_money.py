"""Money over the wire: which totals and payments B takes, and what is said where prepayment is off."""

import json
from typing import Any

import pytest

from chalicelib.domain.lifecycle import ProposalEvent
from tests.api.test_feeds import inventory_changed, orders_changed, walk
from tests.api.test_proposals import decide
from tests.api.test_proposals import p as propose
from tests.support.world import PAYMENT, Broker, World

UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"


def a_total(price: Any, currency: Any = "GBP") -> dict[str, Any]:
    total = {"@type": "PriceSpecification", "price": price, "priceCurrency": currency}
    return {term: value for term, value in total.items() if value is not ...}


@pytest.mark.parametrize(
    "total",
    [
        a_total(9.5, "JPY"),
        a_total(9.5, "gbp"),
        a_total(9.5, ["GBP"]),
        a_total("\u0669.\u0665"),  # 9.5 in Arabic-Indic digits
        a_total("9.5_0"),
        a_total("9.5e0"),
        a_total(9.49),
        a_total(9.506),
        a_total(-9.5),
        a_total(10**30),
        a_total(1e300),
        {"@type": "PriceSpecification", "priceCurrency": "GBP"},
        9.5,
    ],
)
def test_total_that_is_another_one_is_refused(world: World, broker: Broker, total: Any) -> None:
    """B-05: another amount, another currency, or no amount."""
    yoga = world.session(price=9.5)
    answer = broker.b(UUID, yoga.item(), totalPaymentDue=total)
    assert (answer.status, answer.json["@type"]) == (400, "TotalPaymentDueMismatchError")
    assert answer.json["description"] == "The total payment due is 9.50 GBP."
    assert world.held(yoga) == 0


@pytest.mark.parametrize("price", [9.5, "9.5", "9.50", 9.499999999999998, 9.504])
def test_totals_are_compared_to_the_penny(world: World, broker: Broker, price: Any) -> None:
    """B-05, MEDIA-10."""
    yoga = world.session(price=9.5)
    assert broker.b(UUID, yoga.item(), totalPaymentDue=a_total(price)).status == 201


def test_total_as_a_broker_adds_it_up_in_binary_is_the_one_due(world: World, broker: Broker) -> None:
    """B-05: three times 0.10 is 0.30000000000000004 in binary."""
    yoga = world.session(price=0.1)
    total = a_total(0.1 + 0.1 + 0.1)
    assert total["price"] != 0.3
    answer = broker.b(UUID, *(yoga.item(n) for n in range(3)), totalPaymentDue=total)
    assert (answer.status, answer.json["totalPaymentDue"]["price"]) == (201, 0.3)


@pytest.mark.parametrize("currency", ["GBP", ...])
def test_total_of_nothing_may_name_a_currency_or_none(world: World, broker: Broker, currency: Any) -> None:
    """PAY-03, MODEL-05."""
    free = world.session(price=0)
    assert broker.b(UUID, free.item(), totalPaymentDue=a_total(0, currency), payment=...).status == 201


@pytest.mark.parametrize(
    ("currency", "price", "due"), [("JPY", 1200.4, 1200), ("KWD", 1.2345, 1.235), ("KWD", 2.5, 2.5)]
)
def test_order_in_a_currency_with_other_decimals(
    world: World, broker: Broker, currency: str, price: float, due: float
) -> None:
    """MEDIA-10, TAX-06: yen are whole, and a dinar has a thousand parts."""
    yoga = world.session(price=price, offer={"priceCurrency": currency})
    quote = broker.c2(UUID, yoga.item()).json
    assert quote["totalPaymentDue"]["price"] == due
    assert quote["orderedItem"][0]["acceptedOffer"]["price"] == due
    tax = quote["totalPaymentTax"][0]["price"]
    assert tax == round(due / 6, {"JPY": 0, "KWD": 3}[currency])
    assert broker.b(UUID, yoga.item(), totalPaymentDue=a_total(due, currency)).status == 201


@pytest.mark.parametrize("identifier", [True, {"a": 1}, [{}], ["x"], " ", "\u00a0", 7, 0, "", None])
def test_identifier_that_is_no_text_is_none(world: World, broker: Broker, identifier: Any) -> None:
    """PAY-11."""
    payment = PAYMENT | {"identifier": identifier}
    answer = broker.b(UUID, world.session().item(), payment=payment)
    assert (answer.status, answer.json["@type"]) == (400, "IncompletePaymentDetailsError")


@pytest.mark.parametrize(
    "payment",
    [
        PAYMENT | {"@type": "Refund"},
        PAYMENT | {"@type": ["Payment"]},
        PAYMENT | {"@type": "DynamicPayment"},
        PAYMENT | {"name": {"a": 1}},
        PAYMENT | {"accountId": 7},
        PAYMENT | {"paymentProviderId": True},
    ],
)
def test_payment_that_is_none_is_refused(world: World, broker: Broker, payment: Any) -> None:
    """PAY-04, PAY-06, PAY-12, DYN-03: at every stage."""
    yoga = world.session()
    for answer in (
        broker.c1(UUID, yoga.item(), payment=payment),
        broker.c2(UUID, yoga.item(), payment=payment),
        broker.b(UUID, yoga.item(), payment=payment),
    ):
        assert (answer.status, answer.json["@type"]) == (400, "InvalidPaymentDetailsError")
    assert world.held(yoga) == 0


@pytest.mark.parametrize("payment", ["paid", 7, True, [PAYMENT]])
def test_payment_that_is_no_object_is_missing(world: World, broker: Broker, payment: Any) -> None:
    """PAY-09."""
    answer = broker.b(UUID, world.session().item(), payment=payment)
    assert answer.json["@type"] == "MissingPaymentDetailsError"


PREPAYMENTS = ("Required", "Optional", "Unavailable")


@pytest.mark.parametrize("prepayment", PREPAYMENTS)
def test_nothing_says_prepayment_where_it_is_off(world: World, broker: Broker, prepayment: str) -> None:
    """PAY-02: no answer, no Offer in it, and no feed."""
    world.set(prepayment=False)
    offer = {"openBookingPrepayment": f"https://openactive.io/{prepayment}"}
    yoga = world.session(spaces=9, offer=offer)
    series = yoga.offer_id.partition("#")[0]
    booked = broker.b(UUID, yoga.item())
    answers = [
        broker.c1(OTHER, yoga.item()),
        broker.c2(OTHER, yoga.item()),
        broker.status(OTHER),
        broker.c2(OTHER, yoga.item(0), yoga.item(1, acceptedOffer={"@id": f"{yoga.offer_id}0"})),
        booked,
        broker.status(UUID),
    ]
    assert [answer.status for answer in answers] == [200, 200, 200, 409, 201, 200]
    broker.cancel(UUID, booked.json["orderedItem"][0]["@id"])
    orders_changed(world, UUID)
    inventory_changed(world, series, yoga)
    feeds = [
        *walk(broker, "/api/openbooking/orders-rpde"),
        *walk(broker, "/feeds/session-series"),
        *walk(broker, "/feeds/scheduled-sessions"),
    ]
    assert len(feeds) == 3
    said = json.dumps([answer.json for answer in answers] + feeds).lower()
    assert "prepayment" not in said


def test_proposal_says_nothing_of_prepayment_where_it_is_off(world: World, broker: Broker) -> None:
    """PAY-02."""
    world.set(prepayment=False)
    offer = {
        "openBookingPrepayment": "https://openactive.io/Required",
        "openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"],
    }
    answer = propose(broker, world.session(offer=offer).item())
    assert answer.status == 201
    assert b"repayment" not in answer.body
    decide(world, ProposalEvent.accept)
    orders_changed(world, UUID)
    [item] = walk(broker, "/api/openbooking/order-proposals-rpde")
    assert "repayment" not in json.dumps(item)


@pytest.mark.parametrize("prepayment", PREPAYMENTS)
def test_price_alone_says_whether_a_payment_is_due_where_prepayment_is_off(
    world: World, broker: Broker, prepayment: str
) -> None:
    """PAY-02, PAY-09, PAY-10: whatever the Seller's Offer says."""
    world.set(prepayment=False)
    yoga = world.session(offer={"openBookingPrepayment": f"https://openactive.io/{prepayment}"})
    answer = broker.b(UUID, yoga.item(), payment=...)
    assert (answer.status, answer.json["@type"]) == (400, "MissingPaymentDetailsError")
    assert broker.b(UUID, yoga.item()).status == 201
    free = world.session(price=0)
    answer = broker.b(OTHER, free.item(), due=0, payment=PAYMENT)
    assert (answer.status, answer.json["@type"]) == (400, "UnnecessaryPaymentDetailsError")
    assert broker.b(OTHER, free.item(), due=0).status == 201


def test_setting_applies_at_once_to_all_that_was_there_before(world: World, broker: Broker) -> None:
    """PAY-02: rows keep what was published, and nothing needs to be rebuilt."""
    yoga = world.session(offer={"openBookingPrepayment": "https://openactive.io/Required"})
    series = yoga.offer_id.partition("#")[0]
    booked = broker.b(UUID, yoga.item())
    broker.cancel(UUID, booked.json["orderedItem"][0]["@id"])
    orders_changed(world, UUID)
    inventory_changed(world, series)

    def said() -> list[bool]:
        feeds = ("/feeds/session-series", "/api/openbooking/orders-rpde")
        answers = [broker.status(UUID), *(broker.send("GET", feed) for feed in feeds)]
        assert [answer.status for answer in answers] == [200, 200, 200]
        return [b"repayment" in answer.body for answer in answers]

    assert said() == [True, True, True]
    world.set(prepayment=False)
    assert said() == [False, False, False]
    world.set(prepayment=True)
    assert said() == [True, True, True]


def test_prepayment_is_said_where_it_is_on(world: World, broker: Broker) -> None:
    """PAY-01: so that the tests above can fail."""
    yoga = world.session(offer={"openBookingPrepayment": "https://openactive.io/Optional"})
    series = yoga.offer_id.partition("#")[0]
    assert broker.c1(UUID, yoga.item()).body.count(b"openBookingPrepayment") == 2
    inventory_changed(world, series)
    [item] = walk(broker, "/feeds/session-series")
    assert "openBookingPrepayment" in json.dumps(item)
