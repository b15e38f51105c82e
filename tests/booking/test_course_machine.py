"""A course whose sessions are also sold singly, in every order of events: nothing is sold twice.

A place in the course is a place in each session. Requests name the course only (decision 26).
"""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from chalicelib.booking.book import book
from chalicelib.booking.cancel import cancel_items, delete_order
from chalicelib.booking.decisions import Moment, Policy, Wanted
from chalicelib.booking.quote import delete_quote, quote
from chalicelib.booking.requests import CancellationRequest
from chalicelib.domain.errors import (
    OpenBookingError,
    OpportunityCapacityIsReservedByLeaseError,
    OpportunityHasInsufficientCapacityError,
    OpportunityIsFullError,
)
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.partner_limits import PartnerLimits
from chalicelib.services.attempts import carry_out
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from tests.support.builders import (
    SELLER_ID,
    Clock,
    a_request,
    a_seller,
    an_item,
    an_opportunity,
    sequential_ids,
)
from tests.support.memory import MemoryStore
from tests.support.spaces import SpacesMachine

COURSE, MONDAY, TUESDAY = (f"https://a.example/{name}" for name in ("course", "monday", "tuesday"))
SPACES = {COURSE: 4, MONDAY: 3, TUESDAY: 5}
TAKES = {COURSE: (COURSE, MONDAY, TUESDAY), MONDAY: (MONDAY,), TUESDAY: (TUESDAY,)}
OPPORTUNITIES: dict[str, Opportunity] = {
    key: an_opportunity(key, sub_events=TAKES[key][1:], starts_in=timedelta(days=9)) for key in SPACES
}
SHORT = (
    OpportunityIsFullError,
    OpportunityHasInsufficientCapacityError,
    OpportunityCapacityIsReservedByLeaseError,
)
KEYS = [OrderKey("partner-1", f"10000000-0000-4000-8000-00000000000{n}") for n in range(8)]

orders = st.sampled_from(KEYS)
wanted = st.lists(st.sampled_from([COURSE, COURSE, MONDAY, TUESDAY]), min_size=1, max_size=3)


