"""What the state machines about spaces share: Orders in memory, what was promised to them, and a plain count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine

from chalicelib.booking.book import book
from chalicelib.booking.decisions import Decision, Moment, Policy, Snapshot, Wanted
from chalicelib.booking.requests import OrderRequest
from chalicelib.domain.errors import OpenBookingError
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import OrderKey
from chalicelib.services.attempts import carry_out
from chalicelib.services.leases import sweep
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from tests.support.builders import (
    SELLER_ID,
    Clock,
    Observed,
    a_request,
    a_seller,
    an_item,
    sequential_ids,
)
from tests.support.memory import MemoryStore


class SpacesMachine(RuleBasedStateMachine):
    """The model is nothing but what every answer promised: who holds what, and until when.

    `opportunities` are published with `spaces`; `takes` are those of which a place in one takes a space.
    """

    opportunities: Mapping[str, Opportunity]
    spaces: Mapping[str, int]
    counters = False

    def __init__(self) -> None:
        super().__init__()
        self.store, self.clock, self.new_id = MemoryStore(), Clock(), sequential_ids()
        self.store.save_seller(a_seller())
        for key, opportunity in self.opportunities.items():
            self.store.publish(Listing(opportunity), self.spaces[key])
        self.promised: dict[OrderKey, tuple[Counter[str], datetime | None]] = {}
        self.used: set[OrderKey] = set()

    def policy(self) -> Policy:
        return Policy()

    def moment(self) -> Moment:
        return Moment(self.clock(), self.new_id, self.policy())

    def carry_out(self, key: OrderKey, ids: list[str], decide: Callable[[Snapshot], Decision[Any]]) -> Any:
        return carry_out(
            self.store,
            Wanted(key, SELLER_ID, tuple(dict.fromkeys(ids)), counters=self.counters),
            decide,
            now=self.clock(),
            retry=RetryPolicy(pause=lambda _: None, jitter=lambda: 0, attempts=5),
        )

    def a_request(self, key: OrderKey, ids: list[str], **changes: Any) -> OrderRequest:
        items = [an_item(self.opportunities[each], n) for n, each in enumerate(ids)]
        return a_request(*items, key=key, **changes)

    def takes(self, ids: list[str]) -> Counter[str]:
        return Counter(taken for each in ids for taken in self.opportunities[each].takes)

    def free_to(self, key: OrderKey, opportunity_id: str) -> int:
        """What the promises leave for this Order, its own included."""
        others = sum(
            spaces[opportunity_id]
            for other, (spaces, until) in self.promised.items()
            if other != key and (until is None or until > self.clock())
        )
        return self.spaces[opportunity_id] - others

    def fits(self, key: OrderKey, ids: list[str]) -> bool:
        return all(number <= self.free_to(key, each) for each, number in self.takes(ids).items())

    def judge(self, key: OrderKey, ids: list[str], answer: Any) -> None:
        """Whether an answer has errors exactly if the spaces are too few."""
        assert self.fits(key, ids) == (not answer.errors)

    def do_book(self, key: OrderKey, ids: list[str], meanwhile: Callable[[], None] | None = None) -> None:
        """B; `meanwhile` happens between the decision and its commit."""
        payment = {"identifier": "1"}
        request = self.a_request(key, ids, total_payment_due=Decimal(10) * len(ids), payment=payment)
        moment = self.moment()

        def decide(snapshot: Snapshot) -> Decision[Any]:
            nonlocal meanwhile
            decision = book(request, snapshot, moment, lambda order: "answer")
            # With nothing to commit, the decision would be valid as of then.
            if meanwhile is not None and decision.changes:
                others_booking, meanwhile = meanwhile, None
                others_booking()
            return decision

        try:
            answer = self.carry_out(key, ids, decide)
        except OpenBookingError:
            assert key in self.used
            return
        if key in self.used:  # the same request again: nothing moves
            return
        self.judge(key, ids, answer)
        if not answer.errors:
            self.promised[key] = (self.takes(ids), None)
            self.used.add(key)

    def do_sweep(self) -> None:
        sweep(self.store, self.clock(), Observed())

    def publish_again(self, opportunity_id: str) -> None:
        """The Seller publishes a new revision; nothing of what is held changes."""
        listing, _ = self.store.listings([opportunity_id])[opportunity_id]
        opportunity = replace(listing.opportunity, revision=listing.version + 1)
        self.store.publish(Listing(opportunity, listing.version + 1), self.spaces[opportunity_id])
