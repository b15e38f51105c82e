"""The lists of one Seller, a page at a time: sessions, bookings, proposals, and who holds a session.

Lists come from an index that is eventually consistent: what was booked a moment ago may be missing. Each row that is
shown is read consistently, and the register is.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from chalicelib.booking.proposal_ends import as_of
from chalicelib.domain.capacity import Capacity
from chalicelib.domain.lifecycle import ProposalStatus
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.orders import Order, OrderKey, OrderKind
from chalicelib.domain.parties import Json
from chalicelib.services.actors import Actor
from chalicelib.services.desk.belongings import Belongings
from chalicelib.services.desk.rows import (
    booking_details,
    booking_row,
    holder_rows,
    name_of,
    place_row,
    proposal_row,
    session_details,
    session_row,
)
from chalicelib.services.errors import InvalidValue
from chalicelib.services.seller_ids import type_of
from chalicelib.storage.codec import Undecodable
from chalicelib.storage.errors import UnreadableRow
from chalicelib.storage.lists import OrderList, place_of_opportunity
from chalicelib.storage.store import Listing, Store
from chalicelib.values import dataclass, replace

T = TypeVar("T")

# Rows on one page; each is read separately, a hundred keys in a call.
MAX_PAGE = 1000

_PLACE = re.compile(r"(\d{4}(-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)?|undated)\.[0-9a-f]{16}")
# Divides the place of a session from the key of an Order in a cursor.
_WITHIN = "|"
# Begins the cursor of a register's page of cancelled places.
_CANCELLED = "cancelled|"
# Bookings of which one page of a register looks for cancelled places, and how many of them are read together.
_SEARCHED = 2000
_TOGETHER = 500
# Keys of sessions and slots that are read together, and how many others one page passes over.
_READ = 500
_PASSED_OVER = 5000


class Kind(StrEnum):
    """What a list of sessions has. A facility has many slots on each day, which would hide the sessions between them."""

    sessions = "sessions"  # sessions, courses and events
    slots = "slots"
    all = "all"

    def has(self, kind: OpportunityType | None) -> bool:
        """Whether it has this type; True for one that is not known yet."""
        return self is Kind.all or kind is None or (kind is OpportunityType.Slot) is (self is Kind.slots)


@dataclass(frozen=True)
class Page:
    """Rows to show, and the cursor of the next page; None at the end. `unreadable`: rows that had to be left out.

    `left_out` counts the slots, or the sessions, that were passed over. `searched_back_to`: cancelled places of earlier
    bookings are on the next page.
    """

    rows: list[Json]
    following: str | None = None
    unreadable: int = 0
    left_out: int = 0
    searched_back_to: datetime | None = None


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
        kind: Kind = Kind.all,
    ) -> Page:
        """The sessions, the slots, or both by their start.

        A page may have fewer rows than `limit` and still not be the last: it passes over a bounded number of others.
        """
        limit, passed, rows = _most(limit), 0, list[Json]()
        following: str | None = _place(after)
        while following is not None and len(rows) < limit and passed < _PASSED_OVER:
            page = self._patiently(
                lambda: self._store.listed_opportunities(
                    actor.seller_id,
                    since=since,
                    until=until,
                    after=following or "",  # noqa: B023 - it runs at once
                    limit=limit if kind is Kind.all else _READ,
                )
            )
            following = page.following
            # Those of which the id says that they are others are not read.
            found = self._listings([key for key in page.keys if kind.has(type_of(key))])
            reached, passed_before = "", passed
            for key in page.keys:
                if key not in found or not kind.has(found[key][0].opportunity.type):
                    passed += 1
                    continue
                if len(rows) == limit:  # the next page begins after the last row
                    following, passed = reached, passed_before
                    break
                rows.append(session_row(*found[key], self.belongings.ids, self.clock()))
                at = place_of_opportunity(found[key][0].opportunity)
                reached, passed_before = at.place if at else reached, passed
        return Page(rows, following, left_out=passed)

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
        del details["booked"]  # it is not yet
        return {**details, **proposal_row(order, self.belongings.ids), "items": details["items"]}

    def register(
        self, actor: Actor, text: str, *, after: str = "", limit: int = 100, with_cancelled: bool = True
    ) -> Page:
        """Who holds a session: bookings, proposals and leases, strongly consistent. Raises NotFound.

        `with_cancelled`: then the places that were cancelled, with no spaces. They are in no register any more: they
        are found in the list of the Seller's bookings, of which each page reads a part, the newest first.
        """
        listing, _ = self.belongings.session(actor, text)
        limit = _most(limit)
        if after.startswith(_CANCELLED):
            return self._cancelled(actor, listing, after.removeprefix(_CANCELLED), limit)
        page = self._holders(actor, listing, after, limit, with_cancelled)
        if not with_cancelled or page.following is not None:
            return page
        if len(page.rows) >= limit:
            return replace(page, following=_CANCELLED)
        more = self._cancelled(actor, listing, "", limit - len(page.rows))
        return replace(more, rows=page.rows + more.rows, unreadable=page.unreadable + more.unreadable)

    def _cancelled(self, actor: Actor, listing: Listing, after: str, limit: int) -> Page:
        """The cancelled places of bookings that hold none of the session, those booked last first.

        A page may have more rows than `limit`: those of all bookings that were read together.
        """
        opportunity = listing.opportunity
        rows: list[Json] = []
        unreadable, searched = 0, 0
        following: str | None = _place(after)
        while following is not None and len(rows) < limit and searched < _SEARCHED:
            page = self._patiently(
                lambda: self._store.listed_orders(
                    OrderList.bookings,
                    actor.seller_id,
                    until=opportunity.ends_at,
                    after=following or "",  # noqa: B023 - it runs at once
                    limit=_TOGETHER,
                    newest_first=True,
                )
            )
            orders, broken = self._orders(actor, page.keys)
            unreadable += broken
            searched += len(page.keys)
            following = page.following
            for order in orders:
                own = [
                    item for item in order.items if item.opportunity and item.opportunity.id == opportunity.id
                ]
                if not any(item.holds_a_space for item in own):
                    rows += [place_row(order.key, order, item) for item in own]
        if following is None:
            return Page(rows, None, unreadable)
        back_to = datetime.fromisoformat(following.rpartition(".")[0])
        return Page(rows, f"{_CANCELLED}{following}", unreadable, searched_back_to=back_to)

    def _holders(self, actor: Actor, listing: Listing, after: str, limit: int, with_cancelled: bool) -> Page:
        opportunity_id, now = listing.opportunity.id, self.clock()
        holds = self._patiently(lambda: self._store.holds(opportunity_id, after=after, limit=limit + 1))
        keys = list(holds)[:limit]
        orders, unreadable = self._orders(actor, keys)
        known = {order.key: order for order in orders}
        rows = [
            row
            for key in keys
            if not holds[key].has_expired(now)
            for row in holder_rows(key, holds[key], known.get(key), opportunity_id)
            if with_cancelled or row["spaces"]
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