class Course(SpacesMachine):
    """The model counts what every answer promised."""

    opportunities, spaces = OPPORTUNITIES, SPACES

    def policy(self, *, leases: bool = True) -> Policy:
        return Policy(anonymous_leases=leases, named_leases=leases, limits=PartnerLimits(0, 0, 0, 0, 0))

    def judge(self, key: OrderKey, ids: list[str], answer: Any) -> None:
        """Every error is about spaces, and names an Opportunity that is really short for these items."""
        super().judge(key, ids, answer)
        for errors in answer.errors.values():
            for error in errors:
                assert isinstance(error, SHORT)
                assert self.takes(ids)[error.instance] > self.free_to(key, error.instance)

    @rule(key=orders, ids=wanted, with_customer=st.booleans(), leases=st.booleans())
    def quote(self, key: OrderKey, ids: list[str], with_customer: bool, leases: bool) -> None:
        """With and without leases: without, no commit checks the sessions, and they are read."""
        request = self.a_request(key, ids)
        moment = Moment(self.clock(), self.new_id, self.policy(leases=leases))
        is_leased = key in self.promised and (self.promised[key][1] or self.clock()) > self.clock()
        if is_leased and not leases:
            return
        try:
            answer = self.carry_out(
                key, ids, lambda snapshot: quote(request, snapshot, moment, with_customer=with_customer)
            )
        except OpenBookingError:
            assert key in self.used
            return
        self.judge(key, ids, answer)
        if leases and not answer.errors:
            self.promised.pop(key, None)
            if answer.order.lease_expires_at is not None:  # none once the longest time is over
                self.promised[key] = (self.takes(ids), answer.order.lease_expires_at)

    @rule(key=orders, ids=wanted)
    def book(self, key: OrderKey, ids: list[str]) -> None:
        self.do_book(key, ids)

    @rule(key=orders, ids=wanted, other=orders, other_ids=wanted)
    def race(self, key: OrderKey, ids: list[str], other: OrderKey, other_ids: list[str]) -> None:
        """Another booking is made between the decision of this one and its commit."""
        if other != key:
            self.do_book(key, ids, meanwhile=lambda: self.do_book(other, other_ids))

    @rule(key=orders, which=st.integers(0, 3))
    def cancel(self, key: OrderKey, which: int) -> None:
        order = self.store.snapshot(Wanted(key)).order
        if not isinstance(order, Order) or key not in self.used:
            return
        item = order.items[which % len(order.items)]
        request, moment = CancellationRequest(key, (str(item.id),)), self.moment()
        self.carry_out(key, [], lambda snapshot: cancel_items(request, snapshot, moment, seller_id=SELLER_ID))
        if item.holds_a_space:
            self.promised[key] = (self.promised[key][0] - Counter(item.takes), None)

    @rule(key=orders)
    def delete(self, key: OrderKey) -> None:
        if key in self.used:
            self.carry_out(key, [], lambda snapshot: delete_order(snapshot, seller_id=SELLER_ID))
            self.promised.pop(key, None)
        else:
            now = self.clock()
            self.carry_out(key, [], lambda snapshot: delete_quote(snapshot, now, seller_id=SELLER_ID))
            self.promised.pop(key, None)

    @rule(seconds=st.sampled_from([1, 300, 900]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @rule()
    def sweep(self) -> None:
        self.do_sweep()

    @rule(key=st.sampled_from(sorted(SPACES)))
    def change(self, key: str) -> None:
        self.publish_again(key)

    @invariant()
    def every_space_is_left_or_held(self) -> None:
        for key, (_, capacity) in self.store.listings(sorted(SPACES)).items():
            assert capacity is not None
            held = sum(hold.spaces for hold in self.store.holds(key).values())
            assert 0 <= capacity.spaces_left <= capacity.spaces_total == SPACES[key]
            assert capacity.spaces_total == capacity.spaces_left + held

    @invariant()
    def what_was_promised_is_held(self) -> None:
        for key, (spaces, until) in self.promised.items():
            if until is None or until > self.clock():
                for opportunity_id in SPACES:
                    hold = self.store.holds(opportunity_id).get(key)
                    if hold is not None and hold.has_expired(self.clock()):
                        hold = None  # a lease of an earlier quote, which the next reader or the sweep ends
                    assert (hold.spaces if hold else 0) == spaces[opportunity_id]


TestCourse = Course.TestCase
TestCourse.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


def test_without_its_sessions_a_course_would_be_sold_twice() -> None:
    """The positive control: what the machine would find."""
    store, clock = MemoryStore(), Clock()
    store.save_seller(a_seller())
    alone = replace(OPPORTUNITIES[COURSE], sub_events=())
    for key, opportunity in {**OPPORTUNITIES, COURSE: alone}.items():
        store.publish(Listing(opportunity), SPACES[key])
    taken = 0
    for n, opportunity_id in enumerate([MONDAY] * 3 + [COURSE]):
        request = a_request(
            an_item(OPPORTUNITIES[opportunity_id]),
            key=KEYS[n],
            total_payment_due=Decimal(10),
            payment={"identifier": "1"},
        )
        moment = Moment(clock(), sequential_ids(), Policy())
        answer = carry_out(
            store,
            Wanted(KEYS[n], SELLER_ID, (opportunity_id,)),
            lambda snapshot, request=request, moment=moment: book(  # type: ignore[misc]
                request, snapshot, moment, lambda order: "answer"
            ),
            now=clock(),
            retry=RetryPolicy(pause=lambda _: None, jitter=lambda: 0),
        )
        taken += MONDAY in TAKES[opportunity_id] and not answer.errors
    assert taken == SPACES[MONDAY] + 1
