"""C1, C2 and OrderQuote Deletion over the wire."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.booking.decisions import Snapshot, Wanted
from chalicelib.domain.partner_limits import SHARDS
from chalicelib.values import replace
from tests.support.builders import BUSINESS, CUSTOMER
from tests.support.memory import MemoryStore
from tests.support.world import API, BASE_URL, MEDIA_TYPE, Answer, Broker, World, outer, seller_id

UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"


def at(stage: str) -> Callable[..., Answer]:
    return {"C1": Broker.c1, "C2": Broker.c2, "B": Broker.b}[stage]


QUOTES = pytest.mark.parametrize("stage", ["C1", "C2"])
STAGES = pytest.mark.parametrize("stage", ["C1", "C2", "B"])


@QUOTES
def test_quote_of_two_places(world: World, broker: Broker, stage: str) -> None:
    """C1-03, C1-06, C1-08, C1-13, C1-14, MEDIA-01, MEDIA-02, MODEL-01, MODEL-03, MODEL-04, TAX-05."""
    yoga = world.session(spaces=5, price=12)
    answer = at(stage)(broker, UUID, yoga.item(3), yoga.item(1))
    quote = answer.json
    assert answer.status == 200
    assert answer.media_type == MEDIA_TYPE
    assert quote["@context"] == "https://openactive.io/"
    assert quote["@type"] == "OrderQuote"
    assert quote["@id"] == f"{BASE_URL}{API}/order-quotes/{UUID}"
    assert quote["seller"]["@id"] == outer(seller_id(1))
    assert {"@type", "@id", "name", "legalName", "taxMode", "address"} <= set(quote["seller"])
    assert quote["bookingService"]["@type"] == "BookingService"
    assert quote["orderRequiresApproval"] is False
    assert quote["totalPaymentDue"]["price"] == 24
    assert quote["totalPaymentTax"][0]["price"] == 4
    assert [item["position"] for item in quote["orderedItem"]] == [3, 1]  # C1-11
    first = quote["orderedItem"][0]
    assert first["orderedItem"]["@id"] == yoga.outer_id
    assert first["orderedItem"]["remainingAttendeeCapacity"] == 5  # C1-09
    assert first["orderedItem"]["superEvent"]["name"] == "Yoga"
    assert first["acceptedOffer"]["@id"] == outer(yoga.offer_id)
    assert first["acceptedOffer"]["price"] == 12
    assert "base.invalid" not in answer.body.decode()


@STAGES
def test_both_forms_of_references_are_accepted(world: World, broker: Broker, stage: str) -> None:
    """MEDIA-09: and answered with objects."""
    yoga = world.session()
    bare = yoga.item() | {"orderedItem": yoga.outer_id, "acceptedOffer": outer(yoga.offer_id)}
    answer = at(stage)(broker, UUID, bare, seller=outer(seller_id(1)))
    assert answer.status in (200, 201)
    item = answer.json["orderedItem"][0]
    assert item["orderedItem"]["@type"] == "ScheduledSession"
    assert item["acceptedOffer"]["@type"] == "Offer"
    assert answer.json["seller"]["@type"] == "Organization"


def test_customer_is_not_looked_at_at_c1(world: World, broker: Broker) -> None:
    """C1-02, C1-12: neither needed nor echoed, even if it is wrong."""
    yoga = world.session(attendee=("https://schema.org/givenName",))
    item = yoga.item(attendee={"@type": "Person", "givenName": "Geoff"})
    answer = broker.c1(
        UUID, item, customer={"@type": "Robot"}, payment={"@type": "Payment", "identifier": "1"}
    )
    assert answer.status == 200
    assert not {"customer", "payment"} & set(answer.json)
    assert "attendee" not in answer.json["orderedItem"][0]
    assert answer.json["orderedItem"][0]["attendeeDetailsRequired"] == [
        "https://schema.org/givenName"
    ]  # C1-10


def test_customer_is_echoed_exactly_at_c2(world: World, broker: Broker) -> None:
    """C2-04, GEN-10, DETAILS-02: what the specification knows as it came, extensions not at all."""
    customer = {**CUSTOMER, "identifier": "C-7", "givenName": "Geoff", "telephone": "020 811 8055"}
    sent = {"name": "Acme Broker", "@type": "Organization", "url": "https://broker.example/"}
    answer = broker.c2(
        UUID,
        world.session().item(**{"acme:seat": 7}),
        customer={**customer, "acme:rank": 1, "nothing": None, "none": ""},
        broker={**sent, "acme:x": {"y": 1}},
        **{"acme:campaign": "spring", "ext:z": [1]},
    )
    assert answer.json["customer"] == customer
    assert answer.json["broker"] == sent
    assert answer.json["brokerRole"] == "https://openactive.io/AgentBroker"
    assert b"acme" not in answer.body
    assert b"ext:" not in answer.body


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"givenName": None, "familyName": "", "sameAs": []}, {}),  # MEDIA-03
        ({"identifier": 0}, {"identifier": 0}),
        ({"identifier": 0.5}, {"identifier": 0.5}),
        ({"name": "Zoë 🚣"}, {"name": "Zoë 🚣"}),
        ({"identifier": 10**30}, {"identifier": 10**30}),
        ({"address": {"postalCode": "OX1", "addressLocality": None}}, {"address": {"postalCode": "OX1"}}),
    ],
)
def test_values_survive_and_empty_ones_are_dropped(
    world: World, broker: Broker, sent: dict[str, Any], kept: dict[str, Any]
) -> None:
    """MEDIA-03, GEN-10."""
    yoga = world.session()
    expected = {**CUSTOMER, **kept}
    assert broker.c2(UUID, yoga.item(), customer={**CUSTOMER, **sent}).json["customer"] == expected
    assert broker.b(UUID, yoga.item(), customer={**CUSTOMER, **sent}).json["customer"] == expected
    assert broker.status(UUID).json["customer"] == expected


@STAGES
def test_seller_is_told_with_its_address(world: World, broker: Broker, stage: str) -> None:
    """MODEL-01, MODEL-02."""
    address = at(stage)(broker, UUID, world.session().item()).json["seller"]["address"]
    assert address["@type"] == "PostalAddress"
    assert len(address["addressCountry"]) == 2
    assert {"streetAddress", "addressLocality", "addressRegion", "postalCode"} <= set(address)


# --- item errors -------------------------------------------------------------------------

FORM = {
    "@type": "BooleanFormFieldSpecification",
    "@id": "https://base.invalid/api/identifiers/session-series/1#/intakeForm/1",
    "name": "Photos",
}
QUESTION = {
    "@type": "ShortAnswerFormFieldSpecification",
    "@id": "https://base.invalid/api/identifiers/session-series/1#/intakeForm/2",
    "name": "Allergies",
    "valueRequired": True,
}


def answer_to(question: dict[str, Any], value: Any) -> dict[str, Any]:
    return {"@type": "PropertyValue", "propertyID": outer(question["@id"]), "value": value}


def wrong_items(world: World) -> dict[str, dict[str, Any]]:
    """For each type of item error that a quote may hold, an item that gets it."""
    yoga, other = world.session(), world.session()
    over = world.session(starts_in=timedelta(hours=-3))
    leased = world.session(spaces=1)
    assert Broker(world, "partner-9").c1(OTHER, leased.item()).status == 200
    asking = world.session(attendee=("https://schema.org/givenName",))
    answering = world.session(form=(FORM, QUESTION))
    return {
        "IncompleteOrderItemError": yoga.item(acceptedOffer=...),
        "InvalidOpportunityOrOfferIdError": yoga.item(orderedItem="session-1"),
        "UnknownOpportunityError": yoga.item(orderedItem=f"{yoga.outer_id}00"),
        "UnknownOfferError": yoga.item(acceptedOffer=f"{outer(yoga.offer_id)}0"),
        "UnacceptableOfferError": yoga.item(acceptedOffer=outer(other.offer_id)),
        "OpportunityOfferPairNotBookableError": over.item(),
        "OpportunityIsFullError": world.session(spaces=0).item(),
        "OpportunityCapacityIsReservedByLeaseError": leased.item(),
        "IncompleteAttendeeDetailsError": asking.item(),
        "IncompleteIntakeFormError": answering.item(),
        "InvalidIntakeFormError": answering.item(
            orderItemIntakeFormResponse=[answer_to(FORM, "yes"), answer_to(QUESTION, "None")]
        ),
        "OpportunityIsInConflictError": world.session(
            offer={"openBookingPrepayment": "https://openactive.io/Unavailable"}
        ).item(),
    }


ITEM_ERRORS = [
    "IncompleteOrderItemError",
    "InvalidOpportunityOrOfferIdError",
    "UnknownOpportunityError",
    "UnknownOfferError",
    "UnacceptableOfferError",
    "OpportunityOfferPairNotBookableError",
    "OpportunityIsFullError",
    "OpportunityCapacityIsReservedByLeaseError",
    "OpportunityIsInConflictError",
    "IncompleteAttendeeDetailsError",
    "IncompleteIntakeFormError",
    "InvalidIntakeFormError",
]
DETAILS = {"IncompleteAttendeeDetailsError", "IncompleteIntakeFormError", "InvalidIntakeFormError"}


@STAGES
def test_offer_of_another_opportunity_is_known_also_where_that_is_not_ordered(
    world: World, broker: Broker, stage: str
) -> None:
    """ERR-05: the most specific error. It is found in the same read as everything else."""
    yoga, series_offer, slot = world.session(), world.session().offer_id, world.slot()
    gone = world.session()
    listing, _ = world.store.listings([gone.offer_id.partition("#")[0]])[gone.offer_id.partition("#")[0]]
    world.store.publish(replace(listing, version=2, deleted=True), None)
    reads: list[Wanted] = []

    class Counted(MemoryStore):
        def snapshot(self, wanted: Wanted) -> Snapshot:
            reads.append(wanted)
            return super().snapshot(wanted)

    counted = Counted()
    vars(counted).update(vars(world.store))
    world.system.store = counted
    for offer_id, kind in {
        series_offer: "UnacceptableOfferError",
        slot.offer_id: "UnacceptableOfferError",
        f"{series_offer}0": "UnknownOfferError",
        f"{yoga.offer_id}0": "UnknownOfferError",
        gone.offer_id: "UnknownOfferError",
        "https://base.invalid/api/identifiers/session-series/999#/offers/1": "UnknownOfferError",
        "https://operator.example/offers/1": "UnknownOfferError",
    }.items():
        reads.clear()
        answer = at(stage)(broker, UUID, yoga.item(acceptedOffer=outer(offer_id)))
        assert answer.error_types() == [[kind]], offer_id
        assert len(reads) == 1


def test_one_read_has_room_for_all_that_offers_may_belong_to(world: World, broker: Broker) -> None:
    """ERR-05: 100 keys at most, which is what one BatchGetItem takes."""
    reads: list[Wanted] = []

    class Counted(MemoryStore):
        def snapshot(self, wanted: Wanted) -> Snapshot:
            reads.append(wanted)
            return super().snapshot(wanted)

    counted = Counted()
    vars(counted).update(vars(world.store))
    world.system.store = counted
    sessions = [world.session() for _ in range(24)]
    items = [
        session.item(n, acceptedOffer=f"https://a.example/{n}#/offers/1")
        for n, session in enumerate(sessions * 8)
    ]
    assert broker.c1(UUID, *items).status == 409
    [wanted] = reads
    assert wanted.counters
    assert len(wanted.opportunity_ids) * 3 + len(wanted.offers_of) + 2 + SHARDS == 100


@STAGES
@pytest.mark.parametrize("kind", ITEM_ERRORS)
def test_item_error_stands_in_its_place(world: World, broker: Broker, stage: str, kind: str) -> None:
    """C1-04, ERR-02, ERR-06, B-07, T7, GEN-17, DETAILS-09; the error table's item errors."""
    good, others_offer = world.session(price=7), world.session()
    item = wrong_items(world)[kind] | {"position": 1}
    items = [good.item(0), item, good.item(2)]
    if kind == "UnacceptableOfferError":  # an Offer that applies, only not here
        items[0] = others_offer.item(0)
        items[1] = good.item(1, acceptedOffer=outer(others_offer.offer_id))
    answer = at(stage)(broker, UUID, *items, due=17) if stage == "B" else at(stage)(broker, UUID, *items)
    if stage == "C1" and kind in DETAILS:
        assert answer.status == 200  # C1-10: it says what will be needed, and nothing is wrong yet
        return
    assert answer.status == 409
    assert answer.media_type == MEDIA_TYPE
    body = answer.json
    assert body["@type"] == ("Order" if stage == "B" else "OrderQuote")
    assert body["@context"] == "https://openactive.io/"
    assert [shown["position"] for shown in body["orderedItem"]] == [0, 1, 2]
    first, second, third = answer.error_types()
    if kind == "OpportunityIsInConflictError":  # PAY-14: on each of those that do not go together
        assert first == second == third == [kind]
    else:
        assert (first, second, third) == ([], [kind], [])
    assert {"lease"} & set(body) == set()
    assert world.order(UUID) is None  # nothing was written
    assert b"base.invalid" not in answer.body


