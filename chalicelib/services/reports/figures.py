"""Figures added up from Orders and sessions: groups and sums, and no reading. All money is Decimal.

Sums by group add up to the sums of the Orders, because both count the same items: those that are not cancelled
(CANCEL-11). The number of groups bounds the memory, not the number of Orders.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from zoneinfo import ZoneInfo

from chalicelib.domain.capacity import Capacity
from chalicelib.domain.lifecycle import OrderItemStatus
from chalicelib.domain.opportunities import Opportunity
from chalicelib.domain.orders import Order, OrderItem
from chalicelib.domain.parties import Json
from chalicelib.domain.pricing import ZERO
from chalicelib.values import dataclass, field


class By(StrEnum):
    """What a report is grouped by."""

    day = "day"  # on which it was booked; of occupancy, on which the session starts
    broker = "broker"  # the booking partner's client id
    activity = "activity"  # by its name in the activity list
    site = "site"  # the place where it is held


# How a place and an activity are called where none is published.
UNKNOWN = "(not stated)"
ONLINE = "(online)"


@dataclass
class Sums:
    """What one group adds up to. `due` and `tax` are of what is not cancelled, `cancelled_due` of what is."""

    orders: int = 0
    booked: int = 0
    cancelled: int = 0
    attended: int = 0
    due: Decimal = ZERO
    tax: Decimal = ZERO
    cancelled_due: Decimal = ZERO

    def add(self, item: OrderItem) -> None:
        price = item.price
        due = price.due if price else ZERO
        self.booked += 1
        self.attended += item.status is OrderItemStatus.AttendeeAttended
        if item.holds_a_space:
            self.due += due
            self.tax += sum((charge.amount for charge in price.taxes), ZERO) if price else ZERO
        else:
            self.cancelled += 1
            self.cancelled_due += due

    def as_row(self) -> Json:
        return {
            "orders": self.orders,
            "places": self.booked - self.cancelled,
            "cancelled": self.cancelled,
            "attended": self.attended,
            "due": self.due,
            "tax": self.tax,
            "cancelled_due": self.cancelled_due,
        }


@dataclass
class Sales:
    """What was booked, by group and currency. An Order with items of several groups counts in each of them."""

    by: Sequence[By]
    zone: ZoneInfo
    groups: dict[tuple[str, ...], Sums] = field(default_factory=dict)
    sites: dict[str, str] = field(default_factory=dict)
    """The name of each site by its identity, as it was last called."""
    totals: dict[str, Sums] = field(default_factory=dict)

    def add(self, order: Order) -> None:
        """Count the items of a booked Order."""
        counted: dict[int, Sums] = {}
        for item in order.items:
            currency = (item.price.currency if item.price else None) or order.totals.currency or ""
            names = tuple(self._group(each, order, item) for each in self.by)
            for sums in (
                self.groups.setdefault((*names, currency), Sums()),
                self.totals.setdefault(currency, Sums()),
            ):
                sums.add(item)
                counted[id(sums)] = sums
        for sums in counted.values():
            sums.orders += 1

    def rows(self) -> list[Json]:
        """The groups in order, each with its sums; then one row for each currency with the total."""
        found = sorted((self._named(key), key) for key in self.groups) if self.by else []
        rows = [self._row(named, self.groups[key]) for named, key in found]
        every = ("all",) + ("",) * (len(self.by) - 1) if self.by else ()
        return rows + [
            self._row((*every, currency), self.totals[currency]) for currency in sorted(self.totals)
        ]

    def _row(self, key: tuple[str, ...], sums: Sums) -> Json:
        *names, currency = key
        named = {each.value: name for each, name in zip(self.by, names, strict=True)}
        return {**named, "currency": currency, **sums.as_row()}

    def _named(self, key: tuple[str, ...]) -> tuple[str, ...]:
        return _named(key, self.by, self.sites)

    def _group(self, by: By, order: Order, item: OrderItem) -> str:
        match by:
            case By.day:
                return day_of(order.placed_at, self.zone)
            case By.broker:
                return order.key.partner_id
            case By.activity:
                return activity_of(item.opportunity) if item.opportunity else UNKNOWN
            case By.site:
                if item.opportunity is None:
                    return UNKNOWN
                identity, name = site_of(item.opportunity)
                self.sites[identity] = name
                return identity


@dataclass
class Places:
    """How many places there are in a group of sessions, and how many of them are taken.

    Sessions without a limit are counted, their places are not.
    """

    sessions: int = 0
    places: int = 0
    taken: int = 0
    reserved: int = 0

    def add(self, capacity: Capacity) -> None:
        self.sessions += 1
        if capacity.is_unlimited:
            return  # there is no share of places without a limit
        self.places += capacity.spaces_total
        self.taken += capacity.spaces_total - capacity.spaces_left - capacity.spaces_leased
        self.reserved += capacity.spaces_leased

    def as_row(self) -> Json:
        share = f"{100 * self.taken / self.places:.1f}" if self.places else ""
        return {
            "places": self.places,
            "taken": self.taken,
            "reserved": self.reserved,
            "percent": share,
        }


@dataclass
class Occupancy:
    """How full sessions are, by group. `reserved` are leases, which may still be booked or end."""

    by: Sequence[By]
    zone: ZoneInfo
    groups: dict[tuple[str, ...], Places] = field(default_factory=dict)
    sites: dict[str, str] = field(default_factory=dict)
    total: Places = field(default_factory=Places)

    def add(self, opportunity: Opportunity, capacity: Capacity) -> None:
        names: dict[By, Callable[[], str]] = {
            By.day: lambda: day_of(opportunity.starts_at, self.zone),
            By.activity: lambda: activity_of(opportunity),
            By.site: lambda: site_of(opportunity)[0],
        }
        if By.site in self.by:
            identity, name = site_of(opportunity)
            self.sites[identity] = name
        key = tuple(names[each]() for each in self.by)
        for places in (self.groups.setdefault(key, Places()), self.total):
            places.add(capacity)

    def rows(self) -> list[Json]:
        """The groups in order, and the total."""
        named = sorted((_named(key, self.by, self.sites), key) for key in self.groups)
        found = [(names, self.groups[key]) for names, key in named] if self.by else []
        every = ("all",) + ("",) * (len(self.by) - 1) if self.by else ()
        return [
            {
                **{each.value: name for each, name in zip(self.by, key, strict=True)},
                "sessions": places.sessions,
                **places.as_row(),
            }
            for key, places in [*found, (every, self.total)]
        ]


def day_of(at: datetime | None, zone: ZoneInfo) -> str:
    """The day in the Seller's time zone."""
    return f"{at.astimezone(zone):%Y-%m-%d}" if at else UNKNOWN


