"""P, OrderProposal Update, and B of an accepted proposal, over the wire."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.api import streams
from chalicelib.booking.proposals import amend_proposal, decide_proposal
from chalicelib.domain.errors import OpportunityIsFullError, UnacceptableOfferError
from chalicelib.domain.lifecycle import ProposalEvent
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderKey, OrderKind
from chalicelib.values import replace
from chalicelib.wire.logistics import Logistics, cancelled, with_logistics
from chalicelib.wire.orders import feed_document
from tests.support.builders import CUSTOMER
from tests.support.world import API, BASE_URL, PAYMENT, PLACE, Answer, Bookable, Broker, World, order_record

UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"
APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
MESSAGES = {
    "openBookingFlowRequirement": [
        "https://openactive.io/OpenBookingApproval",
        "https://openactive.io/OpenBookingMessageExchange",
    ]
}
Json = dict[str, Any]


@pytest.fixture
def yoga(world: World) -> Bookable:
    return world.session(spaces=5, price=10, offer=APPROVAL)


def p(broker: Broker, *items: Json, uuid: str = UUID, due: float = 10, **properties: Any) -> Answer:
    usual: Json = {
        "totalPaymentDue": {"@type": "PriceSpecification", "price": due, "priceCurrency": "GBP"},
        "payment": PAYMENT,
        "customer": CUSTOMER,
    }
    body = broker.body("OrderProposal", *items, **{**usual, **properties})
    return broker.send("PUT", f"{API}/order-proposals/{uuid}", body)


def b(broker: Broker, version: str, uuid: str = UUID, **properties: Any) -> Answer:
    body = {"@type": "Order", "orderProposalVersion": version, "payment": PAYMENT, **properties}
    return broker.send("PUT", f"{API}/orders/{uuid}", body)


def patch(broker: Broker, **properties: Any) -> Answer:
    return broker.send("PATCH", f"{API}/order-proposals/{UUID}", {"@type": "OrderProposal", **properties})


REJECTED = "https://openactive.io/CustomerRejected"


def decide(world: World, event: ProposalEvent) -> None:
    moment = world.system.moment()
    world.system.attempts.carry_out_on_order(
        OrderKey("partner-1", UUID), lambda snapshot: decide_proposal(snapshot, event, moment), moment.now
    )


def amend(world: World) -> None:
    moment = world.system.moment()
    world.system.attempts.carry_out_on_order(
        OrderKey("partner-1", UUID), lambda snapshot: amend_proposal(snapshot, moment), moment.now
    )


@pytest.mark.parametrize(
    ("payment", "error"),
    [
        (..., "MissingPaymentDetailsError"),
        ({"@type": "Payment"}, "IncompletePaymentDetailsError"),
    ],
)
def test_a_proposal_says_how_it_is_paid(world: World, broker: Broker, payment: Any, error: str) -> None:
    """PAY-15: at P as at B, and nothing is held for it."""
    needs_payment = {"openBookingPrepayment": "https://openactive.io/Required"}
    session = world.session(spaces=5, price=10, offer=APPROVAL | needs_payment)
    refused = p(broker, session.item(), payment=payment)
    assert (refused.status, refused.json["@type"]) == (400, error)
    assert (world.order(UUID), world.held(session)) == (None, 0)


def test_a_proposal_is_accepted_and_booked(world: World, broker: Broker, yoga: Bookable) -> None:
    """P-02 to P-06, A-01, B-16, B-19, T8."""
    assert broker.c1(UUID, yoga.item()).json["orderRequiresApproval"] is True
    proposed = p(broker, yoga.item())
    document = proposed.json
    assert (proposed.status, document["@type"]) == (201, "OrderProposal")
    assert proposed.headers["Location"] == document["@id"] == f"{BASE_URL}{API}/order-proposals/{UUID}"
    assert document["orderProposalStatus"] == "https://openactive.io/AwaitingSellerConfirmation"
    assert document["orderProposalVersion"].startswith(f"{document['@id']}/versions/")
    assert "orderItemStatus" not in document["orderedItem"][0]
    assert "lease" not in document and "orderRequiresApproval" not in document
    assert world.held(yoga) == 1

    decide(world, ProposalEvent.accept)
    booked = b(broker, document["orderProposalVersion"])
    assert booked.status == 201
    order = booked.json
    assert order["@type"] == "Order"
    assert order["customer"] == document["customer"]
    assert order["orderedItem"][0]["@id"] == document["orderedItem"][0]["@id"]
    assert order["orderedItem"][0]["orderItemStatus"] == "https://openactive.io/OrderItemConfirmed"
    assert "orderProposalVersion" not in order  # B-12
    assert (world.held(yoga), world.capacity(yoga).spaces_left) == (1, 4)


@pytest.mark.parametrize(
    ("total", "status"),
    [
        ({"price": 10, "priceCurrency": "GBP"}, 201),
        ({"price": 1, "priceCurrency": "GBP"}, 400),
        ({"price": 10, "priceCurrency": "JPY"}, 400),
        ({}, 400),
        (None, 201),  # the version alone says what was accepted
    ],
)
def test_a_total_that_b_of_a_proposal_states_must_be_the_accepted_one(
    world: World, broker: Broker, yoga: Bookable, total: Any, status: int
) -> None:
    """B-05."""
    version = p(broker, yoga.item()).json["orderProposalVersion"]
    decide(world, ProposalEvent.accept)
    stated = {} if total is None else {"totalPaymentDue": {"@type": "PriceSpecification"} | total}
    booked = b(broker, version, **stated)
    assert booked.status == status
    if status == 400:
        assert booked.json["@type"] == "TotalPaymentDueMismatchError"
        kept = world.order(UUID)
        assert isinstance(kept, Order) and kept.kind is OrderKind.OrderProposal  # it can still be booked


def test_p_and_b_repeated_get_their_first_answers_again(world: World, broker: Broker, yoga: Bookable) -> None:
    """P-12, B-08: byte for byte, P also after the proposal has become an Order."""
    proposed = p(broker, yoga.item())
    assert p(broker, yoga.item()).body == proposed.body
    decide(world, ProposalEvent.accept)
    version = proposed.json["orderProposalVersion"]
    booked = b(broker, version)
    again = b(broker, version)
    assert (again.status, again.body) == (201, booked.body)
    late = p(broker, yoga.item())
    assert (late.status, late.body) == (201, proposed.body)
    assert world.held(yoga) == 1


def test_another_proposal_under_the_same_uuid_is_refused(broker: Broker, yoga: Bookable) -> None:
    """P-12."""
    p(broker, yoga.item())
    other = p(broker, yoga.item(0), yoga.item(1), due=20)
    assert (other.status, other.json["@type"]) == (500, "OrderAlreadyExistsError")


@pytest.mark.parametrize(
    "events",
    [
        [],
        [ProposalEvent.seller_rejects],
        [ProposalEvent.accept, ProposalEvent.seller_rejects],
        [ProposalEvent.customer_rejects],
    ],
)
def test_what_is_not_accepted_cannot_be_booked(
    world: World, broker: Broker, yoga: Bookable, events: list[ProposalEvent]
) -> None:
    """A-06."""
    version = p(broker, yoga.item()).json["orderProposalVersion"]
    for event in events:
        decide(world, event)
    answer = b(broker, version)
    assert (answer.status, answer.json["@type"]) == (500, "OrderCreationFailedError")
    assert world.held(yoga) == 1


@pytest.mark.shows("OrderProposalVersionOutdatedError")
def test_only_the_latest_version_can_be_booked(world: World, broker: Broker, yoga: Bookable) -> None:
    """A-04, B-17."""
    old = p(broker, yoga.item()).json["orderProposalVersion"]
    amend(world)
    decide(world, ProposalEvent.accept)
    answer = b(broker, old)
    assert (answer.status, answer.json["@type"]) == (500, "OrderProposalVersionOutdatedError")
    order = world.order(UUID)
    assert isinstance(order, Order) and order.proposal is not None
    assert (
        b(broker, f"{BASE_URL}{API}/order-proposals/{UUID}/versions/{order.proposal.version}").status == 201
    )


def test_a_version_of_what_was_never_proposed_is_unknown(broker: Broker) -> None:
    """T23."""
    answer = b(broker, f"{BASE_URL}{API}/order-proposals/{UUID}/versions/{OTHER}")
    assert (answer.status, answer.json["@type"]) == (404, "UnknownOrderError")


def test_a_rejected_proposal_gives_its_spaces_back_when_its_lease_ends(
    world: World, broker: Broker, yoga: Bookable
) -> None:
    """P-17; the spaces stay held for as long as a lease lasts."""
    p(broker, yoga.item())
    assert patch(broker, orderProposalStatus=REJECTED).status == 204
    assert (world.held(yoga), world.capacity(yoga).spaces_leased) == (1, 1)
    world.clock.advance(seconds=world.settings.lease_seconds + 1)
    answer = broker.c1(OTHER, yoga.item())
    assert answer.json["orderedItem"][0]["orderedItem"]["remainingAttendeeCapacity"] == 5
    assert world.held(yoga) == 1  # the new lease


def test_rejecting_again_changes_nothing_and_after_the_seller_it_is_refused(
    world: World, broker: Broker, yoga: Bookable
) -> None:
    """PUPD-07."""
    p(broker, yoga.item())
    assert patch(broker, orderProposalStatus=REJECTED).status == 204
    before = world.order(UUID)
    assert patch(broker, orderProposalStatus=REJECTED).status == 204
    assert world.order(UUID) == before


def test_the_customer_cannot_reject_what_the_seller_has_rejected(
    world: World, broker: Broker, yoga: Bookable
) -> None:
    """PUPD-07."""
    p(broker, yoga.item())
    decide(world, ProposalEvent.seller_rejects)
    answer = patch(broker, orderProposalStatus=REJECTED)
    assert (answer.status, answer.json["@type"]) == (400, "PatchNotAllowedOnPropertyError")


@pytest.mark.parametrize(
    ("properties", "error"),
    [
        ({"orderProposalStatus": "https://openactive.io/SellerAccepted"}, "PatchNotAllowedOnPropertyError"),
        ({"orderProposalStatus": REJECTED, "customer": {}}, "PatchContainsExcessivePropertiesError"),
        ({}, "UnexpectedOrderTypeError"),
    ],
)
def test_updates_that_are_not_allowed(
    world: World, broker: Broker, yoga: Bookable, properties: Json, error: str
) -> None:
    """PUPD-02, PUPD-04."""
    p(broker, yoga.item())
    before = world.order(UUID)
    answer = patch(broker, **properties)
    assert (answer.status, answer.json["@type"]) == (400, error)
    assert world.order(UUID) == before


def test_an_unknown_proposal_is_unknown(broker: Broker) -> None:
    """PUPD-06."""
    assert patch(broker, orderProposalStatus=REJECTED).status == 404


def test_a_note_is_kept_and_enters_no_feed(world: World, broker: Broker) -> None:
    """PUPD-05."""
    p(broker, world.session(offer=MESSAGES).item())
    assert patch(broker, orderCustomerNote="We come by bus.").status == 204
    order = world.order(UUID)
    assert isinstance(order, Order) and order.proposal is not None
    assert (order.proposal.customer_note, order.published) == ("We come by bus.", False)


def test_a_note_of_the_seller_ends_with_the_answer_that_it_was_given_with(
    world: World, broker: Broker, yoga: Bookable
) -> None:
    """A-02: the feed shows the note of the latest answer only."""
    p(broker, yoga.item())
    key = OrderKey("partner-1", UUID)
    world.system.seller_actions.accept(key, note="See you on Monday.")
    world.system.seller_actions.reject(key)
    order = world.order(UUID)
    assert isinstance(order, Order) and order.proposal is not None
    assert (order.proposal.is_rejected, order.proposal.seller_note) == (True, None)


def test_a_note_that_is_no_text_is_refused_by_its_name(world: World, broker: Broker) -> None:
    p(broker, world.session(offer=MESSAGES).item())
    answer = patch(broker, orderCustomerNote=5)
    assert (answer.status, answer.json["description"]) == (400, "orderCustomerNote must be text.")


def test_p_of_what_needs_no_approval_and_b_of_what_does_are_refused(
    world: World, broker: Broker, yoga: Bookable
) -> None:
    """B-21."""
    free_to_book = world.session()
    answer = p(broker, free_to_book.item(), uuid=OTHER)
    assert (answer.status, answer.json["@type"]) == (500, "OrderCreationFailedError")
    answer = broker.b(OTHER, yoga.item(), due=10)
    assert (answer.status, answer.json["@type"]) == (500, "OrderCreationFailedError")


def test_item_errors_at_p_are_told_in_the_whole_proposal(world: World, broker: Broker) -> None:
    """T7."""
    full = world.session(spaces=0, offer=APPROVAL)
    answer = p(broker, full.item())
    assert (answer.status, answer.json["@type"]) == (409, "OrderProposal")
    assert answer.error_types() == [["OpportunityIsFullError"]]
    assert world.order(UUID) is None


def test_another_partners_proposal_does_not_exist(world: World, broker: Broker, yoga: Bookable) -> None:
    """AUTH-02."""
    version = p(broker, yoga.item()).json["orderProposalVersion"]
    other = Broker(world, partner="partner-2")
    assert b(other, version).status == 404
    assert patch(other, orderProposalStatus=REJECTED).status == 404


# --- an amendment that changes items (A-04) -----------------------------------------------

NEGOTIABLE = {
    "openBookingFlowRequirement": [
        *APPROVAL["openBookingFlowRequirement"],
        "https://openactive.io/OpenBookingNegotiation",
    ]
}


def amend_items(world: World, choice: Bookable) -> None:
    order = world.order(UUID)
    assert isinstance(order, Order)
    choices = {order.items[0].id or "": (choice.id, choice.offer_id)}
    moment = world.system.moment()
    world.system.attempts.carry_out_on_order(
        OrderKey("partner-1", UUID),
        lambda snapshot: amend_proposal(snapshot, moment, choices=choices),
        moment.now,
        also=(choice.id,),
    )


@pytest.mark.parametrize("price", [8, 14])
def test_the_seller_may_offer_something_else_instead(world: World, broker: Broker, price: int) -> None:
    """A-04, A-06, B-16, OFEED-12: cheaper or dearer, at the new terms once the Seller has accepted."""
    wanted = world.session(spaces=5, price=10, offer=NEGOTIABLE)
    other = world.session(spaces=3, price=price, offer=NEGOTIABLE)
    first = p(broker, wanted.item()).json
    amend_items(world, other)
    order = world.order(UUID)
    assert isinstance(order, Order) and order.proposal is not None
    assert order.totals.due == price
    assert order.proposal.status == "AwaitingSellerConfirmation"
    assert order.proposal.version not in first["orderProposalVersion"]
    assert order.items[0].id == first["orderedItem"][0]["@id"].rsplit("/", 1)[1]
    assert (world.held(wanted), world.held(other)) == (0, 1)
    assert (world.capacity(wanted).spaces_left, world.capacity(other).spaces_left) == (5, 2)
    decide(world, ProposalEvent.accept)
    assert b(broker, first["orderProposalVersion"]).json["@type"] == "OrderProposalVersionOutdatedError"
    version = f"{BASE_URL}{API}/order-proposals/{UUID}/versions/{order.proposal.version}"
    booked = b(broker, version)
    assert booked.status == 201, booked.body
    assert booked.json["totalPaymentDue"]["price"] == price
    assert booked.json["orderedItem"][0]["orderedItem"]["@id"] == other.outer_id


def test_without_negotiation_items_stay_as_they_are(world: World, broker: Broker, yoga: Bookable) -> None:
    """A-04."""
    p(broker, yoga.item())
    before = world.order(UUID)
    with pytest.raises(UnacceptableOfferError, match="negotiation"):
        amend_items(world, world.session(spaces=3, price=8, offer=APPROVAL))
    assert world.order(UUID) == before


def test_what_is_offered_instead_must_have_a_space(world: World, broker: Broker) -> None:
    """CAP: an amendment takes spaces like anybody else."""
    wanted = world.session(spaces=5, price=10, offer=NEGOTIABLE)
    full = world.session(spaces=0, price=8, offer=NEGOTIABLE)
    p(broker, wanted.item())
    before = world.order(UUID)
    with pytest.raises(OpportunityIsFullError):
        amend_items(world, full)
    assert world.order(UUID) == before
    assert world.held(full) == 0


def test_feeds_tell_nothing_of_attendees(world: World, broker: Broker) -> None:
    """OFEED-09, OFEED-16: not of an Order, and as the official suite has it not of a proposal either."""
    session = world.session(offer=APPROVAL, attendee=("https://schema.org/givenName",))
    assert p(broker, session.item(attendee={"@type": "Person", "givenName": "Sam"})).status == 201
    order = world.order(UUID)
    assert isinstance(order, Order)
    for shown in (order, replace(order, kind=OrderKind.Order)):
        (item,) = feed_document(shown)["orderedItem"]
        assert not {"attendee", "attendeeDetailsRequired"} & item.keys()


# --- the session changes ----------------------------------------------------------------------


def changed(world: World, yoga: Bookable, change: Callable[[Opportunity], Opportunity]) -> None:
    """The Seller changes the session, and everyone who holds it gets that."""
    world.system.inventory.change(yoga.id, change)
    world.system.sweep()


def in_feed(world: World, broker: Broker) -> list[Json]:
    order = world.order(UUID)
    assert order is not None
    assert streams.orders_changed([order_record(order)]) == {"batchItemFailures": []}
    items = broker.send("GET", f"{API}/order-proposals-rpde").json["items"]
    return [item["data"] for item in items]


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda session: with_logistics(session, Logistics(starts_at=session.starts_at + timedelta(hours=1))),
        lambda session: with_logistics(session, Logistics(location={**PLACE, "name": "Another hall"})),
        cancelled,
    ],
    ids=["time", "place", "cancelled"],
)
def test_a_proposal_of_what_is_no_longer_so_is_rejected(
    world: World, broker: Broker, yoga: Bookable, accepted: bool, change: Callable[[Opportunity], Opportunity]
) -> None:
    """P-17: open or accepted, and its spaces are released."""
    version = p(broker, yoga.item()).json["orderProposalVersion"]
    if accepted:
        decide(world, ProposalEvent.accept)
    changed(world, yoga, change)
    (proposal,) = in_feed(world, broker)
    assert proposal["orderProposalStatus"] == "https://openactive.io/SellerRejected"
    assert b(broker, version).json["@type"] == "OrderCreationFailedError"
    assert (world.held(yoga), world.capacity(yoga).spaces_left) == (0, 5)


def test_a_proposal_of_what_is_called_something_else_shows_that(
    world: World, broker: Broker, yoga: Bookable
) -> None:
    """NOTIF-04: it stays open, and can be booked."""
    version = p(broker, yoga.item()).json["orderProposalVersion"]
    decide(world, ProposalEvent.accept)
    changed(world, yoga, lambda session: with_logistics(session, Logistics(name="Pilates")))
    (proposal,) = in_feed(world, broker)
    assert proposal["orderProposalStatus"] == "https://openactive.io/SellerAccepted"
    assert proposal["orderedItem"][0]["orderedItem"]["name"] == "Pilates"
    assert b(broker, version).status == 201


def test_a_proposal_for_what_was_withdrawn_is_rejected(world: World, broker: Broker, yoga: Bookable) -> None:
    """P-17: Orders stay valid, but nobody may book what the Seller no longer offers."""
    p(broker, yoga.item())
    world.system.inventory.withdraw(yoga.id)
    world.system.sweep()
    (proposal,) = in_feed(world, broker)
    assert proposal["orderProposalStatus"] == "https://openactive.io/SellerRejected"
    assert proposal["orderSellerNote"] == "The activity is no longer offered."
    assert world.held(yoga) == 0
