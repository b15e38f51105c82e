"""Spaces in every order of events: what Brokers, the clock and the Seller do, against a plain count.

The partners have low limits, so that many quotes exceed them (decision 21).
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from chalicelib.booking.cancel import cancel_items, delete_order
from chalicelib.booking.decisions import Decision, Moment, Policy, Snapshot, Wanted
from chalicelib.booking.quote import delete_quote, quote
from chalicelib.booking.requests import CancellationRequest
from chalicelib.domain.capacity import HoldState, LeaseKind, Share, share_key
from chalicelib.domain.errors import OpenBookingError
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, OrderKind
from chalicelib.domain.partner_limits import PartnerLimits
from tests.support.builders import (
    SELLER_ID,
    an_opportunity,
)
from tests.support.spaces import SpacesMachine

SPACES = {"https://a.example/yoga": 7, "https://a.example/cycling": 3, "https://a.example/court": 1}
OPPORTUNITIES = {key: an_opportunity(key) for key in SPACES}
KEYS = [
    OrderKey(partner, f"10000000-0000-4000-8000-00000000000{n}")
    for partner in ("partner-1", "partner-2")
    for n in range(6)
]

orders = st.sampled_from(KEYS)
# Mostly few places of what has many, so that leases of several durations exist together.
YOGA, CYCLING, COURT = SPACES
wanted = st.lists(st.sampled_from([YOGA, YOGA, YOGA, CYCLING, COURT]), min_size=1, max_size=3)
lengths = st.sampled_from([60, 300, 900])

LIMITS = PartnerLimits(
    anonymous_lease_spaces=2, lease_spaces=3, partner_leases=3, partner_proposals=0, partner_spaces=5
)
LONGEST = timedelta(seconds=1000)


class Spaces(SpacesMachine):
    """The model is nothing but what every answer promised: who holds what, and until when."""

    opportunities, spaces, counters = OPPORTUNITIES, SPACES, True

    def __init__(self) -> None:
        super().__init__()
        self.kinds: dict[OrderKey, LeaseKind] = {}
        self.leased_since: dict[OrderKey, datetime] = {}
        # A lease counts towards the totals of its partner until the end of the minute in which it ends.
        self.counted: dict[OrderKey, tuple[int, datetime]] = {}

    def policy(self, lease_for: int = 900) -> Policy:
        return Policy(lease_for=timedelta(seconds=lease_for), lease_longest=LONGEST, limits=LIMITS)

    @rule(key=orders, ids=wanted, lease_for=lengths, with_customer=st.booleans())
    def quote(self, key: OrderKey, ids: list[str], lease_for: int, with_customer: bool) -> None:
        self._quote(key, ids, lease_for, with_customer)

    @rule(lease_for=st.tuples(lengths, lengths, lengths), partner=st.sampled_from(["partner-3", "partner-4"]))
    def quotes_of_several_lengths(self, lease_for: tuple[int, int, int], partner: str) -> None:
        """Leases side by side, of which some end before others."""
        for n, length in enumerate(lease_for):
            self._quote(OrderKey(partner, f"10000000-0000-4000-8000-00000000000{n}"), [YOGA], length, True)

    def _quote(self, key: OrderKey, ids: list[str], lease_for: int, with_customer: bool) -> None:
        request = self.a_request(key, ids)
        moment = Moment(self.clock(), self.new_id, self.policy(lease_for))

        def decide(snapshot: Snapshot) -> Decision[Any]:
            return quote(request, snapshot, moment, with_customer=with_customer)

        try:
            answer = self.carry_out(key, ids, decide)
        except OpenBookingError:
            assert key in self.used
            return
        assert key not in self.used
        self.judge(key, ids, answer)
        for item in answer.order.items:
            assert item.spaces_remaining == self.free_to(key, item.opportunity_id)  # C1-09
        if not answer.errors:
            self._promise(key, self.takes(ids), answer.order.lease_expires_at, lease_for, with_customer)

    def _promise(
        self, key: OrderKey, spaces: Counter[str], ends_at: datetime | None, lease_for: int, named: bool
    ) -> None:
        """A quote without errors has a lease exactly if no limit forbids it."""
        now = self.clock()
        lived = self.is_leased(key)
        kind = (
            LeaseKind.named
            if named or (lived and self.kinds[key] is LeaseKind.named)
            else LeaseKind.anonymous
        )
        since = self.leased_since.get(key, now)
        last_end = since + max(LONGEST, timedelta(seconds=lease_for))
        allowed = last_end > now and self.is_allowed(key, spaces, kind)
        assert (ends_at is not None) == allowed
        if ends_at is None:
            self.promised.pop(key, None)
            if lived:
                self.leased_since.pop(key)
                self.counted.pop(key)
            return
        end = min(now + timedelta(seconds=lease_for), last_end)
        kept = min(timedelta(minutes=2), timedelta(seconds=lease_for) / 5)
        earlier = self.promised[key][1] if lived else None
        assert ends_at == (earlier if earlier and end - kept <= earlier <= end else end)
        self.promised[key] = (spaces, ends_at)
        self.kinds[key], self.leased_since[key] = kind, since
        self.counted[key] = (sum(spaces.values()), ends_at)

    def is_leased(self, key: OrderKey) -> bool:
        _, until = self.promised.get(key, (None, None))
        return until is not None and until > self.clock()

    def is_allowed(self, key: OrderKey, spaces: dict[str, int], kind: LeaseKind) -> bool:
        anonymous = kind is LeaseKind.anonymous
        for opportunity_id, number in spaces.items():
            share = self.share(key.partner_id, opportunity_id, besides=key)
            if share.spaces + number > LIMITS.lease_spaces:
                return False
            if anonymous and share.anonymous + number > LIMITS.anonymous_lease_spaces:
                return False
        others = [
            number
            for other, (number, until) in self.counted.items()
            if other.partner_id == key.partner_id
            and other != key
            and -(-int(until.timestamp()) // 60) * 60 > self.clock().timestamp()
        ]
        return (
            len(others) < LIMITS.partner_leases
            and sum(others) + sum(spaces.values()) <= LIMITS.partner_spaces
        )

    def share(self, partner_id: str, opportunity_id: str, besides: OrderKey | None = None) -> Share:
        """What the partner leases of an Opportunity, as promised."""
        share = Share()
        for key, (spaces, _) in self.promised.items():
            if key.partner_id == partner_id and key != besides and self.is_leased(key):
                number = spaces.get(opportunity_id, 0)
                share += Share(number, number if self.kinds[key] is LeaseKind.anonymous else 0)
        return share

    @rule(key=orders, ids=wanted)
    def book(self, key: OrderKey, ids: list[str]) -> None:
        self.do_book(key, ids)

    @rule(key=orders, ids=wanted, other=orders, other_ids=wanted)
    def race(self, key: OrderKey, ids: list[str], other: OrderKey, other_ids: list[str]) -> None:
        """Another booking is made between the decision of this one and its commit."""
        if other != key:
            self.do_book(key, ids, meanwhile=lambda: self.do_book(other, other_ids))

    def do_book(self, key: OrderKey, ids: list[str], meanwhile: Callable[[], None] | None = None) -> None:
        super().do_book(key, ids, meanwhile)
        if key in self.used:
            self.counted.pop(key, None)

    @rule(key=orders, which=st.integers(0, 3))
    def cancel(self, key: OrderKey, which: int) -> None:
        order = self.store.snapshot(Wanted(key)).order
        if not isinstance(order, Order) or order.kind is not OrderKind.Order:
            return
        item = order.items[which % len(order.items)]
        request, moment = CancellationRequest(key, (str(item.id),)), self.moment()
        self.carry_out(key, [], lambda snapshot: cancel_items(request, snapshot, moment, seller_id=SELLER_ID))
        if item.holds_a_space and item.opportunity is not None:
            spaces, until = self.promised[key]
            self.promised[key] = (spaces - Counter(item.takes), until)

    @rule(key=orders)
    def delete(self, key: OrderKey) -> None:
        order = self.store.snapshot(Wanted(key)).order
        try:
            self.carry_out(key, [], lambda snapshot: delete_order(snapshot, seller_id=SELLER_ID))
        except OpenBookingError:
            assert not isinstance(order, DeletedOrder)
            assert key not in self.used
            return
        assert key in self.used
        self.promised.pop(key, None)

    @rule(key=orders)
    def delete_quote(self, key: OrderKey) -> None:
        now = self.clock()
        self.carry_out(key, [], lambda snapshot: delete_quote(snapshot, now, seller_id=SELLER_ID))
        if key not in self.used:
            # The quote is forgotten, also if its lease has ended.
            self.leased_since.pop(key, None)
            self.counted.pop(key, None)
            self.promised.pop(key, None)

    @rule(seconds=st.sampled_from([1, 59, 60, 300, 900]))
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
            holds = self.store.holds(key).values()
            assert 0 <= capacity.spaces_left <= capacity.spaces_total == SPACES[key]
            assert capacity.spaces_total == capacity.spaces_left + sum(hold.spaces for hold in holds)
            leases = [hold for hold in holds if hold.state is HoldState.leased]
            assert capacity.spaces_leased == sum(hold.spaces for hold in leases)
            ends = [hold.expires_at for hold in leases if hold.expires_at is not None]
            assert len(ends) == len(leases)
            if ends:
                assert capacity.next_expiry_at is not None
                assert capacity.next_expiry_at <= min(ends)

    @invariant()
    def no_partner_leases_more_than_it_may(self) -> None:
        """The counters match the holds, also of leases that have ended and were not read since."""
        for opportunity_id, (_, capacity) in self.store.listings(sorted(SPACES)).items():
            assert capacity is not None
            held: dict[str, Share] = {}
            for key, hold in self.store.holds(opportunity_id).items():
                held[key.partner_id] = held.get(key.partner_id, Share()) + hold.share
            for partner_id, share in held.items():
                assert share.spaces <= LIMITS.lease_spaces
                assert share.anonymous <= LIMITS.anonymous_lease_spaces
                assert capacity.share_of(partner_id) == share
            known = {share_key(partner_id) for partner_id in held}
            assert not any(share for key, share in capacity.shares.items() if key not in known)

    @invariant()
    def what_was_promised_is_held(self) -> None:
        """A lease that has ended holds nothing, also if no sweep has removed it since."""
        now = self.clock()
        for key, (spaces, until) in self.promised.items():
            if until is not None and until <= now:
                continue
            for opportunity_id in SPACES:
                hold = self.store.holds(opportunity_id).get(key)
                if hold is not None and hold.has_expired(now):
                    hold = None
                assert (hold.spaces if hold else 0) == spaces[opportunity_id]


TestSpaces = Spaces.TestCase
TestSpaces.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
