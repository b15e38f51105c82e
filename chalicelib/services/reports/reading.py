"""Reads the Orders and sessions of one Seller for reports: a page at a time, from the lists that it has."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from chalicelib.domain.capacity import Capacity
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderKey
from chalicelib.domain.parties import Json
from chalicelib.services.actors import Actor
from chalicelib.services.errors import InvalidValue
from chalicelib.services.reports.figures import By, Occupancy, Sales
from chalicelib.services.reports.payments import Reconciliation, payment_of
from chalicelib.storage.codec import Undecodable
from chalicelib.storage.errors import StoreBusy, UnreadableRow
from chalicelib.storage.lists import OrderList
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store
from chalicelib.values import dataclass, field

T = TypeVar("T")

_TOGETHER = 500

# Called with what was read and how many of it so far.
Progress = Callable[[str, int], None]


def no_progress(what: str, rows: int) -> None:
    """For callers who do not show it."""


@dataclass(frozen=True)
class Period:
    """The time that a report is about: from `since`, before `until`; None has no bound."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass
class Reports:
    """The reports of one Seller: that of the actor. Every method may raise StillBusy.

    `unreadable` are the keys of the Orders that had to be left out: the figures lack them.
    """

    store: Store
    retry: RetryPolicy
    actor: Actor
    progress: Progress = no_progress
    unreadable: list[str] = field(default_factory=list)

    def sales(self, period: Period, by: Sequence[By], zone: ZoneInfo) -> Sales:
        """What was booked in this time, by the groups."""
        sales = Sales(by, zone)
        for order in self._bookings(period):
            sales.add(order)
        return sales

    def payments(self, period: Period) -> Iterator[Json]:
        """The payments of the Orders that were booked in this time, one row for each Order."""
        for order in self._bookings(period):
            if payment := payment_of(order):
                yield payment.as_row()

    def reconcile(self, period: Period, reconciliation: Reconciliation, broker: str | None) -> Iterator[Json]:
        """The payments of these Orders compared with a statement: of one Broker, or of all."""
        for order in self._bookings(period):
            payment = payment_of(order) if broker in (None, order.key.partner_id) else None
            row = reconciliation.add(payment) if payment else None
            if row:
                yield row
        yield from reconciliation.rest()

    def occupancy(self, period: Period, by: Sequence[By], zone: ZoneInfo) -> Occupancy:
        """How full the sessions are that start in this time, without withdrawn ones. Raises InvalidValue."""
        if By.broker in by:
            raise InvalidValue("Places are not those of a Broker: group by day, activity or site.")
        occupancy = Occupancy(by, zone)
        for opportunity, capacity in self._sessions(period):
            occupancy.add(opportunity, capacity)
        return occupancy

    def _bookings(self, period: Period) -> Iterator[Order]:
        read, after = 0, ""
        while True:
            page = self._patiently(
                lambda: self.store.listed_orders(
                    OrderList.bookings,
                    self.actor.seller_id,
                    since=period.since,
                    until=period.until,
                    after=after,  # noqa: B023 - it runs at once
                    limit=_TOGETHER,
                )
            )
            for order in self._orders(page.keys):
                if self.actor.owns(order.seller_id):
                    yield order
            read += len(page.keys)
            self.progress("bookings", read)
            if page.following is None:
                return
            after = page.following

    def _orders(self, keys: Sequence[OrderKey]) -> list[Order]:
        """The Orders of these keys; a damaged row does not hide the others."""
        try:
            found = self._patiently(lambda: self.store.orders(keys))
        except (Undecodable, UnreadableRow):
            if len(keys) == 1:
                self.unreadable.append(str(keys[0]))
                return []
            middle = len(keys) // 2
            return [*self._orders(keys[:middle]), *self._orders(keys[middle:])]
        orders = (found.get(key) for key in keys)
        return [order for order in orders if isinstance(order, Order)]

    def _sessions(self, period: Period) -> Iterator[tuple[Opportunity, Capacity]]:
        read, after = 0, ""
        while True:
            page = self._patiently(
                lambda: self.store.listed_opportunities(
                    self.actor.seller_id,
                    since=period.since,
                    until=period.until,
                    after=after,  # noqa: B023 - it runs at once
                    limit=_TOGETHER,
                )
            )
            found = self._patiently(lambda: self.store.listings(page.keys))  # noqa: B023
            for listing, capacity in found.values():
                if (
                    capacity is not None
                    and listing.is_open
                    and self.actor.owns(listing.opportunity.seller_id)
                ):
                    yield listing.opportunity, capacity
            read += len(page.keys)
            self.progress("sessions", read)
            if page.following is None:
                return
            after = page.following

    def _patiently(self, read: Callable[[], T]) -> T:
        return self.retry.run(read, on=(StoreBusy,))
