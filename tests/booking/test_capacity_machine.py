"""Spaces in every order of events: what Brokers, the clock and the Seller do, against a plain count.

The partners have low limits, so that many quotes exceed them (decision 21).
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chalicelib.booking.book import book
from chalicelib.booking.cancel import cancel_items, delete_order
from chalicelib.booking.decisions import Decision, Moment, Policy, Snapshot, Wanted
from chalicelib.booking.quote import delete_quote, quote
from chalicelib.booking.requests import CancellationRequest, OrderRequest
from chalicelib.domain.capacity import HoldState, LeaseKind, Share, share_key
from chalicelib.domain.errors import OpenBookingError
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey, OrderKind
from chalicelib.domain.partner_limits import PartnerLimits
from chalicelib.services.attempts import carry_out, current_snapshot
from chalicelib.services.leases import sweep
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from tests.support.builders import (
    SELLER_ID,
    Clock,
    Observed,
    a_request,
    a_seller,
    an_item,
    an_opportunity,
    sequential_ids,
)
from tests.support.memory import MemoryStore

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


class Spaces(RuleBasedStateMachine):
    """The model is nothing but what every answer promised: who holds what, and until when."""

    def __init__(self) -> None:
        super().__init__()
        self.store, self.clock, self.new_id = MemoryStore(), Clock(), sequential_ids()
        self.store.save_seller(a_seller())
        for key, opportunity in OPPORTUNITIES.items():
            self.store.publish(Listing(opportunity), SPACES[key])
        self.promised: dict[OrderKey, tuple[dict[str, int], Any]] = {}
        self.used: set[OrderKey] = set()
        self.kinds: dict[OrderKey, LeaseKind] = {}
        self.leased_since: dict[OrderKey, datetime] = {}
        # A lease counts towards the totals of its partner until the end of the minute in which it ends.
        self.counted: dict[OrderKey, tuple[int, datetime]] = {}

    def carry_out(self, key: OrderKey, request: OrderRequest | None, decide: Any) -> Any:
        ids = tuple(request.opportunity_ids()) if request else ()
        return carry_out(
            self.store,
            Wanted(key, SELLER_ID, ids, counters=True),
            decide,
            now=self.clock(),
            retry=RetryPolicy(pause=lambda _: None, jitter=lambda: 0, attempts=4),
        )

    def now(self, key: OrderKey, request: OrderRequest) -> Snapshot:
        """The current state."""
        wanted = Wanted(key, SELLER_ID, tuple(request.opportunity_ids()))
        return current_snapshot(self.store, wanted, self.clock())

    def moment(self, lease_for: int = 900) -> Moment:
        policy = Policy(lease_for=timedelta(seconds=lease_for), lease_longest=LONGEST, limits=LIMITS)
        return Moment(self.clock(), self.new_id, policy)

    def a_request(self, key: OrderKey, ids: list[str], **changes: Any) -> OrderRequest:
        items = [an_item(OPPORTUNITIES[each], n) for n, each in enumerate(ids)]
        return a_request(*items, key=key, **changes)

    def free_to(self, key: OrderKey, opportunity_id: str) -> int:
        """What the promises leave for this Order, its own included."""
        others = sum(
            spaces.get(opportunity_id, 0)
            for other, (spaces, until) in self.promised.items()
            if other != key and (until is None or until > self.clock())
        )
        return SPACES[opportunity_id] - others

    def count(self, ids: list[str]) -> dict[str, int]:
        return {each: ids.count(each) for each in set(ids)}

    @rule(key=orders, ids=wanted, lease_for=lengths, with_customer=st.booleans())
    def quote(self, key: OrderKey, ids: list[str], lease_for: int, with_customer: bool) -> None:
        self._quote(key, ids, lease_for, with_customer)

    @rule(lease_for=st.tuples(lengths, lengths, lengths), partner=st.sampled_from(["partner-3", "partner-4"]))
    def quotes_of_several_lengths(self, lease_for: tuple[int, int, int], partner: str) -> None:
        """Leases side by side, of which some end before others."""
        for n, length in enumerate(lease_for):
            self._quote(OrderKey(partner, f"10000000-0000-4000-8000-00000000000{n}"), [YOGA], length, True)

    def _quote(self, key: OrderKey, ids: list[str], lease_for: int, with_customer: bool) -> None:
        request, moment = self.a_request(key, ids), self.moment(lease_for)

        def decide(snapshot: Snapshot) -> Decision[Any]:
            return quote(request, snapshot, moment, with_customer=with_customer)

        try:
            answer = self.carry_out(key, request, decide)
        except OpenBookingError:
            assert key in self.used
            return
        assert key not in self.used
        fits = all(number <= self.free_to(key, each) for each, number in self.count(ids).items())
        assert fits == (not answer.errors)
        for item in answer.order.items:
            assert item.spaces_remaining == self.free_to(key, item.opportunity_id)  # C1-09
        if fits:
            self._promise(key, self.count(ids), answer.order.lease_expires_at, lease_for, with_customer)

    def _promise(
        self, key: OrderKey, spaces: dict[str, int], ends_at: datetime | None, lease_for: int, named: bool
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
        _, until = self.promised.get(key, ({}, None))
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
        self._book(key, ids)

    @rule(key=orders, ids=wanted, other=orders, other_ids=wanted)
    def race(self, key: OrderKey, ids: list[str], other: OrderKey, other_ids: list[str]) -> None:
        """Another booking is made between the decision of this one and its commit."""
        if other != key:
            self._book(key, ids, meanwhile=lambda: self._book(other, other_ids))

    def _book(self, key: OrderKey, ids: list[str], meanwhile: Any = None) -> None:
        request = self.a_request(
            key, ids, total_payment_due=Decimal(10) * len(ids), payment={"identifier": "1"}
        )
        moment = self.moment()

        def decide(snapshot: Snapshot) -> Decision[Any]:
            nonlocal meanwhile
            decision = book(request, snapshot, moment, lambda order: "answer")
            if meanwhile is not None:
                others_booking, meanwhile = meanwhile, None
                others_booking()
                if not decision.changes:  # nothing to commit: the decision is valid, as of then
                    return book(request, self.now(key, request), moment, lambda order: "answer")
            return decision

        try:
            answer = self.carry_out(key, request, decide)
        except OpenBookingError:
            assert key in self.used
            return
        if key in self.used:  # the same request again: nothing moves
            return
        fits = all(number <= self.free_to(key, each) for each, number in self.count(ids).items())
        assert fits == (not answer.errors)
        if fits:
            self.promised[key] = (self.count(ids), None)
            self.counted.pop(key, None)
            self.used.add(key)

    @rule(key=orders, which=st.integers(0, 3))
    def cancel(self, key: OrderKey, which: int) -> None:
        order = self.store.snapshot(Wanted(key)).order
        if not isinstance(order, Order) or order.kind is not OrderKind.Order:
            return
        item = order.items[which % len(order.items)]
        request, moment = CancellationRequest(key, (str(item.id),)), self.moment()
        self.carry_out(
            key, None, lambda snapshot: cancel_items(request, snapshot, moment, seller_id=SELLER_ID)
        )
        if item.holds_a_space and item.opportunity is not None:
            spaces, until = self.promised[key]
            left = spaces[item.opportunity.id] - 1
            self.promised[key] = ({**spaces, item.opportunity.id: left}, until)

    @rule(key=orders)
    def delete(self, key: OrderKey) -> None:
        order = self.store.snapshot(Wanted(key)).order
        try:
            self.carry_out(key, None, lambda snapshot: delete_order(snapshot, seller_id=SELLER_ID))
        except OpenBookingError:
            assert not isinstance(order, DeletedOrder)
            assert key not in self.used
            return
        assert key in self.used
        self.promised.pop(key, None)

    @rule(key=orders)
    def delete_quote(self, key: OrderKey) -> None:
        now = self.clock()
        self.carry_out(key, None, lambda snapshot: delete_quote(snapshot, now, seller_id=SELLER_ID))
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
        sweep(self.store, self.clock(), Observed())

    @rule(key=st.sampled_from(sorted(SPACES)))
    def change(self, key: str) -> None:
        """The Seller publishes a new revision; nothing of what is held changes."""
        listing, _ = self.store.listings([key])[key]
        opportunity = replace(listing.opportunity, revision=listing.version + 1)
        self.store.publish(Listing(opportunity, listing.version + 1), SPACES[key])

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
        for key, (spaces, until) in self.promised.items():
            if until is not None and until <= self.clock():
                continue
            for opportunity_id, number in spaces.items():
                hold = self.store.holds(opportunity_id).get(key)
                assert (hold.spaces if hold else 0) == number


TestSpaces = Spaces.TestCase
TestSpaces.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
