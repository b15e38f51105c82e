"""Every cell of the table of Order UUIDs, as the requirements have it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.errors import (
    GoneError,
    OpenBookingError,
    OrderAlreadyExistsError,
    OrderCreationFailedError,
    UnknownOrderError,
)
from chalicelib.domain.lifecycle import (
    ORDER_TRANSITIONS,
    OrderEvent,
    OrderState,
    may_be_repeated,
    next_order_state,
)
from chalicelib.domain.orders import DeletedOrder, Order, OrderKind, next_version, order_state
from chalicelib.domain.parties import BrokerRole
from chalicelib.domain.pricing import Totals
from tests.support.builders import KEY, NOW, SELLER_ID

S, E = OrderState, OrderEvent

UNKNOWN, GONE = UnknownOrderError, GoneError
EXISTS, FAILED = OrderAlreadyExistsError, OrderCreationFailedError
Outcome = OrderState | type[OpenBookingError]

# One row a request, one column a state, in the order of COLUMNS; written from the rules, not from the table.
COLUMNS = (S.nothing, S.quote, S.lapsed_quote, S.proposal, S.order, S.deleted)
RULES: dict[OrderEvent, tuple[Outcome, ...]] = {
    # GEN-05, C1-16, C1-17, C2-07, DEL-05
    E.c1: (S.quote, S.quote, S.quote, EXISTS, EXISTS, EXISTS),
    E.c2: (S.quote, S.quote, S.quote, EXISTS, EXISTS, EXISTS),
    # P-09, P-12, GEN-05
    E.p: (S.proposal, S.proposal, S.proposal, EXISTS, EXISTS, EXISTS),
    # B-06, B-08, B-20, B-21
    E.b: (S.order, S.order, S.order, FAILED, EXISTS, EXISTS),
    # B-16, T23
    E.b_of_proposal: (UNKNOWN, UNKNOWN, UNKNOWN, S.order, EXISTS, EXISTS),
    # CANCEL-10, CANCEL-11, DEL-08
    E.cancel: (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, S.order, GONE),
    # DEL-02, DEL-04, DEL-06
    E.delete: (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, S.deleted, S.deleted),
    # QDEL-01, QDEL-02, QDEL-03
    E.delete_quote: (S.nothing, S.nothing, S.nothing, S.proposal, S.order, S.deleted),
    # STATUS-01, STATUS-02, STATUS-04, DEL-08, LEASE-09
    E.status: (UNKNOWN, S.quote, UNKNOWN, S.proposal, S.order, GONE),
    # PUPD-01, PUPD-06
    E.update: (UNKNOWN, UNKNOWN, UNKNOWN, S.proposal, UNKNOWN, GONE),
}
CELLS = [
    (state, event, outcome)
    for event, outcomes in RULES.items()
    for state, outcome in zip(COLUMNS, outcomes, strict=True)
]


def an_order(kind: OrderKind = OrderKind.Order, **changes: Any) -> Order:
    return Order(
        key=KEY,
        kind=kind,
        seller_id=SELLER_ID,
        seller={},
        broker_role=BrokerRole.AgentBroker,
        items=(),
        totals=Totals(Decimal(0), None, None),
        **changes,
    )


@pytest.mark.parametrize(("state", "event", "outcome"), CELLS)
def test_each_cell_of_the_table(state: OrderState, event: OrderEvent, outcome: Outcome) -> None:
    if isinstance(outcome, OrderState):
        assert next_order_state(state, event) is outcome
    else:
        with pytest.raises(OpenBookingError) as refused:
            next_order_state(state, event)
        assert type(refused.value) is outcome


def test_no_cell_is_missing() -> None:
    assert set(RULES) == set(E)
    assert set(ORDER_TRANSITIONS) == set(COLUMNS) == set(S)
    assert all(set(row) == set(E) for row in ORDER_TRANSITIONS.values())


def test_a_request_may_be_repeated_where_it_has_made_what_is_there() -> None:
    """P-12, B-08; B of a proposal twice; P once more after B."""
    assert {(state, event) for state in S for event in E if may_be_repeated(state, event)} == {
        (S.proposal, E.p),
        (S.order, E.p),
        (S.order, E.b),
        (S.order, E.b_of_proposal),
    }


def test_a_deleted_uuid_is_never_used_again() -> None:
    """GEN-05, DEL-05."""
    assert {
        outcome for event in E if isinstance(outcome := ORDER_TRANSITIONS[S.deleted][event], OrderState)
    } == {S.deleted}


def test_only_order_status_and_leasing_tell_a_quote_from_a_lapsed_one() -> None:
    """So that `order_state` may be asked without a time for all other events (LEASE-09)."""
    quote, lapsed = ORDER_TRANSITIONS[S.quote], ORDER_TRANSITIONS[S.lapsed_quote]
    assert {event for event in E if quote[event] != lapsed[event]} == {E.status}


@pytest.mark.parametrize(
    ("order", "state"),
    [
        (None, S.nothing),
        (an_order(kind=OrderKind.OrderQuote, lease_expires_at=NOW + timedelta(seconds=1)), S.quote),
        (an_order(kind=OrderKind.OrderQuote, lease_expires_at=NOW), S.lapsed_quote),
        (an_order(kind=OrderKind.OrderProposal), S.proposal),
        (an_order(kind=OrderKind.Order), S.order),
        (DeletedOrder(KEY, SELLER_ID), S.deleted),
    ],
)
def test_a_stored_row_has_one_state(order: Order | DeletedOrder | None, state: OrderState) -> None:
    """GEN-03."""
    assert order_state(order, NOW) is state


def test_versions_count_the_rows_under_a_uuid() -> None:
    first = next_version(an_order(), None)
    second = next_version(DeletedOrder(KEY, SELLER_ID), first)
    assert (first.version, second.version) == (1, 2)
