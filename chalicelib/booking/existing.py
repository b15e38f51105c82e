"""The Order that a request is about: whether there is one, and whether the caller may touch it."""

from datetime import datetime

from chalicelib.booking.decisions import Decision, Snapshot
from chalicelib.booking.proposal_ends import as_of
from chalicelib.domain.errors import InvalidAuthorizationDetailsError
from chalicelib.domain.lifecycle import OrderEvent, OrderState, next_order_state
from chalicelib.domain.orders import Order, order_state


def check_seller(owner_id: str, seller_id: str | None) -> None:
    """Refuse a caller that acts for another Seller (AUTH-06, AUTH-12).

    Raises InvalidAuthorizationDetailsError.
    """
    if seller_id != owner_id:
        raise InvalidAuthorizationDetailsError("The authorisation is for another seller.")


def existing_order(
    snapshot: Snapshot, event: OrderEvent, *, seller_id: str | None, now: datetime | None = None
) -> Order:
    """The Order under this UUID, if `event` can happen to it.

    `now` is needed for events that treat a quote and a lapsed quote differently.

    Raises the error in the table of Order UUIDs, InvalidAuthorizationDetailsError.
    """
    order = snapshot.order
    state = order_state(order, now)
    if order is not None and state is not OrderState.lapsed_quote:
        check_seller(order.seller_id, seller_id)
    next_order_state(state, event)
    assert isinstance(order, Order)
    return order


def read_status(snapshot: Snapshot, now: datetime, *, seller_id: str | None) -> Decision[Order]:
    """Order Status: the OrderQuote, OrderProposal or Order under this UUID, as it counts now (STATUS-02).

    Raises UnknownOrderError, GoneError, InvalidAuthorizationDetailsError.
    """
    return Decision(as_of(existing_order(snapshot, OrderEvent.status, seller_id=seller_id, now=now), now))
