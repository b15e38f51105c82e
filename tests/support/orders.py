"""Orders as they are kept."""

from typing import Any

from chalicelib.booking.quote import quote
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.orders import Order, OrderKind
from chalicelib.values import replace
from tests.support.builders import a_moment, a_request, a_snapshot


def an_order(**changes: Any) -> Order:
    """A booked Order, as it is kept."""
    quoted = quote(a_request(), a_snapshot(), a_moment(), with_customer=True).answer.order
    items = tuple(
        replace(item, id=f"00000000-0000-4000-8000-00000000000{n}", status=OrderItemStatus.OrderItemConfirmed)
        for n, item in enumerate(quoted.items)
    )
    order = replace(quoted, kind=OrderKind.Order, items=items, lease_expires_at=None, published=True)
    return replace(order, **changes)