@QUOTES
def test_totals_leave_out_what_cannot_be_had(world: World, broker: Broker, stage: str) -> None:
    """C1-07."""
    good, full = world.session(price=7), world.session(spaces=0, price=100)
    assert at(stage)(broker, UUID, good.item(), full.item(1)).json["totalPaymentDue"]["price"] == 7
    nothing = at(stage)(broker, UUID, full.item()).json
    assert nothing["totalPaymentDue"]["price"] == 0
    assert "totalPaymentTax" not in nothing


@pytest.mark.shows("IncompleteAttendeeDetailsError", "IncompleteIntakeFormError", "InvalidIntakeFormError")
def test_what_is_still_to_be_filled_in_counts_in_the_total(world: World, broker: Broker) -> None:
    """C1-07, DETAILS-04, DETAILS-08."""
    asking = world.session(
        attendee=("https://schema.org/givenName", "https://schema.org/email"), form=(QUESTION,)
    )
    answer = broker.c2(UUID, asking.item())
    errors = answer.json["orderedItem"][0]["error"]
    assert [(error["@type"], error["instance"]) for error in errors] == [
        ("IncompleteAttendeeDetailsError", "http://schema.org/givenName"),
        ("IncompleteAttendeeDetailsError", "http://schema.org/email"),
        ("IncompleteIntakeFormError", outer(QUESTION["@id"])),
    ]
    assert answer.json["totalPaymentDue"]["price"] == 10
    wrong = asking.item(
        attendee={"@type": "Person", "givenName": "Geoff", "email": "geoff@example.com"},
        orderItemIntakeFormResponse=[answer_to(QUESTION, True)],
    )
    assert broker.c2(UUID, wrong).json["totalPaymentDue"]["price"] == 0


