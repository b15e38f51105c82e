"""The plainest way to each error that no other test shows on its own; what they say is tested elsewhere."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from chalicelib.booking.decisions import Change
from chalicelib.storage.errors import StoreBusy
from tests.support.memory import MemoryStore
from tests.support.world import API, PAYMENT, Bookable, Broker, World, outer

UUID = "10000000-0000-4000-8000-000000000001"
OTHER = "20000000-0000-4000-8000-000000000002"


@pytest.fixture
def yoga(world: World) -> Bookable:
    return world.session(price=10)


# --- who calls ------------------------------------------------------------------------------


@pytest.mark.shows("NoAPITokenError")
def test_where_there_are_keys_one_is_needed(world: World) -> None:
    """AUTH-11."""
    world.set(authentication="api-keys")
    assert Broker(world, partner=None).send("GET", f"{API}/orders/{UUID}").status == 403


@pytest.mark.shows("InvalidAPITokenError")
def test_a_key_is_one_that_was_given_out(world: World) -> None:
    """AUTH-11."""
    world.set(authentication="api-keys")
    key = {"X-API-Key": "guessed"}
    assert Broker(world, partner=None).send("GET", f"{API}/orders/{UUID}", headers=key).status == 401


@pytest.mark.shows("TooManyRequestsError")
def test_a_partner_has_so_many_requests_a_minute(world: World, broker: Broker) -> None:
    """RATE-01."""
    world.set(rate_limit=2)
    answers = [broker.send("GET", f"{API}/orders-rpde") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == str(60 - world.clock.now.second)


# --- the Order as a whole -----------------------------------------------------------------


@pytest.mark.shows("MethodNotAllowedError")
def test_an_order_is_not_posted(broker: Broker) -> None:
    """GEN-16."""
    assert broker.send("POST", f"{API}/orders/{UUID}").status == 405


@pytest.mark.shows("UnexpectedOrderTypeError")
def test_an_order_is_no_quote(broker: Broker, yoga: Bookable) -> None:
    """C1-02."""
    assert broker.c1(UUID, yoga.item(), **{"@type": "Order"}).status == 500


@pytest.mark.shows("SellerNotFoundError")
def test_a_seller_has_to_be_named(broker: Broker, yoga: Bookable) -> None:
    """C1-05."""
    assert broker.c1(UUID, yoga.item(), seller=...).status == 500


@pytest.mark.shows("SellerMismatchError")
def test_an_order_is_of_one_seller(world: World, broker: Broker) -> None:
    """GEN-08."""
    assert broker.c1(UUID, world.session(seller=2).item()).status == 500


@pytest.mark.shows("IncompleteBrokerDetailsError")
def test_a_broker_has_a_name(broker: Broker, yoga: Bookable) -> None:
    """C1-05."""
    assert broker.c1(UUID, yoga.item(), broker={"@type": "Organization"}).status == 400


@pytest.mark.shows("IncompleteCustomerDetailsError")
def test_a_customer_has_an_email(broker: Broker, yoga: Bookable) -> None:
    """C2-02."""
    assert broker.c2(UUID, yoga.item(), customer={"@type": "Person"}).status == 400


@pytest.mark.shows("MissingPaymentDetailsError")
def test_what_costs_something_is_paid(broker: Broker, yoga: Bookable) -> None:
    """PAY-09."""
    assert broker.b(UUID, yoga.item(), payment=...).status == 400


@pytest.mark.shows("UnnecessaryPaymentDetailsError")
def test_what_costs_nothing_is_not_paid(world: World, broker: Broker) -> None:
    """PAY-10."""
    assert broker.b(UUID, world.session(price=0).item(), due=0, payment=PAYMENT).status == 400


@pytest.mark.shows("IncompletePaymentDetailsError")
def test_a_payment_has_an_identifier(broker: Broker, yoga: Bookable) -> None:
    """PAY-11."""
    assert broker.b(UUID, yoga.item(), payment={"@type": "Payment"}).status == 400


@pytest.mark.shows("InvalidPaymentDetailsError")
def test_a_payment_can_be_reconciled(world: World, broker: Broker, yoga: Bookable) -> None:
    """PAY-12."""
    world.set(reconciliation_account_id="SN1593")
    assert broker.b(UUID, yoga.item(), payment=PAYMENT | {"accountId": "another"}).status == 400


@pytest.mark.shows("TotalPaymentDueMismatchError")
def test_both_agree_on_the_total(broker: Broker, yoga: Bookable) -> None:
    """B-05."""
    assert broker.b(UUID, yoga.item(), due=9).status == 400


# --- changing an Order --------------------------------------------------------------------


@pytest.mark.shows("PatchContainsExcessivePropertiesError")
def test_a_patch_changes_no_customer(broker: Broker, yoga: Bookable) -> None:
    """CANCEL-04."""
    booked = broker.b(UUID, yoga.item()).json["orderedItem"][0]["@id"]
    assert broker.cancel(UUID, booked, customer={"@type": "Person"}).status == 400


@pytest.mark.shows("PatchNotAllowedOnPropertyError")
def test_a_broker_does_not_cancel_as_the_seller(broker: Broker, yoga: Bookable) -> None:
    """CANCEL-05."""
    booked = broker.b(UUID, yoga.item()).json["orderedItem"][0]["@id"]
    item = {
        "@type": "OrderItem",
        "@id": booked,
        "orderItemStatus": "https://openactive.io/SellerCancelled",
    }
    assert broker.cancel(UUID, orderedItem=[item]).status == 400


@pytest.mark.shows("OrderItemIdInvalidError")
def test_an_item_is_named_by_its_id(broker: Broker, yoga: Bookable) -> None:
    """CANCEL-09."""
    broker.b(UUID, yoga.item())
    assert broker.cancel(UUID, "nonsense").status == 500


# --- a single OrderItem -------------------------------------------------------------------


@pytest.mark.shows("IncompleteOrderItemError")
def test_an_item_has_an_offer(broker: Broker, yoga: Bookable) -> None:
    assert broker.c1(UUID, yoga.item(acceptedOffer=...)).status == 409


@pytest.mark.shows("InvalidOpportunityOrOfferIdError")
def test_an_opportunity_is_named_by_its_id(broker: Broker, yoga: Bookable) -> None:
    assert broker.c1(UUID, yoga.item(orderedItem="session-1")).status == 409


@pytest.mark.shows("UnknownOpportunityError")
def test_an_opportunity_is_in_the_inventory(broker: Broker, yoga: Bookable) -> None:
    assert broker.c1(UUID, yoga.item(orderedItem=f"{yoga.outer_id}00")).status == 409


@pytest.mark.shows("UnknownOfferError")
def test_an_offer_is_one_of_the_opportunity(broker: Broker, yoga: Bookable) -> None:
    assert broker.c1(UUID, yoga.item(acceptedOffer=f"{outer(yoga.offer_id)}0")).status == 409


@pytest.mark.shows("UnacceptableOfferError")
def test_an_offer_is_not_taken_from_another_item(world: World, broker: Broker, yoga: Bookable) -> None:
    dear = world.session(price=100)
    assert broker.c1(UUID, yoga.item(0), dear.item(1, acceptedOffer=outer(yoga.offer_id))).status == 409


@pytest.mark.shows("OpportunityOfferPairNotBookableError")
def test_what_is_over_is_not_booked(world: World, broker: Broker) -> None:
    """BOOKABLE-07."""
    over = world.session(starts_in=timedelta(hours=-3))
    assert broker.c1(UUID, over.item()).status == 409


# --- the service itself -------------------------------------------------------------------


class BusyToWrite(MemoryStore):
    """Can be read and not be written to."""

    def commit(self, changes: Sequence[Change]) -> None:
        raise StoreBusy("throttled")


@pytest.fixture
def busy(world: World, broker: Broker, yoga: Bookable) -> str:
    """An Order booked just before the tables became too busy to write to; the id of its item."""
    booked = broker.b(UUID, yoga.item())
    store = BusyToWrite()
    vars(store).update(vars(world.store))
    world.system.store = store
    item_id: str = booked.json["orderedItem"][0]["@id"]
    return item_id


@pytest.mark.shows("TemporarilyUnableToProduceOrderQuoteError")
def test_a_quote_while_the_tables_are_busy(broker: Broker, yoga: Bookable, busy: str) -> None:
    assert broker.c1(OTHER, yoga.item()).status == 503


@pytest.mark.shows("TemporarilyUnableToCreateOrderError")
def test_a_booking_while_the_tables_are_busy(broker: Broker, yoga: Bookable, busy: str) -> None:
    assert broker.b(OTHER, yoga.item()).status == 503


@pytest.mark.shows("TemporarilyUnableToUpdateOrderError")
def test_a_cancellation_while_the_tables_are_busy(broker: Broker, busy: str) -> None:
    assert broker.cancel(UUID, busy).status == 503


@pytest.mark.shows("TemporarilyUnableToDeleteOrderError")
def test_a_deletion_while_the_tables_are_busy(broker: Broker, busy: str) -> None:
    assert broker.delete(UUID).status == 503
