"""The Order that a request is about: whether there is one, and whether the caller may touch it."""

from datetime import datetime

from chalicelib.booking.decisions import Decision, Snapshot
from chalicelib.domain.errors import GoneError, InvalidAuthorizationDetailsError, UnknownOrderError
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind


def check_seller(owner_id: str, seller_id: str | None) -> None:
    """Refuse a caller who acts for another Seller (AUTH-06, AUTH-12).

    Raises InvalidAuthorizationDetailsError.
    """
    if seller_id != owner_id:
        raise InvalidAuthorizationDetailsError("The authorisation is for another seller.")


def existing_order(snapshot: Snapshot, *, seller_id: str | None, kind: OrderKind) -> Order:
    """The Order of the given kind under this UUID.

    Raises UnknownOrderError, GoneError for a deleted one (DEL-08), InvalidAuthorizationDetailsError.
    """
    order = snapshot.order
    if order is None:
        raise UnknownOrderError
    check_seller(order.seller_id, seller_id)
    if isinstance(order, DeletedOrder):
        raise GoneError
    if order.kind is not kind:
        raise UnknownOrderError
    return order


def read_status(snapshot: Snapshot, now: datetime, *, seller_id: str | None) -> Decision[Order]:
    """Order Status: what stands under this UUID, in whichever form (STATUS-02).

    Raises UnknownOrderError, GoneError, InvalidAuthorizationDetailsError.
    """
    order = snapshot.order
    if isinstance(order, Order) and order.has_lapsed(now):
        raise UnknownOrderError
    kind = order.kind if isinstance(order, Order) else OrderKind.Order
    return Decision(existing_order(snapshot, seller_id=seller_id, kind=kind))