@pytest.mark.parametrize("stage", ["C2", "B"])
def test_complete_details_are_accepted_and_echoed(world: World, broker: Broker, stage: str) -> None:
    """C2-03, C2-04, DETAILS-02, DETAILS-07, DETAILS-09: our own questions are known by the ids we gave."""
    asking = world.session(attendee=("https://schema.org/givenName",), form=(FORM, QUESTION))
    details = {
        "attendee": {"@type": "Person", "givenName": "Geoff"},
        "orderItemIntakeFormResponse": [answer_to(FORM, False), answer_to(QUESTION, "Nuts")],
    }
    answer = at(stage)(broker, UUID, asking.item(**details))
    assert answer.status in (200, 201)
    item = answer.json["orderedItem"][0]
    assert {name: item[name] for name in details} == details
    assert [asked["@id"] for asked in item["orderItemIntakeForm"]] == [
        outer(FORM["@id"]),
        outer(QUESTION["@id"]),
    ]


@QUOTES
@pytest.mark.shows("OpportunityHasInsufficientCapacityError", "OpportunityCapacityIsReservedByLeaseError")
def test_five_spaces_and_their_errors(world: World, broker: Broker, stage: str) -> None:
    """ERR-07, LEASE-07, C1-09: the figures of the certification suite."""
    yoga = world.session(spaces=5)
    others = Broker(world, "partner-2")
    assert at(stage)(others, UUID, *(yoga.item(n) for n in range(3))).status == 200
    answer = at(stage)(broker, UUID, *(yoga.item(n) for n in range(10)))
    assert answer.status == 409
    assert answer.error_types() == (
        [[]] * 2
        + [["OpportunityCapacityIsReservedByLeaseError"]] * 3
        + [["OpportunityHasInsufficientCapacityError"]] * 5
    )
    assert {item["orderedItem"]["remainingAttendeeCapacity"] for item in answer.json["orderedItem"]} == {2}
    assert world.capacity(yoga).spaces_left == 2


