"""A small installation on an engine in which everything agrees: Orders of every kind, leases, open feeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from bench.installation import Installation, Request, ask, booking, cancellation, new_uuid, quote
from chalicelib.booking.proposals import decide_proposal
from chalicelib.domain.lifecycle import ProposalEvent
from chalicelib.domain.orders import OrderKey
from chalicelib.feeds.names import orders_feed
from chalicelib.runtime.system import System
from chalicelib.runtime.upkeep import Upkeep
from chalicelib.services.checking.check import Check, Report
from chalicelib.values import replace
from openbooking.local.pump import Pump
from tests.support.inventory import Bookable
from tests.support.streams import streams_of

PARTNER = "partner-1"
FEED = orders_feed(PARTNER)
SESSIONS = "scheduled-sessions"
APPROVAL = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}


@dataclass
class Site:
    """An installation, its streams, and what is in it."""

    installation: Installation
    pump: Pump
    yoga: Bookable
    court: Bookable
    uuids: dict[str, str] = field(default_factory=dict)
    partners: dict[str, str] = field(default_factory=dict)
    item_ids: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    paused: list[float] = field(default_factory=list)

    @property
    def system(self) -> System:
        return self.installation.system()

    @property
    def tables(self) -> Any:
        return self.installation.tables

    def upkeep(self) -> Upkeep:
        """Its pauses take no time: the streams are read out meanwhile."""
        return Upkeep(self.system, self.wait)

    def wait(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.pump.drain()

    def check(self) -> Check:
        return self.upkeep().check(parts=2)

    def report(self) -> Report:
        return self.check().run()

    def found(self) -> list[tuple[str, str]]:
        """What a check names: kind of damage and row."""
        return [(str(finding.damage), finding.row) for finding in self.report().findings]

    def held_by(self, name: str) -> int:
        hold = self.system.store.holds(self.yoga.id).get(self.key(name))
        return hold.spaces if hold else 0

    def key(self, name: str) -> OrderKey:
        return OrderKey(PARTNER, self.uuids[name])

    def book(self, name: str, session: Bookable | None = None, partner: str = PARTNER) -> str:
        uuid = self.uuids[name] = new_uuid()
        answer = ask(booking(uuid, session or self.yoga, partner))
        assert answer.status == 201, answer.body
        self.partners[name] = partner
        self.item_ids[name] = answer.json["orderedItem"][0]["@id"]
        return uuid

    def cancel(self, name: str) -> None:
        request = cancellation(self.uuids[name], self.item_ids[name])
        answer = ask(replace(request, partner=self.partners[name]))
        assert answer.status == 204, answer.body

    def lease(self, name: str) -> None:
        uuid = self.uuids[name] = new_uuid()
        assert ask(quote(uuid, self.yoga)).status == 200

    def delete(self, name: str) -> None:
        assert ask(Request("DELETE", f"orders/{self.uuids[name]}")).status == 204

    def propose(self, name: str, session: Bookable) -> None:
        uuid = self.uuids[name] = new_uuid()
        document = booking(uuid, session).body
        assert document is not None
        answer = ask(Request("PUT", f"order-proposals/{uuid}", document | {"@type": "OrderProposal"}))
        assert answer.status == 201, answer.body
        self.versions[name] = answer.json["orderProposalVersion"]

    def decide(self, name: str, event: ProposalEvent) -> None:
        moment = self.system.moment()
        self.system.attempts.carry_out_on_order(
            self.key(name), lambda snapshot: decide_proposal(snapshot, event, moment), moment.now
        )

    def book_proposal(self, name: str) -> None:
        body = {
            "@type": "Order",
            "orderProposalVersion": self.versions[name],
            "payment": {"@type": "Payment", "identifier": "payment-1"},
        }
        answer = ask(Request("PUT", f"orders/{self.uuids[name]}", body))
        assert answer.status == 201, answer.body


@contextmanager
def site(prefix: str, url: str) -> Iterator[Site]:
    """Orders: booked, changed, deleted before and after a change, proposed, rejected, accepted, and leases."""
    installation = Installation(prefix, url)
    installation.create()
    with streams_of(prefix, url) as pump:
        yoga, court = installation.session(60), installation.slot()
        asked = installation.session(10, offer=APPROVAL, starts_in=timedelta(days=3))
        made = Site(installation, pump, yoga, court)
        for name in ("booked", "changed", "deleted", "deleted at once", "other"):
            made.book(name)
        for name in ("changed", "deleted", "other"):
            made.cancel(name)
        for name in ("deleted", "deleted at once"):
            made.delete(name)
        for name in ("waiting", "rejected", "accepted", "agreed"):
            made.propose(name, asked)
        for name in ("accepted", "agreed"):
            made.decide(name, ProposalEvent.accept)
        made.decide("rejected", ProposalEvent.seller_rejects)
        made.book_proposal("agreed")
        made.lease("leased")
        pump.drain()
        yield made
    installation.close()
