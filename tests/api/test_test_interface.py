"""The Test Interface over the wire: Opportunities to measure, and each action as a Seller's own."""

from typing import Any

import pytest

from chalicelib.api.sweep import sweep
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind
from chalicelib.domain.parties import AccessMethod
from chalicelib.runtime.settings import SettingsError, read_settings
from chalicelib.services.clearing import KIND, Clearing
from chalicelib.services.inventory import Outcome
from chalicelib.storage import codec
from chalicelib.storage.pending import PendingWork
from chalicelib.test_interface.requests import SimulatedAction
from chalicelib.values import replace
from tests.support.builders import CUSTOMER
from tests.support.world import API, PAYMENT, Answer, Broker, World, outer, seller_id

Json = dict[str, Any]
UUID = "10000000-0000-4000-8000-000000000001"
TEST = f"{API}/test-interface"


@pytest.fixture(autouse=True)
def switched_on(world: World) -> None:
    world.set(test_interface=True)
    seller = world.store.seller(seller_id(1))
    assert seller is not None
    world.store.save_seller(replace(seller, access_methods=(AccessMethod.code, AccessMethod.barcode)))


def create(
    broker: Broker,
    criteria: str = "TestOpportunityBookableNonFree",
    flow: str = "Simple",
    online: bool = False,
) -> Answer:
    body = {
        "@type": "ScheduledSession",
        "superEvent": {"@type": "SessionSeries", "organizer": {"@id": outer(seller_id(1))}},
        "test:testOpportunityCriteria": f"https://openactive.io/test-interface#{criteria}",
        "test:testOpenBookingFlow": f"https://openactive.io/test-interface#OpenBooking{flow}Flow",
    }
    return broker.send("POST", f"{TEST}/datasets/uat/opportunities", body)


def act(broker: Broker, action: str, kind: str = "Order", target: str | None = None) -> Answer:
    path = "order-proposals" if kind == "OrderProposal" else "orders"
    target = target or outer(f"https://base.invalid{API}/{path}/{UUID}")
    body = {"@type": f"test:{action}SimulateAction", "object": {"@type": kind, "@id": target}}
    return broker.send("POST", f"{TEST}/actions", body)


def item(world: World, created: Answer) -> Json:
    iri = created.json["@id"].replace("http://booking.example", "https://base.invalid")
    opportunity = world.store.listings([iri])[iri][0].opportunity
    return {
        "@type": "OrderItem",
        "position": 0,
        "orderedItem": created.json["@id"],
        "acceptedOffer": outer(opportunity.offers[0].id),
    }


def a_booking(world: World, broker: Broker, criteria: str = "TestOpportunityBookableNonFree") -> Json:
    answer = broker.b(UUID, item(world, create(broker, criteria)), due=14.95)
    assert answer.status == 201, answer.json
    return answer.json["orderedItem"][0]  # type: ignore[no-any-return]


def now(broker: Broker) -> Json:
    found: Json = broker.status(UUID).json["orderedItem"][0]
    return found


def test_it_is_not_there_unless_it_is_switched_on(world: World, broker: Broker) -> None:
    """TESTIF-07."""
    world.set(test_interface=False)
    assert create(broker).status == 404
    assert act(broker, "CustomerNotice").status == 404
    assert broker.send("DELETE", f"{TEST}/datasets/uat").status == 404


def test_a_production_stage_does_not_start_with_it() -> None:
    """TESTIF-07."""
    with pytest.raises(SettingsError, match="TEST_INTERFACE"):
        read_settings({"PRODUCTION": "true", "TEST_INTERFACE": "true"})


def test_an_opportunity_is_made_and_published(world: World, broker: Broker) -> None:
    """TESTIF-02."""
    answer = create(broker)
    assert (answer.status, answer.json["@type"]) == (201, "ScheduledSession")
    assert broker.c1(UUID, item(world, answer)).status == 200


def test_criteria_that_are_illegal_are_refused(broker: Broker) -> None:
    assert create(broker, "TestOpportunityBookableFreePrepaymentRequired").status == 400


@pytest.mark.shows("TestInterfaceRefusedError")
def test_what_the_seller_cannot_offer_is_refused(broker: Broker) -> None:
    """TESTIF-02. Seller 1 states prices with tax."""
    answer = create(broker, "TestOpportunityBookableNonFreeTaxNet")
    assert answer.status == 400
    assert (answer.json["@type"], answer.json["name"], answer.json["description"]) == (
        "TestInterfaceRefusedError",
        "The Test Interface cannot do what the request asks.",
        "The seller's taxMode is not TaxNet.",
    )
    assert create(broker, "TestOpportunityBookableNonFreeTaxGross").status == 201