@pytest.mark.shows("OpportunityIsInConflictError")
def test_more_opportunities_than_a_transaction_takes_are_refused_before_anything_is_written(
    world: World, broker: Broker
) -> None:
    sessions = [world.session(price=1) for _ in range(25)]
    items = [session.item(n) for n, session in enumerate(sessions)]
    for answer in (broker.c1(UUID, *items), broker.c2(UUID, *items), broker.b(UUID, *items, due=25)):
        assert answer.status == 409
        assert answer.error_types() == [[]] * 24 + [["OpportunityIsInConflictError"]]
    assert world.order(UUID) is None
    assert {world.capacity(session).spaces_left for session in sessions} == {10}
    assert broker.b(UUID, *items[:24], due=24).status == 201


# --- order-level errors ------------------------------------------------------------------


def order_level(world: World) -> dict[str, tuple[dict[str, Any], set[str]]]:
    """For each order-level error: what to change in the request, and at which stages it arises."""
    every = {"C1", "C2", "B"}
    return {
        "UnexpectedOrderTypeError": ({"@type": "OrderProposal"}, every),
        "IncompleteBrokerDetailsError": ({"broker": {"@type": "Organization"}}, every),
        "IncompleteCustomerDetailsError": ({"customer": {"@type": "Person"}}, {"C2", "B"}),
        "SellerNotFoundError": ({"seller": ...}, every),
        "InvalidAuthorizationDetailsError": ({"seller": outer(seller_id(2))}, every),
        "SellerMismatchError": ({"orderedItem": [world.session(seller=2).item()]}, every),
        "InvalidPaymentDetailsError": (
            {"payment": {"@type": "DynamicPayment", "identifier": "1", "accountId": "SN1593"}},
            every,
        ),
        "TotalPaymentDueMismatchError": ({"totalPaymentDue": {"price": 9}}, {"B"}),
        "MissingPaymentDetailsError": ({"payment": ...}, {"B"}),
        "IncompletePaymentDetailsError": ({"payment": {"@type": "Payment", "name": "x"}}, {"B"}),
    }


