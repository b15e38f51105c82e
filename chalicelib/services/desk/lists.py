"""The lists of one Seller, a page at a time: sessions, bookings, proposals, and who holds a session.

Lists come from an index that is eventually consistent: what was booked a moment ago may be missing. Each row that is
shown is read consistently, and the register is.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from chalicelib.booking.proposal_ends import as_of
from chalicelib.domain.capacity import Capacity
from chalicelib.domain.lifecycle import ProposalStatus
from chalicelib.domain.orders import Order, OrderKey, OrderKind
from chalicelib.domain.parties import Json
from chalicelib.services.actors import Actor
from chalicelib.services.desk.belongings import Belongings
from chalicelib.services.desk.rows import (
    booking_details,
    booking_row,
    holder_rows,
    name_of,
    proposal_row,
    session_details,
    session_row,
)
from chalicelib.services.errors import InvalidValue
from chalicelib.storage.codec import Undecodable
from chalicelib.storage.errors import UnreadableRow
from chalicelib.storage.lists import OrderList, place_of_opportunity
from chalicelib.storage.store import Listing, Store

T = TypeVar("T")

# Rows on one page; each is read separately, a hundred keys in a call.
MAX_PAGE = 1000

_PLACE = re.compile(r"(\d{4}(-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)?|undated)\.[0-9a-f]{16}")
# Divides the place of a session from the key of an Order in a cursor.
_WITHIN = "|"


@dataclass(frozen=True)
class Page:
    """Rows to show, and the cursor of the next page; None at the end. `unreadable`: rows that had to be left out."""

    rows: list[Json]
    following: str | None = None
    unreadable: int = 0


@dataclass(frozen=True)
class SellerLists:
    """The lists. `since` and `until` bound the times, `until` excluded. Methods raise StillBusy, InvalidValue."""

    belongings: Belongings
    clock: Callable[[], datetime]

    def sessions(
        self,
        actor: Actor,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str = "",
        limit: int = 100,
    ) -> Page:
        """The sessions and slots by their start."""
        page = self._patiently(
            lambda: self._store.listed_opportunities(
                actor.seller_id, since=since, until=until, after=_place(after), limit=_most(limit)
            )
        )
        found = self._listings(page.keys)
        rows = [
            session_row(*found[each], self.belongings.ids, self.clock())
            for each in page.keys
            if each in found
        ]
        return Page(rows, page.following)

    def session(self, actor: Actor, text: str) -> Json:
        """One session or slot, with its offers. Raises NotFound."""
        return session_details(*self.belongings.session(actor, text), self.belongings.ids, self.clock())

    def bookings(
        self,
        actor: Actor,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: str = "",
        limit: int = 100,
        newest_first: bool = True,
    ) -> Page:
        """The bookings by the time at which they were made, cancelled ones included."""
        page = self._patiently(
            lambda: self._store.listed_orders(
                OrderList.bookings,
                actor.seller_id,
                since=since,
                until=until,
                after=_place(after),
                limit=_most(limit),
                newest_first=newest_first,
            )
        )
        orders, unreadable = self._orders(actor, page.keys)
        rows = [booking_row(order, self.belongings.ids) for order in orders]
        return Page(rows, page.following, unreadable)

    def bookings_of_sessions(
        self, actor: Actor, *, since: datetime, until: datetime, after: str = "", limit: int = 100
    ) -> Page:
        """The bookings on the sessions that start in this time, by their start; one row for each session booked.

        These are the bookings that hold a place now. The cursor is a session's place in its list and the last
        Order read in it.
        """
        limit = _most(limit)
        place, _, reached = after.partition(_WITHIN)
        rows: list[Json] = []
        unreadable = 0
        for at, (listing, _) in self._sessions_from(actor, since, until, _place(place)):
            opportunity = listing.opportunity
            holds = self._patiently(
                lambda: self._store.holds(
                    opportunity.id,  # noqa: B023
                    after=reached if at == place else "",  # noqa: B023
                    limit=limit - len(rows) + 1,
                )
            )
            keys = list(holds)[: limit - len(rows)]
            orders, broken = self._orders(actor, keys)
            unreadable += broken
            for order in orders:
                if order.kind is not OrderKind.Order:
                    continue
                held = [item for item in order.items if item.holds_a_space and item.opportunity]
                spaces = sum(item.opportunity.id == opportunity.id for item in held if item.opportunity)
                row = booking_row(order, self.belongings.ids)
                rows.append(
                    {
                        "starts": opportunity.starts_at,
                        "session": name_of(opportunity),
                        "spaces": spaces,
                        **row,
                    }
                )
            if len(holds) > len(keys):
                return Page(rows, f"{at}{_WITHIN}{keys[-1]}" if keys else f"{at}{_WITHIN}", unreadable)
            if len(rows) >= limit:
                last = str(keys[-1]) if keys else ""
                return Page(rows, f"{at}{_WITHIN}{last}", unreadable)
        return Page(rows, None, unreadable)

    def booking(self, actor: Actor, uuid: str, partner: str | None = None) -> Json:
        """One booking with its items. Raises NotFound."""
        return booking_details(self.belongings.booking(actor, uuid, partner), self.belongings.ids)

    def proposals(
        self,
        actor: Actor,
        *,
        after: str = "",
        limit: int = 100,
        which: Sequence[ProposalStatus] | None = None,
    ) -> Page:
        """The OrderProposals by the time at which they were made: those that wait for the Seller.

        `which`: those in these states instead. A page may have fewer rows than `limit` and still not be the last.
        """
        wanted = which or (ProposalStatus.AwaitingSellerConfirmation,)
        is_open = any(each in _OPEN for each in wanted)
        page = self._patiently(
            lambda: self._store.listed_orders(
                OrderList.proposals if is_open else OrderList.rejected,
                actor.seller_id,
                after=_place(after),
                limit=_most(limit),
            )
        )
        orders, unreadable = self._orders(actor, page.keys)
        now = self.clock()
        counted = (as_of(order, now) for order in orders)
        rows = [
            proposal_row(order, self.belongings.ids)
            for order in counted
            if order.proposal is not None and order.proposal.status in wanted
        ]
        return Page(rows, page.following, unreadable)

    def proposal(self, actor: Actor, uuid: str, partner: str | None = None) -> Json:
        """One OrderProposal, as it counts now, with its items. Raises NotFound."""
        order = as_of(self.belongings.proposal(actor, uuid, partner), self.clock())
        details = booking_details(order, self.belongings.ids)
        return {**details, **proposal_row(order, self.belongings.ids), "items": details["items"]}

    def register(self, actor: Actor, text: str, *, after: str = "", limit: int = 100) -> Page:
        """Who holds a session: bookings, proposals and leases, strongly consistent. Raises NotFound."""
        listing, _ = self.belongings.session(actor, text)
        opportunity_id, limit, now = listing.opportunity.id, _most(limit), self.clock()
        holds = self._patiently(lambda: self._store.holds(opportunity_id, after=after, limit=limit + 1))
        keys = list(holds)[:limit]
        orders, unreadable = self._orders(actor, keys)
        known = {order.key: order for order in orders}
        rows = [
            row
            for key in keys
            if not holds[key].has_expired(now)
            for row in holder_rows(key, holds[key], known.get(key), opportunity_id)
        ]
        return Page(rows, str(keys[-1]) if len(holds) > limit else None, unreadable)

    def _sessions_from(
        self, actor: Actor, since: datetime, until: datetime, place: str
    ) -> Iterator[tuple[str, tuple[Listing, Capacity | None]]]:
        """The sessions with holders, each with its place in the list, from the session at `place` on."""
        # Without its last character, so that the session itself follows; what is before it is skipped.
        after: str | None = place[:-1]
        while after is not None:
            page = self._patiently(
                lambda: self._store.listed_opportunities(
                    actor.seller_id,
                    since=since,
                    until=until,
                    after=after or "",  # noqa: B023
                )
            )
            found = self._listings(page.keys)
            for each in page.keys:
                if each not in found:
                    continue
                listing, capacity = found[each]
                at = place_of_opportunity(listing.opportunity)
                if at is not None and at.place >= place and capacity is not None and capacity.has_holds:
                    yield at.place, (listing, capacity)
            after = page.following

    def _listings(self, ids: Sequence[str]) -> dict[str, tuple[Listing, Capacity | None]]:
        return self._patiently(lambda: self._store.listings(ids))

    def _orders(self, actor: Actor, keys: Sequence[OrderKey]) -> tuple[list[Order], int]:
        """The Orders of these keys, in their order, and how many cannot be read."""
        try:
            found = self._patiently(lambda: self._store.orders(keys))
        except (Undecodable, UnreadableRow):
            return self._one_by_one(actor, keys)
        orders = [found[key] for key in keys if key in found]
        return [each for each in orders if isinstance(each, Order) and actor.owns(each.seller_id)], 0

    def _one_by_one(self, actor: Actor, keys: Sequence[OrderKey]) -> tuple[list[Order], int]:
        """The same where a row is damaged: it must not hide the others."""
        orders: list[Order] = []
        unreadable = 0
        for key in keys:
            try:
                order = self._patiently(lambda: self._store.orders([key])).get(key)  # noqa: B023
            except (Undecodable, UnreadableRow):
                unreadable += 1
                continue
            if isinstance(order, Order) and actor.owns(order.seller_id):
                orders.append(order)
        return orders, unreadable

    @property
    def _store(self) -> Store:
        return self.belongings.store

    def _patiently(self, read: Callable[[], T]) -> T:
        return self.belongings.patiently(read)


_OPEN = frozenset({ProposalStatus.AwaitingSellerConfirmation, ProposalStatus.SellerAccepted})


def _most(limit: int) -> int:
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidValue(f"A page has 1 to {MAX_PAGE} rows, not {limit}.")
    return limit


def _place(cursor: str) -> str:
    """The place that a cursor names. Raises InvalidValue."""
    if cursor and not _PLACE.fullmatch(cursor):
        raise InvalidValue(f"{cursor!r} is not a cursor: give the one that the page before returned.")
    return cursor
