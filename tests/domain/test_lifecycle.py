"""Every cell of the table of OrderItem states."""

import pytest

from chalicelib.domain.lifecycle import (
    CANCELLED,
    ITEM_TRANSITIONS,
    ItemEvent,
    OrderItemStatus,
    TransitionRefused,
    next_item_status,
)

S, E = OrderItemStatus, ItemEvent

ALLOWED = {
    (S.OrderItemProposed, E.confirm): S.OrderItemConfirmed,
    (S.OrderItemConfirmed, E.customer_cancels): S.CustomerCancelled,
    (S.OrderItemConfirmed, E.seller_cancels): S.SellerCancelled,
    (S.OrderItemConfirmed, E.attends): S.AttendeeAttended,
    (S.OrderItemConfirmed, E.is_absent): S.AttendeeAbsent,
    (S.AttendeeAttended, E.is_absent): S.AttendeeAbsent,
    (S.AttendeeAbsent, E.attends): S.AttendeeAttended,
}
CELLS = [(status, event) for status in S for event in E]


@pytest.mark.parametrize(("status", "event"), CELLS)
def test_each_cell_of_the_table(status: OrderItemStatus, event: ItemEvent) -> None:
    """Section 5, CANCEL-08, CANCEL-12: what is not allowed here is refused."""
    if (status, event) in ALLOWED:
        assert next_item_status(status, event) is ALLOWED[status, event]
    else:
        with pytest.raises(TransitionRefused):
            next_item_status(status, event)


def test_every_status_has_its_row() -> None:
    assert set(ITEM_TRANSITIONS) == set(OrderItemStatus)


@pytest.mark.parametrize("status", sorted(CANCELLED))
def test_cancellation_of_either_kind_is_an_end(status: OrderItemStatus) -> None:
    """CANCEL-12."""
    assert ITEM_TRANSITIONS[status] == {}