ORDER_ERRORS = {
    "UnexpectedOrderTypeError": 500,
    "IncompleteBrokerDetailsError": 400,
    "IncompleteCustomerDetailsError": 400,
    "SellerNotFoundError": 500,
    "InvalidAuthorizationDetailsError": 401,
    "SellerMismatchError": 500,
    "InvalidPaymentDetailsError": 400,
    "TotalPaymentDueMismatchError": 400,
    "MissingPaymentDetailsError": 400,
    "IncompletePaymentDetailsError": 400,
}


@STAGES
@pytest.mark.parametrize("kind", ORDER_ERRORS)
def test_order_level_error_stands_alone(world: World, broker: Broker, stage: str, kind: str) -> None:
    """C1-01, C1-05, C2-02, B-01, B-05, B-07, GEN-08, AUTH-12, PAY-09 to PAY-12; ERR-01, ERR-03, ERR-06, T26."""
    changes, stages = order_level(world)[kind]
    items = changes.pop("orderedItem", None) or [world.session().item()]
    answer = at(stage)(broker, UUID, *items, **changes)
    if stage not in stages:
        assert answer.status == 200
        return
    assert answer.status == ORDER_ERRORS[kind]
    assert answer.media_type == MEDIA_TYPE
    assert answer.json["@context"] == "https://openactive.io/"
    assert answer.json["@type"] == kind
    assert answer.json["statusCode"] == ORDER_ERRORS[kind]
    assert answer.json["description"]
    assert "orderedItem" not in answer.json
    assert b"base.invalid" not in answer.body  # also not in `instance`
    assert world.order(UUID) is None


@STAGES
def test_unknown_seller_is_told(world: World, stage: str) -> None:
    """The error table; C1-05."""
    stranger = Broker(world, seller=9)
    answer = at(stage)(stranger, UUID, world.session().item())
    assert (answer.status, answer.json["@type"]) == (500, "SellerNotFoundError")
    assert answer.json["instance"] == outer(seller_id(9))


@STAGES
def test_authorisation_is_judged_before_the_seller_and_the_items(
    world: World, broker: Broker, stage: str
) -> None:
    """AUTH-12, ERR-09."""
    item = world.session(seller=2).item(acceptedOffer=...)
    answer = at(stage)(broker, UUID, item, seller=outer(seller_id(9)), broker=...)
    assert answer.json["@type"] == "InvalidAuthorizationDetailsError"


