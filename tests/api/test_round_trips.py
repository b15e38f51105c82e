"""Every endpoint keeps to its number of calls to DynamoDB; what `make bench` shows, held fast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.installation import Installation, Request, ask, booking, cancellation, new_uuid, quote
from bench.round_trips import AT_MOST, round_trips
from chalicelib.domain.orders import OrderKey
from chalicelib.runtime.system import install
from tests.support.builders import NOW
from tests.support.engines import Calls, simulated_aws
from tests.support.inventory import Bookable

# The most sessions of a course that one Order takes; fewer where their number makes no difference, as moto is slow.
PARTS, FEW = 23, 3
APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}


@pytest.fixture
def installation() -> Iterator[Installation]:
    with simulated_aws():
        made = Installation("round-trips", None, fixed_time=NOW)
        made.create()
        yield made
        made.close()


def test_each_endpoint_takes_as_few_round_trips_as_promised(installation: Installation) -> None:
    made = round_trips(installation)
    assert {endpoint: len(calls) for endpoint, calls in made.items()} == AT_MOST


def test_a_course_and_its_sessions_take_no_more(installation: Installation) -> None:
    """Decision 26: its sessions are not read; the transaction takes their spaces on condition."""
    course = installation.course(100, [100] * FEW)[0]
    made = round_trips(installation, course)
    assert {endpoint: len(calls) for endpoint, calls in made.items()} == AT_MOST


def test_each_transaction_of_a_course_has_two_rows_for_each_session(installation: Installation) -> None:
    """A hold and the counters of each Opportunity, the Order, and the counters of its partner for a lease."""
    course = installation.course(100, [100] * PARTS)[0]
    other = installation.course(100, [100] * PARTS)[0]
    quoted, booked = new_uuid(), new_uuid()
    pairs = 2 * (1 + PARTS)
    assert rows_written(installation, quote(quoted, course, customer=False)) == pairs + 2
    assert rows_written(installation, quote(quoted, other)) == 2 * pairs + 1  # LEASE-03: all are swapped
    assert rows_written(installation, booking(quoted, course)) == 2 * pairs + 2
    assert rows_written(installation, booking(booked, course)) == pairs + 1
    item_id = ask(Request("GET", f"orders/{booked}")).json["orderedItem"][0]["@id"]
    assert rows_written(installation, cancellation(booked, item_id)) == pairs + 1


@pytest.mark.parametrize("leases", [True, False])
def test_p_and_b_of_a_proposal_of_a_course_take_two_round_trips(
    installation: Installation, leases: bool
) -> None:
    """P-16, B-18: also where P takes no spaces, and its transaction only checks that there are some."""
    system = installation.system()
    system.settings = system.settings.__class__(
        authentication="headers", anonymous_leasing=leases, named_leasing=leases
    )
    install(system)
    course = installation.course(100, [100] * FEW, offer=APPROVAL)[0]
    uuid = new_uuid()
    propose = Request("PUT", f"order-proposals/{uuid}", proposal(course))
    two = ["BatchGetItem", "TransactWriteItems"]
    calls = Calls(installation.tables)
    answers: list[Any] = []
    assert [name for name, _ in calls.during(lambda: answers.append(ask(propose)))] == two
    assert answers[0].status == 201, answers[0].body
    system.seller_actions.accept(OrderKey("partner-1", uuid))
    version = answers[0].json["orderProposalVersion"]
    body = {"@type": "Order", "orderProposalVersion": version, "payment": proposal(course)["payment"]}
    accepted = Request("PUT", f"orders/{uuid}", body)
    assert [name for name, _ in calls.during(lambda: answers.append(ask(accepted)))] == two
    assert answers[1].status == 201, answers[1].body
    calls.stop()


def proposal(course: Bookable) -> Any:
    body = booking(new_uuid(), course).body
    assert body is not None
    return {**body, "@type": "OrderProposal"}


def rows_written(installation: Installation, request: Request) -> int:
    """The actions of the one transaction that the request makes."""
    calls = Calls(installation.tables)
    answers: list[Any] = []
    made = calls.during(lambda: answers.append(ask(request)))
    calls.stop()
    assert answers[0].status in (200, 201, 204), answers[0].body
    [transaction] = [params for name, params in made if name == "TransactWriteItems"]
    return len(transaction["TransactItems"])
