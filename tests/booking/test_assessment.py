"""What is wrong with each item, in which order, and what the rest comes to."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.booking.assessment import Assessment, assess, remaining_total
from chalicelib.booking.decisions import Snapshot
from chalicelib.booking.requests import OrderRequest
from chalicelib.domain.capacity import Capacity, Hold, HoldState
from chalicelib.domain.errors import (
    IncompleteBrokerDetailsError,
    IncompleteCustomerDetailsError,
    IncompleteOrderItemError,
    SellerMismatchError,
    SellerNotFoundError,
)
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.offers import FlowRequirement, Prepayment
from chalicelib.domain.opportunities import EventStatus
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import BrokerRole
from chalicelib.values import replace
from tests.support.builders import (
    BUSINESS,
    CYCLING,
    NOW,
    SELLER_ID,
    YOGA,
    a_moment,
    a_request,
    a_seller,
    a_snapshot,
    an_item,
    an_offer,
    an_opportunity,
)


def assessed(
    request: OrderRequest, snapshot: Snapshot, *, with_customer: bool = True, **policy: Any
) -> Assessment:
    return assess(request, snapshot, a_moment(**policy), with_customer=with_customer)


def names(assessment: Assessment) -> list[list[str]]:
    """The types of errors of each item."""
    return [
        [type(error).__name__ for error in assessment.errors.get(n, ())] for n in range(len(assessment.items))
    ]


def test_item_in_order_is_resolved_and_priced() -> None:
    """C1-06, C1-08, GEN-07."""
    found = assessed(a_request(an_item(YOGA)), a_snapshot(YOGA, spaces=4))
    [item] = found.items
    assert found.errors == {}
    assert item.opportunity is not None
    assert item.opportunity.id == YOGA.id
    assert item.offer == YOGA.offers[0]
    assert item.spaces_remaining == 4
    assert found.totals.due == Decimal("10.00")


def test_kept_opportunity_has_one_offer_and_no_price_list() -> None:
    """B-13."""
    [item] = assessed(a_request(an_item(YOGA)), a_snapshot(YOGA)).items
    assert item.opportunity is not None
    assert item.opportunity.offers == ()


OTHERS_OFFER = "https://a.example/cycling#/offers/1"
UNKNOWN_OFFER = "https://a.example/yoga#/offers/9"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"errors": (IncompleteOrderItemError("x"),), "offer_id": None}, "IncompleteOrderItemError"),
        ({"opportunity_id": "https://a.example/unknown"}, "UnknownOpportunityError"),
        (
            {"opportunity_id": "https://a.example/unknown", "offer_id": UNKNOWN_OFFER},
            "UnknownOpportunityError",
        ),
        ({"offer_id": UNKNOWN_OFFER}, "UnknownOfferError"),
        ({"offer_id": OTHERS_OFFER}, "UnacceptableOfferError"),
    ],
)
def test_item_that_cannot_be_resolved(item: dict[str, Any], expected: str) -> None:
    """ERR-05, ERR-08, C1-04: the item is there with its reason, the other one is not touched."""
    request = a_request(an_item(YOGA, **item), an_item(CYCLING, 1))
    found = assessed(request, a_snapshot(YOGA, CYCLING))
    assert names(found) == [[expected], []]
    assert found.items[0].opportunity_id == item.get("opportunity_id", YOGA.id)
    assert found.totals.due == Decimal("10.00")  # C1-07


@pytest.mark.parametrize(
    "opportunity",
    [
        replace(YOGA, type=OpportunityType.SessionSeries),  # BOOKABLE-01
        replace(YOGA, status=EventStatus.EventCancelled),  # BOOKABLE-08
        replace(YOGA, status=EventStatus.EventPostponed),
        replace(YOGA, starts_at=NOW - timedelta(hours=2), ends_at=NOW),  # BOOKABLE-07
        replace(YOGA, offers=(replace(YOGA.offers[0], bookable_in_advance=False),)),  # BOOKABLE-03, 04
        replace(YOGA, offers=(replace(YOGA.offers[0], opens_before=timedelta(days=1)),)),  # BOOKABLE-05
    ],
)
def test_pair_that_cannot_be_booked(opportunity: Any) -> None:
    """BOOKABLE-10: that and nothing else, also where there is no space (ERR-08)."""
    request = a_request(an_item(YOGA), an_item(CYCLING, 1))
    found = assessed(request, a_snapshot(opportunity, CYCLING, spaces=1))
    assert names(found) == [["OpportunityOfferPairNotBookableError"], []]
    full = assessed(a_request(an_item(YOGA)), a_snapshot(opportunity, spaces=0))
    assert names(full) == [["OpportunityOfferPairNotBookableError"]]


def test_opportunity_that_was_closed_cannot_be_booked() -> None:
    """BOOKABLE-10."""
    closed = Capacity(5, 5, open_for_booking=False)
    found = assessed(a_request(an_item(YOGA)), a_snapshot(YOGA, capacity=closed))
    assert names(found) == [["OpportunityOfferPairNotBookableError"]]


def test_seller_who_takes_no_bookings_has_nothing_to_book() -> None:
    """T5: isOpenBookingAllowed is honoured, as a matter of the items and not of an unknown Seller."""
    snapshot = a_snapshot(YOGA, seller=a_seller(open_booking_allowed=False))
    assert names(assessed(a_request(an_item(YOGA)), snapshot)) == [["OpportunityOfferPairNotBookableError"]]


def test_capacity_errors_go_to_the_highest_positions() -> None:
    """ERR-07, C1-11: by position, whatever the order of the list."""
    request = a_request(*(an_item(YOGA, position) for position in (4, 0, 2, 1, 3)))
    found = assessed(request, a_snapshot(YOGA, spaces=2, leased=1))
    by_position = {item.position: kinds for item, kinds in zip(found.items, names(found), strict=True)}
    assert by_position == {
        0: [],
        1: [],
        2: ["OpportunityCapacityIsReservedByLeaseError"],
        3: ["OpportunityHasInsufficientCapacityError"],
        4: ["OpportunityHasInsufficientCapacityError"],
    }
    assert found.totals.due == Decimal("20.00")  # C1-07


def test_full_opportunity_is_full_for_each_item() -> None:
    """ERR-07; the answer says 0 remaining."""
    found = assessed(a_request(an_item(YOGA), an_item(YOGA, 1)), a_snapshot(YOGA, spaces=0))
    assert names(found) == [["OpportunityIsFullError"]] * 2
    assert [item.spaces_remaining for item in found.items] == [0, 0]
    assert found.totals.due == 0  # C1-07: price 0, still present


def test_items_with_other_errors_take_no_spaces_from_the_rest() -> None:
    """ERR-08."""
    wrong = an_item(YOGA, 0, offer_id=UNKNOWN_OFFER)
    found = assessed(a_request(wrong, an_item(YOGA, 1)), a_snapshot(YOGA, spaces=1))
    assert names(found) == [["UnknownOfferError"], []]


def test_own_lease_counts_as_free() -> None:
    """C1-09, LEASE-03: a repeated quote does not conflict with its own lease."""
    hold = Hold(2, HoldState.leased, NOW + timedelta(minutes=5))
    snapshot = a_snapshot(YOGA, spaces=0, leased=1, hold=hold)
    found = assessed(a_request(*(an_item(YOGA, n) for n in range(3))), snapshot)
    assert names(found) == [[], [], ["OpportunityCapacityIsReservedByLeaseError"]]
    assert [item.spaces_remaining for item in found.items] == [2, 2, 2]


# --- attendees and forms -----------------------------------------------------------------

FORM = (
    {
        "@type": "ShortAnswerFormFieldSpecification",
        "@id": "https://a.example/f",
        "name": "Why?",
        "valueRequired": True,
    },
)
ASKING = replace(YOGA, attendee_details_required=("https://schema.org/givenName",), intake_form=FORM)


def answered(value: Any) -> dict[str, Any]:
    return {"intake_answers": ({"propertyID": "https://a.example/f", "value": value},)}


@pytest.mark.parametrize(
    ("details", "expected", "due"),
    [
        ({}, ["IncompleteAttendeeDetailsError", "IncompleteIntakeFormError"], "10.00"),
        ({"attendee": {"givenName": "Geoff"}}, ["IncompleteIntakeFormError"], "10.00"),
        (answered("Because"), ["IncompleteAttendeeDetailsError"], "10.00"),
        ({"attendee": {"givenName": "Geoff"}, **answered("Because")}, [], "10.00"),
        ({"attendee": {"givenName": "Geoff"}, **answered(7)}, ["InvalidIntakeFormError"], "0.00"),
        (answered(7), ["IncompleteAttendeeDetailsError", "InvalidIntakeFormError"], "0.00"),
    ],
)
def test_details_are_asked_for_once_there_is_a_customer(
    details: dict[str, Any], expected: list[str], due: str
) -> None:
    """C2-03, DETAILS-04, DETAILS-08, C1-07: what is incomplete counts in the total, what is invalid does not."""
    found = assessed(a_request(an_item(ASKING, **details)), a_snapshot(ASKING))
    assert names(found) == [expected] if expected else [[]]
    assert found.totals.due == Decimal(due)


def test_details_are_not_asked_for_before() -> None:
    """C1-10, C1-12: at C1 the item only says what will be needed."""
    item = an_item(ASKING, attendee={"givenName": "Geoff"}, **answered(7))
    found = assessed(a_request(item), a_snapshot(ASKING), with_customer=False)
    assert found.errors == {}
    assert found.items[0].attendee is None
    assert found.items[0].intake_answers == ()
    assert found.items[0].opportunity is not None
    assert found.items[0].opportunity.intake_form == FORM


def test_details_of_an_item_without_a_space_are_not_judged() -> None:
    """ERR-08: capacity -> attendee and form."""
    assert names(assessed(a_request(an_item(ASKING)), a_snapshot(ASKING, spaces=0))) == [
        ["OpportunityIsFullError"]
    ]


# --- what does not go together -----------------------------------------------------------


def with_offer(opportunity_id: str, **offer: Any) -> Any:
    return an_opportunity(opportunity_id, replace(an_offer(offer_id=f"{opportunity_id}#/offers/1"), **offer))


def test_payment_required_and_unavailable_conflict() -> None:
    """PAY-14, T12: on the priced items concerned and not on the free one."""
    required = with_offer("https://a.example/r", prepayment=Prepayment.Required)
    unavailable = with_offer("https://a.example/u", prepayment=Prepayment.Unavailable)
    free = with_offer("https://a.example/f", price=Decimal(0))
    request = a_request(an_item(required), an_item(unavailable, 1), an_item(free, 2))
    snapshot = a_snapshot(required, unavailable, free)
    conflict = ["OpportunityIsInConflictError"]
    assert names(assessed(request, snapshot)) == [conflict, conflict, []]
    # PAY-02: where prepayment is not supported there is nothing to conflict
    assert names(assessed(request, snapshot, prepayment_supported=False)) == [[], [], []]


def test_item_that_is_out_anyway_conflicts_with_nothing() -> None:
    required = with_offer("https://a.example/r", prepayment=Prepayment.Required)
    over = replace(
        with_offer("https://a.example/u", prepayment=Prepayment.Unavailable),
        starts_at=NOW - timedelta(hours=2),
        ends_at=NOW - timedelta(hours=1),
    )
    found = assessed(a_request(an_item(required), an_item(over, 1)), a_snapshot(required, over))
    assert names(found) == [[], ["OpportunityOfferPairNotBookableError"]]


def test_currencies_do_not_mix() -> None:
    """GEN-09: items that differ from the first get an error; a free item without a currency does not differ."""
    pounds, euros = with_offer("https://a.example/p"), with_offer("https://a.example/e", currency="EUR")
    free = with_offer("https://a.example/f", price=Decimal(0), currency=None)
    request = a_request(an_item(free), an_item(pounds, 1), an_item(euros, 2), an_item(pounds, 3))
    found = assessed(request, a_snapshot(pounds, euros, free))
    assert names(found) == [[], [], ["OpportunityIsInConflictError"], []]


def test_order_has_a_limit_of_opportunities() -> None:
    """One transaction must hold it; repeated places of one Opportunity do not count again."""
    sessions = [an_opportunity(f"https://a.example/{n}") for n in range(4)]
    items = [an_item(session, n) for n, session in enumerate([*sessions, sessions[0]])]
    found = assessed(a_request(*items), a_snapshot(*sessions), max_opportunities=3)
    assert names(found) == [[], [], [], ["OpportunityIsInConflictError"], []]
    assert not assessed(a_request(*items), a_snapshot(*sessions), max_opportunities=4).errors


# --- the order as a whole ----------------------------------------------------------------


def test_item_of_another_seller_is_a_matter_of_the_whole_order() -> None:
    """GEN-08, C1-05: even where that item has other errors."""
    other = replace(CYCLING, seller_id="https://a.example/sellers/2")
    request = a_request(an_item(YOGA), an_item(other, 1, offer_id=UNKNOWN_OFFER))
    with pytest.raises(SellerMismatchError):
        assessed(request, a_snapshot(YOGA, other))


def test_parties_are_judged_in_order() -> None:
    """ERR-09: Seller, then Broker, then Customer; the Customer only once there should be one."""
    wrong = a_request(broker=None, customer=None, seller_id="https://a.example/sellers/9")
    unknown_seller = replace(a_snapshot(), seller=None)
    with pytest.raises(SellerNotFoundError):
        assessed(wrong, unknown_seller)
    with pytest.raises(IncompleteBrokerDetailsError):
        assessed(wrong, a_snapshot())
    with pytest.raises(IncompleteCustomerDetailsError):
        assessed(a_request(customer=None), a_snapshot())
    assert not assessed(a_request(customer=None), a_snapshot(), with_customer=False).errors  # C1-02


def test_customer_at_c1_is_not_looked_at() -> None:
    """C1-02: also not for the tax."""
    found = assessed(
        a_request(customer=BUSINESS), a_snapshot(), with_customer=False, business_tax_calculated=False
    )
    assert not found.totals.tax_excluded


@pytest.mark.parametrize(
    ("role", "customer", "calculated", "excluded"),
    [
        (BrokerRole.AgentBroker, BUSINESS, False, True),
        (BrokerRole.AgentBroker, BUSINESS, True, False),
        (BrokerRole.ResellerBroker, None, False, True),
        (BrokerRole.AgentBroker, {"@type": "Person", "email": "a@example.com"}, False, False),
    ],
)
def test_tax_between_businesses_may_be_left_out(
    role: BrokerRole, customer: Any, calculated: bool, excluded: bool
) -> None:
    """TAX-01, TAX-02, TAX-03."""
    request = a_request(broker_role=role, customer=customer)
    found = assessed(request, a_snapshot(), business_tax_calculated=calculated)
    assert found.totals.tax_excluded is excluded
    assert bool(found.totals.taxes) is not excluded
    assert found.totals.due == (Decimal("8.33") if excluded else Decimal("10.00"))


def test_one_item_that_needs_approval_makes_the_order_need_it() -> None:
    """C1-13, P-18."""
    needing = with_offer("https://a.example/a", requirements=(FlowRequirement.OpenBookingApproval,))
    assert assessed(
        a_request(an_item(YOGA), an_item(needing, 1)), a_snapshot(YOGA, needing)
    ).requires_approval
    assert not assessed(a_request(an_item(YOGA)), a_snapshot(YOGA)).requires_approval


@pytest.mark.parametrize("status", OrderItemStatus)
def test_cancelled_items_do_not_count(status: OrderItemStatus) -> None:
    """CANCEL-11, TAX-09: price and tax."""
    items = assessed(a_request(an_item(YOGA), an_item(YOGA, 1)), a_snapshot(YOGA)).items
    items = (replace(items[0], status=status), replace(items[1], status=OrderItemStatus.OrderItemConfirmed))
    totals = remaining_total(items, tax_excluded=False, prepayment_supported=True)
    counted = 1 if status in (OrderItemStatus.CustomerCancelled, OrderItemStatus.SellerCancelled) else 2
    assert totals.due == counted * Decimal("10.00")
    assert [charge.amount for charge in totals.taxes] == [counted * Decimal("1.67")]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 30)), min_size=1, max_size=30, unique_by=lambda t: t[1]),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_every_item_gets_at_most_one_capacity_error_and_no_space_is_promised_twice(
    wanted: list[tuple[bool, int]], spaces: int, leased: int
) -> None:
    """ERR-07, BOOKABLE-09: for every mix of items of two Opportunities, in any order."""
    items = [an_item(YOGA if of_yoga else CYCLING, position) for of_yoga, position in wanted]
    found = assessed(a_request(*items), a_snapshot(YOGA, CYCLING, spaces=spaces, leased=leased))
    for opportunity in (YOGA, CYCLING):
        indexes = [n for n, item in enumerate(items) if item.opportunity_id == opportunity.id]
        passing = [n for n in indexes if n not in found.errors]
        assert len(passing) == min(len(indexes), spaces)
        assert all(len(found.errors[n]) == 1 for n in indexes if n in found.errors)
    assert found.totals.due == Decimal(10) * (len(items) - len(found.errors))


def test_seller_of_the_order_is_the_one_that_was_read() -> None:
    assert assessed(a_request(), a_snapshot()).seller.id == SELLER_ID