ROLES = "https://openactive.io/"


@pytest.mark.parametrize(
    ("role", "with_broker", "customer", "stage", "status"),
    [
        ("AgentBroker", True, CUSTOMER, "C2", 200),
        ("AgentBroker", True, None, "C2", 400),
        ("AgentBroker", True, None, "C1", 200),
        ("AgentBroker", False, CUSTOMER, "C1", 400),
        ("ResellerBroker", True, None, "C2", 200),
        ("ResellerBroker", True, None, "B", 201),
        ("ResellerBroker", False, None, "C1", 400),
        ("NoBroker", False, CUSTOMER, "C1", 200),
        ("NoBroker", False, CUSTOMER, "C2", 200),
        ("NoBroker", False, CUSTOMER, "B", 201),
        ("NoBroker", False, None, "C2", 400),
        ("NoBroker", True, CUSTOMER, "C1", 400),
        ("NoBroker", True, CUSTOMER, "B", 400),
        (None, True, CUSTOMER, "C1", 400),
    ],
)
def test_broker_roles(
    world: World, broker: Broker, role: str | None, with_broker: bool, customer: Any, stage: str, status: int
) -> None:
    """ROLE-01 to ROLE-04, C2-02."""
    changes: dict[str, Any] = {"brokerRole": ROLES + role if role else ..., "customer": customer or ...}
    if not with_broker:
        changes["broker"] = ...
    answer = at(stage)(broker, UUID, world.session().item(), **changes)
    assert answer.status == status
    if status == 400:
        expected = "Broker" if (role is None or (role == "NoBroker") is with_broker) else "Customer"
        assert answer.json["@type"] == f"Incomplete{expected}DetailsError"
    elif role == "NoBroker":
        assert "broker" not in answer.json


# --- tax and payment ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seller", "due", "tax"),
    [(1, 12, 2), (2, 14.4, 2.4)],
)
@STAGES
def test_tax_gross_and_net(world: World, stage: str, seller: int, due: float, tax: float) -> None:
    """TAX-01, TAX-04, TAX-05, TAX-06, TAX-10."""
    broker = Broker(world, seller=seller)
    yoga = world.session(price=12, seller=seller)
    arguments = {"due": due} if stage == "B" else {}
    body = at(stage)(broker, UUID, yoga.item(), **arguments).json
    assert body["totalPaymentDue"]["price"] == due
    assert [charge["price"] for charge in body["totalPaymentTax"]] == [tax]
    assert [charge["price"] for charge in body["orderedItem"][0]["unitTaxSpecification"]] == [tax]
    assert body["orderedItem"][0]["acceptedOffer"]["price"] == 12
    assert body["taxCalculationExcluded"] is False


@pytest.mark.parametrize(("seller", "net"), [(1, 10), (2, 12)])
@pytest.mark.parametrize("stage", ["C2", "B"])
def test_tax_between_businesses_left_out(world: World, stage: str, seller: int, net: float) -> None:
    """TAX-02, TAX-03: prices are net then, whatever the mode."""
    world.set(business_tax=False)
    broker, yoga = Broker(world, seller=seller), world.session(price=12, seller=seller)
    arguments = {"due": net} if stage == "B" else {}
    body = at(stage)(broker, UUID, yoga.item(), customer=BUSINESS, **arguments).json
    assert body["totalPaymentDue"]["price"] == net
    assert body["orderedItem"][0]["acceptedOffer"]["price"] == net
    assert body["taxCalculationExcluded"] is True
    assert "totalPaymentTax" not in body
    assert "unitTaxSpecification" not in body["orderedItem"][0]


@pytest.mark.parametrize(
    ("price", "prepayment", "expected"),
    [
        (10, None, "Required"),
        (10, "Required", "Required"),
        (10, "Optional", "Optional"),
        (10, "Unavailable", "Unavailable"),
        (0, None, "Unavailable"),
    ],
)
@QUOTES
def test_prepayment_of_a_quote(
    world: World, broker: Broker, stage: str, price: float, prepayment: str | None, expected: str
) -> None:
    """PAY-01, PAY-03, T2."""
    offer = {"openBookingPrepayment": f"https://openactive.io/{prepayment}"} if prepayment else {}
    item = world.session(price=price, offer=offer).item()
    total = at(stage)(broker, UUID, item).json["totalPaymentDue"]
    assert total["openBookingPrepayment"] == f"https://openactive.io/{expected}"
    world.set(prepayment=False)
    assert "openBookingPrepayment" not in at(stage)(broker, UUID, item).json["totalPaymentDue"]  # PAY-02


