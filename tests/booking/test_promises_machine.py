"""Every promise in any order of events, under each setting of leasing: quotes, proposals, bookings, changes, time.

The model knows only what each answer promised: who has which spaces, and until when. From that it expects what the
next request must answer. It never looks at the rows to decide this. After every step the rows must add up.

`PROMISES_EXAMPLES=1000 pytest tests/booking/test_promises_machine.py` runs a longer search.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chalicelib.booking.decisions import Snapshot, Wanted
from chalicelib.booking.quote import quote
from chalicelib.booking.requests import (
    CancellationRequest,
    OrderRequest,
    ProposalBookingRequest,
    ProposalUpdateRequest,
)
from chalicelib.domain.capacity import HoldState
from chalicelib.domain.errors import (
    OpenBookingError,
    OpportunityHasInsufficientCapacityError,
    OrderCreationFailedError,
)
from chalicelib.domain.lifecycle import ProposalStatus, TransitionRefused
from chalicelib.domain.offers import FlowRequirement
from chalicelib.domain.opportunities import EventStatus, Opportunity
from chalicelib.domain.orders import Order, OrderKey, OrderKind
from chalicelib.runtime.system import install
from chalicelib.services import following
from chalicelib.storage.pending import DAILY, PROPOSAL_END
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from tests.support.builders import (
    NOW,
    SELLER_ID,
    a_request,
    a_seller,
    an_item,
    an_offer,
    an_opportunity,
)
from tests.support.memory import MemoryStore
from tests.support.world import World

EXAMPLES = int(os.environ.get("PROMISES_EXAMPLES", "100"))

YOGA, COURT, RUN = "https://a.example/yoga", "https://a.example/court", "https://a.example/run"
SPACES = {YOGA: 4, COURT: 1, RUN: 3}
STARTS_IN = {YOGA: timedelta(hours=8), COURT: timedelta(hours=30), RUN: timedelta(hours=30)}
NEEDS_APPROVAL = {YOGA, COURT}
LEASE, ANSWER, BOOK = timedelta(minutes=15), timedelta(hours=2), timedelta(hours=1)
KEYS = [OrderKey("partner-1", f"10000000-0000-4000-8000-00000000000{n}") for n in range(4)]
WAITING, ACCEPTED = ProposalStatus.AwaitingSellerConfirmation, ProposalStatus.SellerAccepted


def a_session(key: str) -> Opportunity:
    requirements = (FlowRequirement.OpenBookingApproval,) if key in NEEDS_APPROVAL else ()
    offer = an_offer(offer_id=f"{key}#/offers/1", requirements=requirements)
    return an_opportunity(key, offer, starts_in=STARTS_IN[key])


SESSIONS = {key: a_session(key) for key in SPACES}

keys = st.sampled_from(KEYS)
wanted = st.lists(st.sampled_from([YOGA, YOGA, COURT, RUN]), min_size=1, max_size=3)
for_approval = st.lists(st.sampled_from([YOGA, YOGA, COURT]), min_size=1, max_size=2)


@dataclass
class Promise:
    """Spaces that an answer promised, until a moment or (None) without an end."""

    spaces: Counter[str]
    until: datetime | None = None


@dataclass
class Proposed:
    """An OrderProposal that is not booked: what was promised with it, and whether that can still be kept."""

    spaces: Counter[str]
    status: ProposalStatus
    ends_at: datetime
    takes_spaces: bool
    broken_by: set[str] = field(default_factory=set)  # sessions that are not as they were proposed

    def is_open(self, now: datetime) -> bool:
        return not self.broken_by and self.status in (WAITING, ACCEPTED) and now < self.ends_at


class Promises(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.system, self.clock = self.world.system, self.world.clock
        assert isinstance(self.world.store, MemoryStore)
        self.store = self.world.store
        self.store.save_seller(a_seller())
        for key, session in SESSIONS.items():
            self.store.publish(Listing(session), SPACES[key])
        self.promises: dict[OrderKey, Promise] = {}  # leases and Orders
        self.proposals: dict[OrderKey, Proposed] = {}
        self.rejected: dict[OrderKey, Promise] = {}  # what a person rejected, leased for a while
        self.used: set[OrderKey] = set()  # by a proposal or an Order
        self.on = dict.fromkeys(SPACES, True)
        self.starts = {key: NOW + after for key, after in STARTS_IN.items()}

    def teardown(self) -> None:
        """Nothing is held for ever: in the end there are Orders, and nothing else."""
        self.clock.advance(days=9)
        self.system.sweep()
        for key in SPACES:
            holds = self.store.holds(key)
            assert {hold.state for hold in holds.values()} <= {HoldState.booked}
            assert all(self._order(each).kind is OrderKind.Order for each in holds)
        assert self.world.pending.count(PROPOSAL_END, 10) == 0
        assert set(self.world.pending.kinds()) <= DAILY  # only what is planned once a day
        for key in self.proposals:
            order = self._order(key)
            assert order.proposal is not None and order.proposal.is_rejected
            assert order.published
        install(None)

    @initialize(anonymous=st.booleans(), named=st.booleans())
    def set_leasing(self, anonymous: bool, named: bool) -> None:
        self.anonymous, self.named = anonymous, named
        self.world.set(
            anonymous_leasing=anonymous,
            named_leasing=named,
            lease_seconds=int(LEASE.total_seconds()),
            # Other tests show what one partner may hold: tests/booking/test_capacity_machine.py.
            lease_longest_seconds=int(timedelta(days=3650).total_seconds()),
            proposal_answer_seconds=int(ANSWER.total_seconds()),
            proposal_booking_seconds=int(BOOK.total_seconds()),
        )

    # --- the model ------------------------------------------------------------------------

    @property
    def leases(self) -> bool:
        return self.anonymous or self.named

    def taken_by_others(self, key: OrderKey, session: str) -> tuple[int, int]:
        """The fewest and the most spaces that others may have.

        They differ by the spaces of proposals that are over and whose end has not been written yet.
        """
        now = self.clock()
        certain = sum(
            promise.spaces[session]
            for promises in (self.promises, self.rejected)
            for other, promise in promises.items()
            if other != key and (promise.until is None or promise.until > now)
        )
        possible = 0
        for other, proposed in self.proposals.items():
            if other == key or not proposed.takes_spaces or proposed.status not in (WAITING, ACCEPTED):
                continue
            if proposed.is_open(now):
                certain += proposed.spaces[session]
            else:
                possible += proposed.spaces[session]
        return certain, certain + possible

    def fits(self, key: OrderKey, spaces: Counter[str]) -> bool | None:
        """Whether these spaces must be available (True) or cannot be (False); None if it depends."""
        bounds = {session: self.taken_by_others(key, session) for session in spaces}
        if any(SPACES[session] - bounds[session][0] < count for session, count in spaces.items()):
            return False
        if all(SPACES[session] - bounds[session][1] >= count for session, count in spaces.items()):
            return True
        return None

    def can_be_sold(self, spaces: Counter[str]) -> bool:
        needs_approval = not NEEDS_APPROVAL.isdisjoint(spaces)
        closes_after = timedelta(0) if needs_approval else timedelta(hours=1)
        return all(
            self.on[session] and self.clock() < self.starts[session] + closes_after for session in spaces
        )

    def lease_of(self, key: OrderKey) -> Promise | None:
        promise = self.promises.get(key)
        return promise if promise and promise.until and promise.until > self.clock() else None

    def ends_at(self, spaces: Counter[str], wait: timedelta) -> datetime:
        return min(self.clock() + wait, *(self.starts[session] for session in spaces))

    # --- the Broker -----------------------------------------------------------------------

    def request(self, key: OrderKey, ids: list[str], **changes: Any) -> OrderRequest:
        items = [an_item(SESSIONS[each], n) for n, each in enumerate(ids)]
        return a_request(*items, key=key, **changes)

    def paid(self, key: OrderKey, ids: list[str]) -> OrderRequest:
        return self.request(key, ids, total_payment_due=Decimal(10) * len(ids), payment={"identifier": "1"})

    def expect(self, key: OrderKey, spaces: Counter[str], succeeded: bool) -> None:
        fits = self.fits(key, spaces) if self.can_be_sold(spaces) else False
        assert fits is None or succeeded is fits

    @rule(key=keys, ids=wanted, with_customer=st.booleans())
    def quote(self, key: OrderKey, ids: list[str], with_customer: bool) -> None:
        """C1 or C2."""
        spaces = Counter(ids)
        try:
            answer = self.system.bookings.quote(self.request(key, ids), with_customer=with_customer)
        except OpenBookingError:
            assert key in self.used
            return
        assert key not in self.used
        self.expect(key, spaces, not answer.errors)
        if answer.errors:
            return
        now, lease = self.clock(), self.lease_of(key)
        if self.anonymous or (with_customer and self.named):
            kept = min(timedelta(minutes=2), LEASE / 5)
            is_kept = lease is not None and lease.until and lease.until >= now + LEASE - kept
            ends_at = lease.until if lease is not None and is_kept else now + LEASE
            assert answer.order.lease_expires_at == ends_at
            self.promises[key] = Promise(spaces, ends_at)
        elif lease is not None:
            kept = lease.spaces & spaces
            self.promises[key] = Promise(kept, lease.until)
            assert answer.order.lease_expires_at == (lease.until if kept == spaces else None)
        else:
            assert answer.order.lease_expires_at is None

    @rule(key=keys, ids=wanted, amended=wanted)
    def quote_and_amend(self, key: OrderKey, ids: list[str], amended: list[str]) -> None:
        """C2, then C1 under the same UUID."""
        self.quote(key=key, ids=ids, with_customer=True)
        self.quote(key=key, ids=amended, with_customer=False)

    @rule(key=keys)
    def delete_quote(self, key: OrderKey) -> None:
        self.system.bookings.delete_quote(key, seller_id=SELLER_ID)
        if key not in self.used:
            self.promises.pop(key, None)

    @rule(key=keys, ids=for_approval | wanted)
    def propose(self, key: OrderKey, ids: list[str]) -> None:
        """P."""
        spaces = Counter(ids)
        try:
            answer = self.system.bookings.propose(self.paid(key, ids), lambda order: "answer")
        except OpenBookingError:
            assert key in self.used or NEEDS_APPROVAL.isdisjoint(spaces)
            return
        if key in self.used:
            return  # repeated: it gets its first answer
        self.expect(key, spaces, not answer.errors)
        if not answer.errors:
            self.used.add(key)
            self.promises.pop(key, None)
            ends_at = self.ends_at(spaces, ANSWER)
            self.proposals[key] = Proposed(spaces, WAITING, ends_at, self.leases)

    @rule(key=keys, ids=wanted)
    def book(self, key: OrderKey, ids: list[str]) -> None:
        """B of the simple flow."""
        spaces = Counter(ids)
        try:
            answer = self.system.bookings.book(self.paid(key, ids), lambda order: "answer")
        except OpenBookingError:
            assert key in self.used or not NEEDS_APPROVAL.isdisjoint(spaces)
            return
        if key in self.used:
            return
        self.expect(key, spaces, not answer.errors)
        if not answer.errors:
            self.used.add(key)
            self.promises[key] = Promise(spaces)

    @rule(key=keys)
    def book_proposal(self, key: OrderKey) -> None:
        """B of a proposal: an accepted one that can be honoured is booked; with its spaces, always (P-17)."""
        proposed = self.proposals.get(key)
        if proposed is None:
            return
        version = self._order(key).proposal
        assert version is not None
        request = ProposalBookingRequest(key, version.version, {"identifier": "1"})
        is_open = proposed.is_open(self.clock()) and proposed.status is ACCEPTED
        fits = True if proposed.takes_spaces else self.fits(key, proposed.spaces)
        try:
            self.system.bookings.book_proposal(request, lambda order: "answer", seller_id=SELLER_ID)
        except OpportunityHasInsufficientCapacityError:
            assert is_open and fits is not True
            proposed.status = ProposalStatus.SellerRejected
        except OrderCreationFailedError:
            assert not is_open
            if proposed.status is ACCEPTED or proposed.ends_at <= self.clock():
                proposed.status = self._rejected_or(proposed)
        else:
            assert is_open and fits is not False
            del self.proposals[key]
            self.promises[key] = Promise(proposed.spaces)

    @rule(key=keys)
    def customer_rejects(self, key: OrderKey) -> None:
        request = ProposalUpdateRequest(key, rejects=True)
        self._reject(
            key,
            lambda: self.system.bookings.update_proposal(request, seller_id=SELLER_ID),
            ProposalStatus.CustomerRejected,
        )

    @rule(key=keys, which=st.integers(0, 2))
    def cancel(self, key: OrderKey, which: int) -> None:
        order = self.store.orders([key]).get(key)
        if not isinstance(order, Order) or order.kind is not OrderKind.Order:
            return
        item = order.items[which % len(order.items)]
        try:
            request = CancellationRequest(key, (str(item.id),))
            self.system.bookings.cancel(request, seller_id=SELLER_ID)
        except OpenBookingError:
            return  # it has started
        if item.holds_a_space and item.opportunity is not None:
            self.promises[key].spaces = self.promises[key].spaces - Counter([item.opportunity.id])

    @rule(key=keys)
    def delete(self, key: OrderKey) -> None:
        try:
            self.system.bookings.delete(key, seller_id=SELLER_ID)
        except OpenBookingError:
            assert key not in self.used or key in self.proposals
            return
        self.promises.pop(key, None)

    # --- the Seller -----------------------------------------------------------------------

    @rule(key=keys)
    def accept(self, key: OrderKey) -> None:
        proposed = self.proposals.get(key)
        if self._decide(lambda: self.system.seller_actions.accept(key)):
            assert proposed is not None and proposed.status is WAITING and self.clock() < proposed.ends_at
            proposed.status, proposed.ends_at = ACCEPTED, self.ends_at(proposed.spaces, BOOK)
        elif proposed is not None:
            assert proposed.status is not WAITING or not proposed.is_open(self.clock())
            self._note_end(proposed)

    @rule(key=keys)
    def amend(self, key: OrderKey) -> None:
        """A new version with the same items, which must be accepted again."""
        proposed = self.proposals.get(key)
        if self._decide(lambda: self.system.seller_actions.amend(key)):
            assert proposed is not None and self.clock() < proposed.ends_at
            proposed.status, proposed.ends_at = WAITING, self.ends_at(proposed.spaces, ANSWER)
        elif proposed is not None:
            assert not proposed.is_open(self.clock())
            self._note_end(proposed)

    @rule(key=keys)
    def seller_rejects(self, key: OrderKey) -> None:
        self._reject(key, lambda: self.system.seller_actions.reject(key), ProposalStatus.SellerRejected)

    @rule(
        session=st.sampled_from(sorted(SPACES)),
        what=st.sampled_from(["cancel", "postpone", "move", "withdraw", "rename", "restore", "restore"]),
        at_once=st.booleans(),
    )
    def change(self, session: str, what: str, at_once: bool) -> None:
        """A change of the whole session; it reaches those who hold it at once, or with the next sweep."""
        listing, _ = self.store.listings([session])[session]
        inventory = self.system.inventory
        if what == "restore":
            if listing.deleted or listing.opportunity.status is not EventStatus.EventScheduled:
                version = listing.version + 1
                again = replace(
                    SESSIONS[session],
                    revision=version,
                    starts_at=self.starts[session],
                    ends_at=self.starts[session] + timedelta(hours=1),
                )
                unfinished = self.world.pending.entries(following.KIND, 10)
                if any(entry.id == session for entry in unfinished):
                    self.system.worker.finish(following.KIND, session)
                    self._settle(lambda proposed: session in proposed.broken_by)
                self.store.publish(Listing(again, version), SPACES[session])
                self.on[session] = True
            return
        if listing.deleted:
            return
        match what:
            case "cancel":
                inventory.cancel(session)
                self._cancelled(session)
            case "postpone":
                inventory.change(session, lambda each: replace(each, status=EventStatus.EventPostponed))
            case "withdraw":
                inventory.withdraw(session)
            case "move":
                self.starts[session] += timedelta(minutes=30)
                inventory.change(
                    session,
                    lambda each: replace(
                        each,
                        starts_at=self.starts[session],
                        ends_at=self.starts[session] + timedelta(hours=1),
                    ),
                )
            case "rename":
                document = {**listing.opportunity.document, "name": f"Name {listing.version}"}
                inventory.change(session, lambda each: replace(each, document=document))
        if what in ("cancel", "postpone", "withdraw"):
            self.on[session] = False
        if what != "rename":
            for proposed in self.proposals.values():
                proposed.broken_by |= {session} & proposed.spaces.keys()
        if at_once or what == "cancel":
            self.system.worker.finish(following.KIND, session)
            self._settle(lambda proposed: session in proposed.broken_by)

    @rule(
        key=keys,
        ids=for_approval,
        is_accepted=st.booleans(),
        what=st.sampled_from(["cancel", "postpone", "move", "withdraw", "rename"]),
        at_once=st.booleans(),
    )
    def change_before_b(
        self, key: OrderKey, ids: list[str], is_accepted: bool, what: str, at_once: bool
    ) -> None:
        """Steps that seldom come in this order: the change reaches the proposal, or B is the first to find it."""
        self.propose(key=key, ids=ids)
        if is_accepted:
            self.accept(key=key)
        self.change(session=ids[0], what=what, at_once=at_once)
        self.book_proposal(key=key)
        self.change(session=ids[0], what="restore", at_once=True)

    @rule(
        key=keys,
        ids=for_approval,
        accepted_after=st.sampled_from([None, 0, 30]),
        booked_after=st.sampled_from([59, 60, 119, 120]),
    )
    def wait_for_b(
        self, key: OrderKey, ids: list[str], accepted_after: int | None, booked_after: int
    ) -> None:
        """The same for time: on either side of an end."""
        self.propose(key=key, ids=ids)
        if accepted_after is not None:
            self.wait(minutes=accepted_after)
            self.accept(key=key)
        self.wait(minutes=booked_after)
        self.order_status_shows_what_counts_now()
        self.book_proposal(key=key)

    # --- time -----------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 14, 15, 59, 60, 120]))
    def wait(self, minutes: int) -> None:
        self.clock.advance(minutes=minutes)

    @rule()
    def sweep(self) -> None:
        """After it, what the open feed shows is what can be booked."""
        self.system.sweep()
        self._settle(lambda proposed: not proposed.is_open(self.clock()))
        for session, spaces in SPACES.items():
            capacity = self.world_capacity(session)
            fewest, most = self.taken_by_others(OrderKey("partner-2", "1"), session)
            assert fewest == most == spaces - capacity
            if not self.can_be_sold(Counter([session])):
                continue
            for count in range(1, spaces + 2):
                assert (not self._errors_of_c1([session] * count)) is (count <= capacity)

    def world_capacity(self, session: str) -> int:
        capacity = self.store.listings([session])[session][1]
        assert capacity is not None
        return capacity.spaces_left

    def _errors_of_c1(self, ids: list[str]) -> Any:
        """The errors that a new Order UUID would get; nothing is written."""
        request = self.request(OrderKey("partner-2", KEYS[0].uuid), ids)
        snapshot: Snapshot = self.store.snapshot(
            Wanted(request.key, SELLER_ID, tuple(request.opportunity_ids()))
        )
        return quote(request, snapshot, self.system.moment(), with_customer=False).answer.errors

    # --- what the model learns ------------------------------------------------------------

    def _decide(self, decide: Callable[[], None]) -> bool:
        try:
            decide()
        except (OpenBookingError, TransitionRefused):
            return False
        return True

    def _reject(self, key: OrderKey, reject: Callable[[], None], status: ProposalStatus) -> None:
        proposed = self.proposals.get(key)
        before = proposed.status if proposed else None
        if not self._decide(reject):
            if proposed is not None:
                assert proposed.status not in (WAITING, ACCEPTED) or not proposed.is_open(self.clock())
                self._note_end(proposed)
            return
        assert proposed is not None
        if before in (WAITING, ACCEPTED):
            assert self.clock() < proposed.ends_at
            proposed.status = status
            if proposed.takes_spaces:  # it stays leased for a while; of a withdrawn session nothing does
                spaces = Counter({s: n for s, n in proposed.spaces.items() if self._is_listed(s)})
                self.rejected[key] = Promise(spaces, self.clock() + LEASE)

    def _is_listed(self, session: str) -> bool:
        return not self.store.listings([session])[session][0].deleted

    def _note_end(self, proposed: Proposed) -> None:
        if proposed.status in (WAITING, ACCEPTED) and proposed.ends_at <= self.clock():
            proposed.status = ProposalStatus.SellerRejected

    def _rejected_or(self, proposed: Proposed) -> ProposalStatus:
        is_open = proposed.status in (WAITING, ACCEPTED)
        return ProposalStatus.SellerRejected if is_open else proposed.status

    def _settle(self, is_over: Callable[[Proposed], bool]) -> None:
        for key, proposed in self.proposals.items():
            if proposed.status in (WAITING, ACCEPTED) and is_over(proposed):
                proposed.status = ProposalStatus.SellerRejected
                order = self._order(key)
                assert order.proposal is not None
                assert order.proposal.status is ProposalStatus.SellerRejected
                assert order.published and not order.holds()

    def _cancelled(self, session: str) -> None:
        """Orders lose their spaces of it."""
        for key, promise in self.promises.items():
            if key in self.used:
                promise.spaces = Counter({s: n for s, n in promise.spaces.items() if s != session})

    def _order(self, key: OrderKey) -> Order:
        order = self.store.orders([key])[key]
        assert isinstance(order, Order)
        return order

    # --- after every step -----------------------------------------------------------------

    @invariant()
    def every_space_is_left_or_taken_once(self) -> None:
        for session, (_, capacity) in self.store.listings(sorted(SPACES)).items():
            assert capacity is not None
            holds = self.store.holds(session)
            assert 0 <= capacity.spaces_left <= capacity.spaces_total == SPACES[session]
            assert capacity.spaces_total == capacity.spaces_left + sum(
                hold.taken_spaces for hold in holds.values()
            )
            assert capacity.spaces_leased == sum(hold.leased_spaces for hold in holds.values())
            assert capacity.spaces_requested == sum(hold.requested_spaces for hold in holds.values())
            if not self.leases_were_ever_on():
                assert all(hold.state is not HoldState.leased for hold in holds.values())

    def leases_were_ever_on(self) -> bool:
        return getattr(self, "anonymous", True) or getattr(self, "named", True)

    @invariant()
    def what_was_promised_is_held(self) -> None:
        now = self.clock()
        for key, promise in self.promises.items():
            if promise.until is not None and promise.until <= now:
                continue
            for session, count in promise.spaces.items():
                hold = self.store.holds(session).get(key)
                assert (hold.taken_spaces if hold else 0) == count
        for key, proposed in self.proposals.items():
            if not proposed.is_open(now):
                continue
            for session, count in proposed.spaces.items():
                hold = self.store.holds(session)[key]
                assert (hold.spaces, hold.state) == (
                    count,
                    HoldState.proposed if proposed.takes_spaces else HoldState.requested,
                )

    @invariant()
    def order_status_shows_what_counts_now(self) -> None:
        for key, proposed in self.proposals.items():
            order = self.system.bookings.status(key, seller_id=SELLER_ID)
            assert order.proposal is not None
            if proposed.is_open(self.clock()):
                assert order.proposal.status is proposed.status
            elif proposed.ends_at <= self.clock() or proposed.status not in (WAITING, ACCEPTED):
                assert order.proposal.is_rejected


TestPromises = Promises.TestCase
TestPromises.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