def activity_of(opportunity: Opportunity) -> str:
    """The names of its activities, or of the kind of facility."""
    for term in ("activity", "facilityType"):
        found = opportunity.stated(term)
        concepts = found if isinstance(found, list) else [found]
        names = sorted({_text(each, "prefLabel") for each in concepts} - {""})
        if names:
            return ", ".join(names)
    return UNKNOWN


def site_of(opportunity: Opportunity) -> tuple[str, str]:
    """The identity and the name of the place where it is held; of a part of a place, those of the whole.

    Two sites may have the same name, and a site may be renamed. One without an @id is known by its name.
    """
    place = opportunity.stated("location")
    while isinstance(place, dict) and isinstance(place.get("containedInPlace"), dict):
        place = place["containedInPlace"]
    name = _text(place, "name") or (ONLINE if opportunity.is_online else UNKNOWN)
    return _text(place, "@id") or name, name


def _named(key: tuple[str, ...], by: Sequence[By], sites: Mapping[str, str]) -> tuple[str, ...]:
    """A group with the names of its sites instead of their identities; what follows the names is kept."""
    return tuple(
        sites.get(each, each) if place < len(by) and by[place] is By.site else each
        for place, each in enumerate(key)
    )


def _text(document: object, term: str) -> str:
    value = document.get(term) if isinstance(document, dict) else None
    return value.strip() if isinstance(value, str) else ""