@pytest.mark.parametrize(
    ("payment", "refused"),
    [
        (None, False),
        ({"name": "AcmeBroker Points", "accountId": "SN1593"}, False),
        ({"name": "AcmeBroker Points"}, True),
        ({"name": "AcmeBroker Points", "accountId": "other"}, True),
        ({}, True),
    ],
)
@pytest.mark.parametrize("price", [0, 10])
@QUOTES
def test_reconciliation_details(
    world: World, broker: Broker, stage: str, price: float, payment: Any, refused: bool
) -> None:
    """PAY-04, PAY-05, PAY-12, T15: also where nothing is to be paid, but then nothing is echoed."""
    world.set(reconciliation_name="AcmeBroker Points", reconciliation_account_id="SN1593")
    sent = ... if payment is None else {"@type": "Payment", "identifier": "1", **payment}
    answer = at(stage)(broker, UUID, world.session(price=price).item(), payment=sent)
    if refused:
        assert (answer.status, answer.json["@type"]) == (400, "InvalidPaymentDetailsError")
        return
    assert answer.status == 200
    expected = {"@type": "Payment", **payment} if payment and price else None
    assert answer.json.get("payment") == expected


@QUOTES
def test_approval_is_announced(world: World, broker: Broker, stage: str) -> None:
    """C1-13, T24: with 200 and no error; OPEN-03: the requirement itself stays in open data."""
    offer = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
    answer = at(stage)(broker, UUID, world.session(offer=offer).item())
    assert answer.status == 200
    assert answer.json["orderRequiresApproval"] is True
    assert b"openBookingFlowRequirement" not in answer.body


# --- repetition and deletion -------------------------------------------------------------


@QUOTES
def test_quote_on_a_uuid_that_has_completed_is_refused(world: World, broker: Broker, stage: str) -> None:
    """GEN-03, GEN-05, C1-16, DEL-05: also with the same items, also once it is deleted."""
    yoga = world.session()
    assert broker.b(UUID, yoga.item()).status == 201
    answer = at(stage)(broker, UUID, yoga.item())
    assert (answer.status, answer.json["@type"]) == (500, "OrderAlreadyExistsError")
    assert broker.delete(UUID).status == 204
    assert at(stage)(broker, UUID, yoga.item()).json["@type"] == "OrderAlreadyExistsError"


def test_deletion_of_a_quote_is_always_204_without_a_body(
    world: World, broker: Broker, new_uuid: Any
) -> None:
    """QDEL-01, QDEL-02, QDEL-03, GEN-02: known, unknown, twice, without leases, and never an Order."""
    yoga = world.session(spaces=3)
    assert broker.c1(UUID, yoga.item()).status == 200
    assert world.capacity(yoga).spaces_left == 2
    for uuid in (UUID, UUID, new_uuid()):
        answer = broker.delete_quote(uuid)
        assert (answer.status, answer.body, answer.media_type) == (204, b"", None)
    assert world.capacity(yoga).spaces_left == 3
    assert world.order(UUID) is None
    assert broker.b(UUID, yoga.item()).status == 201
    assert broker.delete_quote(UUID).status == 204
    assert broker.status(UUID).json["@type"] == "Order"
    assert world.capacity(yoga).spaces_left == 2


def test_quote_of_another_partner_is_another_quote(world: World, broker: Broker) -> None:
    """GEN-04, AUTH-02: the same UUID, and neither deletes the other's."""
    yoga = world.session(spaces=5)
    other = Broker(world, "partner-2")
    broker.c1(UUID, yoga.item())
    other.c1(UUID, yoga.item(), yoga.item(1))
    assert world.held(yoga) == 3
    other.delete_quote(UUID)
    assert world.held(yoga) == 1
    assert broker.status(UUID).status == 200
    assert other.status(UUID).json["@type"] == "UnknownOrderError"