def test_a_dataset_goes_with_its_orders(world: World, broker: Broker) -> None:
    """TESTIF-01; nobody has to say who they are."""
    created = create(broker)
    broker.b(UUID, item(world, created), due=14.95)
    answer = broker.send("DELETE", f"{TEST}/datasets/uat", headers={"X-OpenActive-Test-Client-Id": None})
    assert (answer.status, answer.body) == (204, b"")
    assert isinstance(world.order(UUID), DeletedOrder)
    answer = broker.c1("20000000-0000-4000-8000-000000000002", item(world, created))
    assert answer.error_types() == [["UnknownOpportunityError"]]


def _none_is_due(entries: Any) -> Any:
    return lambda kind, limit, after="", *, before="": (
        [] if kind == KIND else entries(kind, limit, after, before=before)
    )


def test_what_does_not_go_within_the_request_goes_with_the_sweep(
    world: World, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TESTIF-01."""
    created = create(broker)
    broker.b(UUID, item(world, created), due=14.95)
    with monkeypatch.context() as patched:  # as if the request had no time left
        patched.setattr(world.pending, "entries", _none_is_due(world.pending.entries))
        assert broker.send("DELETE", f"{TEST}/datasets/uat").status == 204
    assert isinstance(world.order(UUID), Order)
    later = create(broker)
    assert sweep()["clearing"] == 2  # the session and its series
    assert isinstance(world.order(UUID), DeletedOrder)
    # What has been made since then stays.
    assert broker.c1("20000000-0000-4000-8000-000000000002", item(world, later)).status == 200
    assert sweep().get("clearing", 0) == 0


def test_the_sweep_deletes_nothing_without_the_test_interface(world: World) -> None:
    clearing = Clearing((world.session(spaces=5).id,))
    world.pending.exchange((), [PendingWork(KIND, "note", codec.to_json(clearing))])
    world.set(test_interface=False)
    assert sweep().get("clearing", 0) == 0
    assert len(world.pending.entries(KIND, 10)) == 1


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("SellerRequestedCancellation", "SellerCancelled"),
        ("SellerRequestedCancellationWithMessage", "SellerCancelled"),
        ("AttendeeAttended", "AttendeeAttended"),
        ("AttendeeAbsent", "AttendeeAbsent"),
        ("CustomerNotice", "OrderItemConfirmed"),
    ],
)
def test_actions_that_change_the_state_of_items(
    world: World, broker: Broker, action: str, status: str
) -> None:
    a_booking(world, broker)
    order = world.order(UUID)
    assert isinstance(order, Order)
    assert act(broker, action).status == 204
    assert now(broker)["orderItemStatus"] == f"https://openactive.io/{status}"
    changed = world.order(UUID)
    assert isinstance(changed, Order)
    # One action is one write, and with it the Order enters its feed (OFEED-02).
    assert (changed.version, changed.published) == (order.version + 1, True)


def test_a_cancellation_gives_the_space_back_and_may_say_why(world: World, broker: Broker) -> None:
    """CANCEL-14."""
    booked = a_booking(world, broker)
    act(broker, "SellerRequestedCancellationWithMessage")
    assert now(broker)["cancellationMessage"]
    assert broker.status(UUID).json["totalPaymentDue"]["price"] == 0
    iri = booked["orderedItem"]["@id"].replace("http://booking.example", "https://base.invalid")
    assert world.store.holds(iri) == {}


def test_codes_and_passes_are_given_at_b_kept_and_renewed(world: World, broker: Broker) -> None:
    """ACCESS-01, ACCESS-03, ACCESS-04, NOTIF-02."""
    booked = a_booking(world, broker)
    assert booked["accessCode"][0]["description"]
    barcode = booked["accessPass"][0]
    assert (barcode["@type"], barcode["url"]) == (
        "Barcode",
        f"http://booking.example/api/passes/{barcode['text']}.svg",
    )
    assert broker.send("GET", f"/api/passes/{barcode['text']}.svg").status == 200
    act(broker, "AccessCodeUpdate")
    renewed = now(broker)
    assert renewed["accessCode"] != booked["accessCode"]
    assert renewed["accessPass"] == booked["accessPass"]
    act(broker, "AccessPassUpdate")
    assert now(broker)["accessPass"] != booked["accessPass"]


def test_an_online_session_has_a_channel_that_can_change(world: World, broker: Broker) -> None:
    """ACCESS-06."""
    created = create(broker, "TestOpportunityOnlineBookable")
    quote = broker.c1(UUID, item(world, created)).json
    due = quote["totalPaymentDue"]["price"]
    booked = broker.b(UUID, item(world, created), due=due).json["orderedItem"][0]
    assert booked["accessChannel"]["@type"] == "VirtualLocation"
    assert "accessCode" not in booked
    act(broker, "AccessChannelUpdate")
    assert now(broker)["accessChannel"] != booked["accessChannel"]


def test_a_replacement_moves_the_space_to_another_opportunity(world: World, broker: Broker) -> None:
    """REPL-01, REPL-02: the item keeps its id."""
    booked = a_booking(world, broker)
    assert act(broker, "Replacement").status == 204
    item_now = now(broker)
    assert item_now["@id"] == booked["@id"]
    assert item_now["orderedItem"]["@id"] != booked["orderedItem"]["@id"]
    old, new = (
        world.store.holds(
            each["orderedItem"]["@id"].replace("http://booking.example", "https://base.invalid")
        )
        for each in (booked, item_now)
    )
    assert (old, [hold.spaces for hold in new.values()]) == ({}, [1])
    # It goes with the dataset as what it replaces does.
    assert broker.send("DELETE", f"{TEST}/datasets/uat").status == 204
    assert isinstance(world.order(UUID), DeletedOrder)


@pytest.mark.parametrize(
    ("action", "term"),
    [
        ("ChangeOfLogisticsName", "name"),
        ("ChangeOfLogisticsTime", "startDate"),
        ("ChangeOfLogisticsLocation", "location"),
    ],
)
def test_a_change_of_logistics_reaches_the_orders_once(
    world: World, broker: Broker, action: str, term: str
) -> None:
    """NOTIF-04."""
    booked = a_booking(world, broker)
    before = world.order(UUID)
    assert isinstance(before, Order)
    assert act(broker, action, "ScheduledSession", booked["orderedItem"]["@id"]).status == 204
    assert now(broker)["orderedItem"][term] != booked["orderedItem"].get(term)
    after = world.order(UUID)
    assert isinstance(after, Order) and after.version == before.version + 1


def test_a_proposal_is_accepted_amended_and_rejected(world: World, broker: Broker) -> None:
    created = create(broker, "TestOpportunityBookableNonFree", "Approval")
    due = {"@type": "PriceSpecification", "price": 14.95, "priceCurrency": "GBP"}
    body = broker.body(
        "OrderProposal", item(world, created), totalPaymentDue=due, payment=PAYMENT, customer=CUSTOMER
    )
    assert broker.send("PUT", f"{API}/order-proposals/{UUID}", body).status == 201
    for action in ("SellerAmendOrderProposal", "SellerAcceptOrderProposal", "SellerRejectOrderProposal"):
        assert act(broker, action, "OrderProposal").status == 204
    assert act(broker, "SellerAcceptOrderProposal", "OrderProposal").status == 400


def test_an_action_that_is_not_known_is_refused(broker: Broker) -> None:
    assert act(broker, "Something").status == 400


def test_an_action_on_an_order_that_is_not_there(broker: Broker) -> None:
    assert act(broker, "CustomerNotice").status == 404


@pytest.mark.parametrize("action", SimulatedAction)
def test_an_action_on_an_order_that_has_been_deleted(
    world: World, broker: Broker, action: SimulatedAction
) -> None:
    a_booking(world, broker)
    assert broker.send("DELETE", f"{API}/orders/{UUID}").status == 204
    assert act(broker, action, action.acts_on).status == 410


@pytest.mark.parametrize("action", [each for each in SimulatedAction if each.may_act_on_opportunity])
def test_a_change_of_an_opportunity_that_has_been_deleted_is_refused(
    world: World, broker: Broker, action: SimulatedAction
) -> None:
    created = create(broker)
    iri = created.json["@id"].replace("http://booking.example", "https://base.invalid")
    assert world.system.inventory.withdraw(iri) is Outcome.withdrawn
    assert act(broker, action, "ScheduledSession", created.json["@id"]).status == 400
    never = outer("https://base.invalid/api/identifiers/scheduled-sessions/0")
    assert act(broker, action, "ScheduledSession", never).status == 400


@pytest.mark.parametrize("action", [each for each in SimulatedAction if each.acts_on is OrderKind.Order])
def test_an_action_on_an_order_whose_opportunity_has_been_deleted(
    world: World, broker: Broker, action: SimulatedAction
) -> None:
    """The Order is still there and may change; the Opportunity is not, and may not."""
    booked = a_booking(world, broker)
    iri = booked["orderedItem"]["@id"].replace("http://booking.example", "https://base.invalid")
    assert world.system.inventory.withdraw(iri) is Outcome.withdrawn
    assert act(broker, action).status == (400 if action.may_act_on_opportunity else 204)


def test_a_pass_that_cannot_be_one_is_not_there(broker: Broker) -> None:
    assert broker.send("GET", "/api/passes/hello.svg").status == 404
