"""What each answer holds: the tables of requirements 3.1 and 3.2, cell by cell where this flow has them."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.errors import OpportunityIsFullError, UnknownOpportunityError
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.offers import Prepayment
from chalicelib.domain.orders import Order, OrderItem, OrderKind
from chalicelib.domain.parties import BrokerRole
from chalicelib.domain.pricing import Totals, total, unit_price
from chalicelib.domain.shared_text import SHARED_FROM, is_shared, whole
from chalicelib.values import replace
from chalicelib.wire.jsonld import write
from chalicelib.wire.orders import feed_document, instant, order_document, order_text
from tests.support.builders import BROKER, CUSTOMER, KEY, NOW, SELLER_ID, a_seller, an_offer, an_opportunity

Json = dict[str, Any]

SERVICE: Json = {"@type": "BookingService", "name": "Open Booking"}
PAYMENT: Json = {"@type": "Payment", "identifier": "1", "name": "AcmeBroker Points"}
ITEM_UUID = "20000000-0000-4000-8000-000000000002"
ORDER_ID = f"https://base.invalid/api/openbooking/orders/{KEY.uuid}"

OFFER = an_offer("12.00", document={"@type": "Offer", "@id": "https://a.example/o", "price": 12})
YOGA = an_opportunity(
    "https://a.example/yoga",
    OFFER,
    attendee_details_required=("https://schema.org/givenName",),
    intake_form=(
        {"@type": "ShortAnswerFormFieldSpecification", "@id": "https://a.example/f", "name": "Why?"},
    ),
)


def an_order(kind: OrderKind, **changes: Any) -> Order:
    """An Order with everything in it that it could ever show."""
    unit = unit_price(OFFER, a_seller())
    item = OrderItem(
        position=0,
        opportunity_id=YOGA.id,
        offer_id=OFFER.id,
        opportunity=YOGA,
        offer=OFFER,
        price=unit,
        attendee={"@type": "Person", "givenName": "Geoff"},
        intake_answers=({"@type": "PropertyValue", "propertyID": "https://a.example/f", "value": "Why not"},),
        spaces_remaining=4,
    )
    if kind is OrderKind.Order:
        item = replace(
            item,
            id=ITEM_UUID,
            status=OrderItemStatus.OrderItemConfirmed,
            spaces_remaining=None,
            access_codes=({"@type": "PropertyValue", "name": "PIN", "description": "1234"},),
            access_passes=({"@type": "Barcode", "text": "0123", "beta:codeType": "code39"},),
            access_channel={"@type": "VirtualLocation", "url": "https://a.example/join"},
            customer_notice="The pool is cold.",
            cancellation_message="Sorry.",
        )
    order = Order(
        key=KEY,
        kind=kind,
        seller_id=SELLER_ID,
        seller=a_seller().document,
        broker_role=BrokerRole.AgentBroker,
        items=(item,),
        totals=total([(OFFER, unit)], tax_excluded=False, prepayment_supported=True),
        broker=BROKER,
        customer=CUSTOMER,
        payment=PAYMENT,
        lease_expires_at=NOW + timedelta(minutes=15),
        fingerprint="fingerprint",
        answer="answer",
    )
    return replace(order, **changes)


def documents() -> dict[str, Json]:
    """The same Order in each answer. C1 has neither customer nor attendee, because it is made so."""
    quote, order = an_order(OrderKind.OrderQuote), an_order(OrderKind.Order)
    impersonal = tuple(replace(item, attendee=None, intake_answers=()) for item in quote.items)
    return {
        "C1": order_document(replace(quote, customer=None, items=impersonal), SERVICE),
        "C2": order_document(quote, SERVICE),
        "B": order_document(order, SERVICE),
        "Status": order_document(order, SERVICE, with_positions=False),
        "Feed": feed_document(order),
    }


ALL = ("C1", "C2", "B", "Status", "Feed")
ANSWERS = ("C1", "C2", "B", "Status")
MADE = ("B", "Status")

ORDER_LEVEL = {
    "@context": ALL,
    "@type": ALL,
    "@id": ALL,
    "identifier": ("Feed",),
    "orderNumber": (),
    "brokerRole": ANSWERS,
    "broker": ANSWERS,
    "seller": ANSWERS,
    "customer": ("C2", "B", "Status"),
    "bookingService": ANSWERS,
    "orderedItem": ALL,
    "totalPaymentDue": ALL,
    "totalPaymentTax": ALL,
    "taxCalculationExcluded": ANSWERS,  # T13: in the feed only where it is true
    "payment": ANSWERS,
    "lease": ("C1", "C2"),
    "orderRequiresApproval": ("C1", "C2"),
    "orderProposalStatus": (),
    "orderProposalVersion": (),
    "orderSellerNote": (),
    "orderCustomerNote": (),
    "orderStatus": (),
    "orderCreationStatus": (),
}
ITEM_LEVEL = {
    "@type": ALL,
    "@id": ("B", "Status", "Feed"),
    "position": ("C1", "C2", "B"),  # STATUS-03
    "orderItemStatus": ("B", "Status", "Feed"),
    "orderedItem": ALL,
    "acceptedOffer": ALL,
    "unitTaxSpecification": ALL,
    "error": (),
    "attendeeDetailsRequired": ANSWERS,
    "attendee": ("C2", "B", "Status"),
    "orderItemIntakeForm": ANSWERS,
    "orderItemIntakeFormResponse": ("C2", "B", "Status"),
    "accessCode": ("B", "Status", "Feed"),
    "accessPass": ("B", "Status", "Feed"),
    "accessChannel": ("B", "Status", "Feed"),
    "customerNotice": ("B", "Status", "Feed"),
    "cancellationMessage": ("B", "Status", "Feed"),
}


@pytest.mark.parametrize("where", ALL)
@pytest.mark.parametrize("term", ORDER_LEVEL)
def test_each_cell_of_the_table_of_orders(term: str, where: str) -> None:
    """Section 3.1; C1-12, C1-13, B-12, OFEED-07, OFEED-10; T21: the list of items is always there."""
    assert (term in documents()[where]) is (where in ORDER_LEVEL[term])


@pytest.mark.parametrize("where", ALL)
@pytest.mark.parametrize("term", ITEM_LEVEL)
def test_each_cell_of_the_table_of_items(term: str, where: str) -> None:
    """Section 3.2; C1-10, C1-12, STATUS-03, OFEED-08, OFEED-09; T20: customerNotice is in the item."""
    assert (term in documents()[where]["orderedItem"][0]) is (where in ITEM_LEVEL[term])


@pytest.mark.parametrize("where", ALL)
def test_nothing_is_in_an_answer_that_is_not_in_the_tables(where: str) -> None:
    """Sections 3.1 and 3.2; nothing of what is kept inside gets out."""
    document = documents()[where]
    assert set(document) <= set(ORDER_LEVEL)
    assert set(document["orderedItem"][0]) <= set(ITEM_LEVEL)


@pytest.mark.parametrize(
    ("where", "kind", "path"),
    [
        ("C1", "OrderQuote", "order-quotes"),  # C1-14
        ("C2", "OrderQuote", "order-quotes"),
        ("B", "Order", "orders"),  # B-11
        ("Status", "Order", "orders"),
        ("Feed", "Order", "orders"),
    ],
)
def test_type_and_id_of_each_answer(where: str, kind: str, path: str) -> None:
    """C1-14, B-11."""
    document = documents()[where]
    assert document["@type"] == kind
    assert document["@id"] == f"https://base.invalid/api/openbooking/{path}/{KEY.uuid}"


def test_item_of_an_order_has_its_id_and_status() -> None:
    """B-09, B-10."""
    item = documents()["B"]["orderedItem"][0]
    assert item["@id"] == f"{ORDER_ID}#/orderedItem/{ITEM_UUID}"
    assert item["orderItemStatus"] == "https://openactive.io/OrderItemConfirmed"


def test_quote_shows_the_payment_without_its_identifier() -> None:
    """PAY-05, T15."""
    assert documents()["C1"]["payment"] == {"@type": "Payment", "name": "AcmeBroker Points"}
    assert documents()["B"]["payment"] == PAYMENT
    only_identifier = an_order(OrderKind.OrderQuote, payment={"@type": "Payment", "identifier": "1"})
    assert "payment" not in order_document(only_identifier, SERVICE)


def test_order_without_a_payment_has_none() -> None:
    """PAY-16."""
    assert "payment" not in order_document(an_order(OrderKind.Order, payment=None), SERVICE)


def test_without_a_broker_none_is_shown() -> None:
    """ROLE-03."""
    order = an_order(OrderKind.Order, broker_role=BrokerRole.NoBroker, broker=None)
    document = order_document(order, SERVICE)
    assert document["brokerRole"] == "https://openactive.io/NoBroker"
    assert "broker" not in document


def test_tax_is_shown_per_item_and_in_total() -> None:
    """TAX-06: T14 gross, as a price with its currency, rate and name; never prepayment."""
    document = documents()["C1"]
    charge = {
        "@type": "TaxChargeSpecification",
        "name": "VAT at 20%",
        "price": 2,
        "priceCurrency": "GBP",
        "rate": 0.2,
    }
    assert document["totalPaymentTax"] == [charge]
    assert document["orderedItem"][0]["unitTaxSpecification"] == [charge]
    assert document["taxCalculationExcluded"] is False
    assert document["totalPaymentDue"] == {
        "@type": "PriceSpecification",
        "price": 12,
        "priceCurrency": "GBP",
        "openBookingPrepayment": "https://openactive.io/Required",
    }


def test_without_tax_calculation_there_is_no_tax_and_the_price_is_net() -> None:
    """TAX-03; in the feed taxCalculationExcluded only if true (T13, OFEED-07)."""
    unit = unit_price(OFFER, a_seller(), tax_excluded=True)
    order = an_order(OrderKind.Order)
    order = replace(
        order,
        items=tuple(replace(item, price=unit) for item in order.items),
        totals=total([(OFFER, unit)], tax_excluded=True, prepayment_supported=True),
    )
    for document in (order_document(order, SERVICE), feed_document(order)):
        assert document["taxCalculationExcluded"] is True
        assert "totalPaymentTax" not in document
        assert "unitTaxSpecification" not in document["orderedItem"][0]
        assert document["orderedItem"][0]["acceptedOffer"]["price"] == 10
        assert document["totalPaymentDue"]["price"] == 10
    assert "taxCalculationExcluded" not in documents()["Feed"]


@pytest.mark.parametrize("prepayment", [*Prepayment, None])
def test_prepayment_is_shown_if_it_is_supported(prepayment: Prepayment | None) -> None:
    """PAY-01, PAY-02."""
    order = an_order(OrderKind.Order, totals=Totals(Decimal(1), "GBP", prepayment))
    shown = order_document(order, SERVICE)["totalPaymentDue"].get("openBookingPrepayment")
    assert shown == (f"https://openactive.io/{prepayment}" if prepayment else None)


def test_free_order_has_a_price_of_nought_and_no_currency() -> None:
    """C1-07, PAY-03, MODEL-05, TAX-08: 0 is a value, an empty list is dropped."""
    order = an_order(OrderKind.Order, totals=Totals(Decimal("0.00"), None, Prepayment.Unavailable))
    document = order_document(order, SERVICE)
    assert document["totalPaymentDue"]["price"] == 0
    assert "priceCurrency" not in document["totalPaymentDue"]
    assert "totalPaymentTax" not in document


def test_lease_is_shown_with_its_end() -> None:
    """LEASE-02."""
    assert documents()["C1"]["lease"] == {"@type": "Lease", "leaseExpires": "2026-06-01T12:15:00Z"}
    without = order_document(an_order(OrderKind.OrderQuote, lease_expires_at=None), SERVICE)
    assert "lease" not in without


@pytest.mark.parametrize("approval", [True, False])
def test_approval_is_always_shown_in_a_quote(approval: bool) -> None:
    """C1-13, T24."""
    order = an_order(OrderKind.OrderQuote, requires_approval=approval)
    assert order_document(order, SERVICE)["orderRequiresApproval"] is approval


def test_errors_are_in_their_items_and_the_others_are_complete() -> None:
    """C1-04, ERR-02; an Order that was not made has no items with ids (T7)."""
    for kind in (OrderKind.OrderQuote, OrderKind.Order):
        order = an_order(kind)
        order = replace(order, items=(order.items[0], replace(order.items[0], position=1)))
        first, second = order_document(order, SERVICE, {1: (OpportunityIsFullError(),)})["orderedItem"]
        assert "error" not in first
        assert [error["@type"] for error in second["error"]] == ["OpportunityIsFullError"]
        assert "@context" not in second["error"][0]
        for item in (first, second):
            assert not {"@id", "orderItemStatus", "accessCode", "customerNotice"} & set(item)
            assert {"position", "orderedItem", "acceptedOffer"} <= set(item)


def test_unresolved_references_are_returned_unchanged() -> None:
    """Section 3.2: position, references and error; no tax."""
    item = OrderItem(3, opportunity_id="https://a.example/unknown", offer_id="https://a.example/o")
    order = an_order(OrderKind.OrderQuote, items=(item, OrderItem(4, opportunity_id="https://a.example/x")))
    shown = order_document(order, SERVICE, {0: (UnknownOpportunityError(),)})["orderedItem"]
    assert {name: value for name, value in shown[0].items() if name != "error"} == {
        "@type": "OrderItem",
        "position": 3,
        "orderedItem": "https://a.example/unknown",
        "acceptedOffer": "https://a.example/o",
    }
    assert "acceptedOffer" not in shown[1]


def test_second_context_is_there_for_barcodes_only() -> None:
    """MEDIA-02."""
    assert documents()["B"]["@context"] == ["https://openactive.io/", "https://openactive.io/ns-beta"]
    plain = an_order(OrderKind.Order)
    plain = replace(plain, items=(replace(plain.items[0], access_passes=()),))
    assert order_document(plain, SERVICE)["@context"] == "https://openactive.io/"
    assert feed_document(plain)["@context"] == "https://openactive.io/"


def test_instants_are_written_to_the_second_in_utc() -> None:
    """RPDE-14."""
    summer = timezone(timedelta(hours=1))
    assert instant(datetime(2026, 6, 1, 13, 0, 0, 999_999, tzinfo=summer)) == "2026-06-01T12:00:00Z"
    assert instant(datetime(2026, 6, 1, tzinfo=UTC)) == "2026-06-01T00:00:00Z"


def values_in(document: Any) -> list[Any]:
    if isinstance(document, dict):
        return [document, *(found for value in document.values() for found in values_in(value))]
    if isinstance(document, list):
        return [document, *(found for value in document for found in values_in(value))]
    return [document]


@pytest.mark.parametrize("where", ALL)
def test_nothing_empty_goes_out(where: str) -> None:
    """MEDIA-03."""
    assert not any(value is None or value in ("", []) for value in values_in(documents()[where]))


# --- the texts of many items ----------------------------------------------------------------


def many_items(kind: OrderKind) -> tuple[OrderItem, ...]:
    """Items that are alike but for id and position, and among them each kind that is not."""
    plain = replace(YOGA, attendee_details_required=(), intake_form=())
    other = replace(plain, id="https://a.example/pilates", document={"@type": "Slot", "any-id": 2**53})
    alike = OrderItem(0, plain.id, OFFER.id, plain, OFFER, unit_price(OFFER, a_seller()), spaces_remaining=4)
    different: list[dict[str, Any]] = [
        {},
        {"opportunity": other},
        {"price": None},
        {"spaces_remaining": 3},
        {"spaces_remaining": None},
        {"attendee": {"@type": "Person", "givenName": "any-id"}},
        {"intake_answers": ({"@type": "PropertyValue", "value": "9007199254740992"},)},
        {"opportunity": YOGA},
        {"access_codes": ({"description": "1234"},)},
        {"access_passes": ({"@type": "Barcode", "text": "1"},)},
        {"access_channel": {"@type": "VirtualLocation"}},
        {"customer_notice": "Cold."},
        {"cancellation_message": "Sorry."},
        {"status": OrderItemStatus.CustomerCancelled},
        {"opportunity": None, "offer": None, "price": None},
        {"position": None},
        {"offer": replace(OFFER, document={"@type": "Offer", "@id": "any-id", "price": 9007199254740992})},
    ]
    items = [replace(alike, **changes) for changes in (*different, *different, *different[:1] * 20)]
    if kind is OrderKind.OrderQuote:
        return tuple(
            replace(item, position=item.position if item.position is None else n)
            for n, item in enumerate(items)
        )
    status = OrderItemStatus.OrderItemConfirmed
    return tuple(
        replace(
            item,
            id=f"00000000-0000-4000-8000-{n:012}",
            status=item.status or status,
            position=item.position if item.position is None else 7 * n,
        )
        for n, item in enumerate(items)
    )


@pytest.mark.parametrize("kind", OrderKind)
@pytest.mark.parametrize("with_positions", [True, False])
@pytest.mark.parametrize("with_prepayment", [True, False])
@pytest.mark.parametrize("errors", [{}, {0: (OpportunityIsFullError(),), 21: (OpportunityIsFullError(),)}])
def test_text_of_many_items_is_that_of_its_document(
    kind: OrderKind, with_positions: bool, with_prepayment: bool, errors: Any
) -> None:
    order = an_order(kind, items=many_items(kind))
    options: Any = {"with_positions": with_positions, "with_prepayment": with_prepayment}
    text = order_text(order, SERVICE, errors, **options)
    document = order_document(order, SERVICE, errors, **options)
    assert whole(text) == write(document)
    assert len(document["orderedItem"]) == len(order.items)


def test_text_is_shared_only_where_it_is_long() -> None:
    items = many_items(OrderKind.Order)
    for count in (1, 8, 9, len(items)):
        assert not is_shared(order_text(an_order(OrderKind.Order, items=items[:count]), SERVICE))
    order = an_order(OrderKind.Order, items=items * 4)
    text = order_text(order, SERVICE)
    assert is_shared(text)
    assert len(whole(text)) > max(SHARED_FROM, len(text))
