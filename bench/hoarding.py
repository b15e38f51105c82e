"""What one booking partner can hold without a booking, with the default limits; and what the limits cost a request.

In `python -m bench.hoarding`, a partner leases all it can at C1 and at C2, then proposes all it can, on an engine.
Afterwards another partner tries to book one place of each session.
"""

from datetime import timedelta
from typing import Any

from bench.installation import Answer, Installation, Request, ask, booking, new_uuid, quote
from chalicelib.domain.parties import Json
from chalicelib.values import dataclass, field, replace
from tests.support import engines
from tests.support.inventory import Bookable

APPROVAL: Json = {"openBookingFlowRequirement": ["https://openactive.io/OpenBookingApproval"]}
HOARDER, OTHER, THIRD = "partner-1", "partner-2", "partner-3"
_AT_ONCE = 8


@dataclass
class Hoarded:
    """What the partner was answered, and what it held in the end."""

    sessions: int
    spaces: int
    requests: int = 0
    leases: int = 0
    leased: int = 0
    proposals: int = 0
    proposed: int = 0
    refused: int = 0
    booked_by_another: int = 0
    held_of_one: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        held = self.leased + self.proposed
        return (
            f"{self.sessions} sessions with {self.spaces} spaces: {self.requests} requests, {self.leases} leases of "
            f"{self.leased} spaces, {self.proposals} proposals of {self.proposed} spaces ({self.refused} refused); "
            f"{held / self.spaces:.0%} held, at most {max(self.held_of_one)} of one session; another partner booked "
            f"a place of {self.booked_by_another} sessions"
        )


def hoard(
    installation: Installation, sessions: int, spaces: int, *, proposals_first: bool = False
) -> Hoarded:
    """One partner holds all it can of so many sessions, one in ten of which requires approval."""
    offers = [APPROVAL if number % 10 == 9 else {} for number in range(sessions)]
    published = [installation.session(spaces, offer=offer) for offer in offers]
    ended = Hoarded(sessions, sessions * spaces)
    ways = [_lease_all, _propose_all]
    for way in reversed(ways) if proposals_first else ways:
        way(ended, published, offers)
    for session, offer in zip(published, offers, strict=True):
        ended.held_of_one.append(installation.held(session))
        if not offer:
            ended.booked_by_another += ask(booking(new_uuid(), session, OTHER)).status == 201
    return ended


def _lease_all(ended: Hoarded, sessions: list[Bookable], offers: list[Json]) -> None:
    """Lease as many spaces of each session as possible, at C1 and then at C2: 8 at once, 4, and so on."""
    for session in sessions:
        for customer in (False, True):
            places = _AT_ONCE
            while places:
                answer = ask(_quote(session, places, customer=customer))
                ended.requests += 1
                if answer.status == 200 and "lease" in answer.json:
                    ended.leases += 1
                    ended.leased += places
                else:
                    places //= 2


def _quote(session: Bookable, places: int, *, customer: bool) -> Request:
    request = quote(new_uuid(), session, HOARDER, customer=customer)
    assert request.body is not None
    items = [session.item(position) for position in range(places)]
    return replace(request, body=request.body | {"orderedItem": items})


def _propose_all(ended: Hoarded, sessions: list[Bookable], offers: list[Json]) -> None:
    """Propose one space after another, until no more are left or the answer is 429."""
    for session, offer in zip(sessions, offers, strict=True):
        while offer:
            answer = _propose(session)
            ended.requests += 1
            if answer.status == 429:
                ended.refused += 1
                return
            if answer.status != 201:
                break
            ended.proposals += 1
            ended.proposed += 1


def _propose(session: Bookable) -> Answer:
    return ask(proposal(new_uuid(), session))


def proposal(order: str, session: Bookable, partner: str = HOARDER) -> Request:
    """A P request for one place."""
    request = booking(order, session, partner)
    assert request.body is not None
    body = request.body | {"@type": "OrderProposal"}
    return Request("PUT", f"order-proposals/{order}", body, partner)


def rows_of_requests(installation: Installation) -> dict[str, tuple[int, int]]:
    """How many rows a request reads and writes, with a single OrderItem."""
    session = installation.session(100)
    approval = installation.session(100, offer=APPROVAL)
    uuid = new_uuid()
    requests = {
        "C1": quote(uuid, session, THIRD, customer=False),
        "C2 after C1": quote(uuid, session, THIRD),
        "C2 again": quote(uuid, session, THIRD),
        "B after C2": booking(uuid, session, THIRD),
        "B without a lease": booking(new_uuid(), session, THIRD),
        "P": proposal(new_uuid(), approval, THIRD),
    }
    calls, found = engines.Calls(installation.tables), dict[str, tuple[int, int]]()
    now = installation.now()
    for minutes, (name, request) in enumerate(requests.items()):
        # A lease that ends in another minute is counted there.
        installation.fixed_time = now + timedelta(minutes=minutes)
        found[name] = _rows(calls.during(lambda: ask(request)))  # noqa: B023
    calls.stop()
    return found


def _rows(requests: list[tuple[str, dict[str, Any]]]) -> tuple[int, int]:
    (_, read), (_, written) = requests
    keys = sum(len(table["Keys"]) for table in read["RequestItems"].values())
    return keys, len(written["TransactItems"])


def main() -> None:
    with engines.running_engine() as url:
        for sessions, spaces, first in ((60, 16, False), (60, 16, True), (200, 40, False)):
            installation = Installation(f"hoarding-{sessions}-{spaces}-{first}", url)
            installation.create()
            how = "proposals first" if first else "leases first"
            print(f"{how}: {hoard(installation, sessions, spaces, proposals_first=first)}", flush=True)
            rows = rows_of_requests(installation) if first else {}
            installation.close()
            for name, (read, written) in rows.items():
                print(f"{name}: reads {read} rows, writes {written}")


if __name__ == "__main__":
    main()
