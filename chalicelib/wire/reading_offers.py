"""Offers as published: which of them apply to an Opportunity, and why some of them cannot be booked.

What is not stated in a known form is a barrier; only what the specification defines a default for may be absent.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import isodate

from chalicelib.domain.bookability import Barrier, Reason, UnusableOffer, barrier
from chalicelib.domain.currencies import DECIMAL_PLACES, rounded
from chalicelib.domain.limits import MAX_ID_BYTES
from chalicelib.domain.offers import FlowRequirement, Offer, Prepayment
from chalicelib.domain.parties import Json
from chalicelib.values import dataclass
from chalicelib.wire.documents import member, objects, types_of
from chalicelib.wire.jsonld import number, read_amount
from chalicelib.wire.links import is_identifier

# No place costs more; a price above it is a mistake of the source.
MAX_PRICE = 1_000_000

# An Event or Slot inherits the Offers of these only; those of a HeadlineEvent, a course or an EventSeries are for
# the whole (Modelling Opportunity Data, "Regular sessions" and "Headline events").
_OFFERS_INHERITED_FROM = frozenset({"SessionSeries", "FacilityUse", "IndividualFacilityUse"})

_AVAILABLE = frozenset({"InStock", "LimitedAvailability", "OnlineOnly", "Available"})
_NOT_AVAILABLE = frozenset(
    {"SoldOut", "OutOfStock", "Discontinued", "InStoreOnly", "PreSale", "PreOrder", "Reserved", "BackOrder"}
)
# Terms with a duration before the start, and those durations that have one length whatever the start is.
_DURATIONS = ("validFromBeforeStartDate", "validThroughBeforeStartDate", "latestCancellationBeforeStartDate")
_FIXED_DURATION = re.compile(r"-?P([0-9]+W)?([0-9]+D)?(T.*)?")
# What children state beside their Offers is the same for most of them.
_WAYS_IN_MEMORY = 16
_RESTRICTIONS = ("eligibleEntitlementType", "eligibleCustomerType", "beta:eligibleCustomerType")


@dataclass(frozen=True)
class OffersRead:
    """The Offers that apply to an Opportunity, and those that lack what an Offer needs."""

    offers: tuple[Offer, ...]
    unusable: tuple[UnusableOffer, ...]


@dataclass(frozen=True)
class Surroundings:
    """What the reading of an Offer needs to know of its Opportunity.

    `form` and `details`: whether an intake form and the required details of attendees are defined. `allowed` is the
    `isOpenBookingAllowed` of its Seller, as it is stated.
    """

    allowed: Any = None
    starts_at: datetime | None = None
    requirements: tuple[Any, ...] = ()
    """Flow requirements that the Opportunity or its parents state instead of the Offer."""
    opens: tuple[Any, ...] = ()
    """`beta:offerValidityPeriod` of the Opportunity and its parents."""
    form: bool = False
    details: bool = False


def read_offers(levels: Sequence[Json], around: Surroundings, *, nearest_only: bool) -> OffersRead:
    """The Offers that apply: its own, then inherited ones that it does not replace (BOOKABLE-02).

    An Offer replaces an inherited one with the same `@id` or `identifier`, or the same name if one of them has no
    `@id`; one without any of these replaces all. Offers of one level never replace each other. `nearest_only`: the nearest level with any Offers replaces
    all others, as for a Slot.
    """
    offers: list[Offer] = []
    unusable: list[UnusableOffer] = []
    nearer: list[_Named] = []
    ids: set[str] = set()
    for position, level in enumerate(levels):
        listed = _listed(level)
        if not listed or (position and not _inherits_from(level)):
            continue
        here: list[_Named] = []
        for document, has_id in _identified(listed, str(level.get("@id"))):
            if not isinstance(document, dict):
                unusable.append(UnusableOffer("", barrier(Reason.shape, document)))
                continue
            named = _Named(str(document.get("@id")), _identifier(document), _name(document), has_id)
            if named.id in ids or any(named.is_replaced_by(other) for other in nearer):
                continue
            here.append(named)
            ids.add(named.id)
            found = _read_offer(document, around)
            if isinstance(found, Offer):
                offers.append(found)
            else:
                unusable.append(UnusableOffer(named.id, found))
        nearer += here
        # It is not known which inherited Offers one without any name would replace.
        if nearest_only or len(objects(listed)) < len(listed) or any(each.is_nameless for each in here):
            break
    return OffersRead(tuple(offers), tuple(unusable))


class InheritedOffers:
    """The Offers of a parent and its own parents: read once for all children that state none.

    They differ between children only by what is around them.
    """

    def __init__(self, levels: Sequence[Json]) -> None:
        self._levels = ({}, *levels)  # no child
        self._known: dict[str, OffersRead] = {}
        offers = [offer for level in levels for offer in objects(level.get("offers"))]
        self._is_fixed = all(
            _is_fixed(offer[term]) for offer in offers for term in _DURATIONS if term in offer
        )

    def read(self, around: Surroundings, *, nearest_only: bool) -> OffersRead:
        """`read_offers` for a child without own Offers."""
        if not self._is_fixed or not all(map(_is_fixed, around.opens)):
            return read_offers(self._levels, around, nearest_only=nearest_only)
        key = f"{nearest_only} {around.allowed!r} {around.requirements!r} {around.opens!r} {around.form} {around.details}"
        if key not in self._known:
            if len(self._known) == _WAYS_IN_MEMORY:
                self._known.clear()
            self._known[key] = read_offers(self._levels, around, nearest_only=nearest_only)
        return self._known[key]


def _is_fixed(duration: Any) -> bool:
    """Whether a duration has the same length before every start, unlike months and years."""
    return isinstance(duration, str) and _FIXED_DURATION.fullmatch(duration) is not None


def with_ids(level: Json) -> Json:
    """The document as it is published here: each Offer with an `@id`, and with the price that is charged.

    The id of an Offer without one is made of the owner's id and of the Offer's identifier, name or content, so that
    it is the same in each import. Open data and an `acceptedOffer` must not differ in price (MEDIA-10). What is no
    object is left out: readers of open data would not expect it.
    """
    listed = _listed(level)
    units = level.get("individualFacilityUse")
    changed: Json = {}
    if listed:
        identified = _identified(listed, str(level.get("@id")))
        changed["offers"] = [each for each, _ in identified if isinstance(each, dict)]
    if isinstance(units, list):
        changed["individualFacilityUse"] = [
            with_ids(unit) if isinstance(unit, dict) else unit for unit in units
        ]
    return {**level, **changed} if changed else level


def duration(value: Any, before: datetime | None) -> timedelta | None:
    """A duration; months and years are those before the instant. Raises ValueError."""
    try:
        found = isodate.parse_duration(value, as_timedelta_if_possible=True)
        if isinstance(found, timedelta):
            return found
        fixed: timedelta | None = found.totimedelta(end=before) if before else None
    except (TypeError, ValueError, OverflowError, AttributeError, isodate.ISO8601Error):
        raise ValueError("it is not a duration") from None
    return fixed


def instant(value: Any) -> datetime:
    """A date and time with its zone as an instant in UTC. Raises ValueError, with what is wrong."""
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("is not a date and time") from None
    raise ValueError("has no time zone")


def availability(value: Any) -> Barrier | None:
    """What a stated availability prevents; nothing where none is stated."""
    name = member(value)
    if value is None or name in _AVAILABLE:
        return None
    return barrier(Reason.not_available if name in _NOT_AVAILABLE else Reason.availability_unknown, value)


def _listed(level: Json) -> list[Any]:
    found = level.get("offers")
    return found if isinstance(found, list) else []


def _inherits_from(level: Json) -> bool:
    return bool(_OFFERS_INHERITED_FROM.intersection(types_of(level)))


@dataclass(frozen=True)
class _Named:
    """The names of an Offer, by which an Offer nearer to the Opportunity replaces it."""

    id: str
    identifier: str | None
    name: str | None
    has_id: bool
    """Whether the source states the id, and it was not made here."""

    @property
    def is_nameless(self) -> bool:
        return not self.has_id and self.identifier is None and self.name is None

    def is_replaced_by(self, nearer: "_Named") -> bool:
        if self.id == nearer.id or (self.identifier is not None and self.identifier == nearer.identifier):
            return True
        return self.name is not None and self.name == nearer.name and not (self.has_id and nearer.has_id)


def _identified(listed: Sequence[Any], owner: str) -> Iterator[tuple[Any, bool]]:
    """Each Offer with its `@id` and the price that is charged, and whether the source states that id.

    An `@id` that several different Offers of a level share is none of theirs.
    """
    by_id: dict[str, list[Json]] = {}
    for each in objects(listed):
        if (stated := _stated_id(each)) is not None:
            by_id.setdefault(stated, []).append(each)
    ambiguous = {
        stated for stated, of in by_id.items() if len(of) > 1 and any(each != of[0] for each in of[1:])
    }
    keys = [
        _key(each) if isinstance(each, dict) and _stated_id(each) in (None, *ambiguous) else ""
        for each in listed
    ]
    for each, key in zip(listed, keys, strict=True):
        if not key:
            yield _with_rounded_price(each) if isinstance(each, dict) else each, True
            continue
        whole = json.dumps(each, sort_keys=True)
        made = _made_id(owner, key if keys.count(key) == 1 else whole)
        if made in by_id:
            made = _made_id(owner, f"{key} {whole}")
        yield _with_rounded_price({**each, "@id": made}), False


def _stated_id(offer: Json) -> str | None:
    found = offer.get("@id")
    try:
        return found if isinstance(found, str) and is_identifier(found) else None
    except UnicodeEncodeError:
        return None


def _identifier(offer: Json) -> str | None:
    found = offer.get("identifier")
    return found if found is None or isinstance(found, str) else json.dumps(found, sort_keys=True)


def _name(offer: Json) -> str | None:
    found = offer.get("name")
    return found.casefold() if isinstance(found, str) else None


def _key(offer: Json) -> str:
    for term in ("identifier", "name"):
        if (found := offer.get(term)) is not None:
            return f"{term} {json.dumps(found, sort_keys=True)}"
    return "content " + json.dumps(offer, sort_keys=True)


def _made_id(owner: str, key: str) -> str:
    return f"{owner}#/offers/{hashlib.sha256(key.encode(errors='replace')).hexdigest()[:16]}"


def _read_offer(document: Json, around: Surroundings) -> Offer | Barrier:
    """The Offer, with what prevents it from being booked; or only that, if it lacks what an Offer needs."""
    if types_of(document) != ("Offer",):
        return barrier(Reason.not_an_offer, " ".join(types_of(document)) or None)
    if _stated_id(document) is None or len(document["@id"].encode()) > MAX_ID_BYTES:
        return barrier(Reason.no_id, document.get("@id"))
    currency = document.get("priceCurrency")
    price = _price(document)
    if not isinstance(price, Decimal):
        return price
    barriers: list[Barrier] = []
    barriers += _not_sold_here(document, around.allowed)
    prepayment = _prepayment(document, barriers)
    requirements = _requirements(document, around, barriers)
    opens, closes, opens_at, closes_at = _windows(document, around, barriers)
    refunded, until = _cancellation(document, around, barriers)
    if found := availability(document.get("availability")):
        barriers.append(found)
    barriers += [barrier(Reason.restricted, term) for term in _RESTRICTIONS if document.get(term)]
    return Offer(
        id=document["@id"],
        price=price,
        currency=currency,
        prepayment=prepayment,
        # An earlier release reads this field only.
        bookable_in_advance=not barriers,
        opens_before=opens,
        closes_before=closes,
        opens_at=opens_at,
        closes_at=closes_at,
        cancellable_until_before=until,
        allows_cancellation=refunded,
        requirements=requirements,
        barriers=tuple(dict.fromkeys(barriers)),
        document=document,
    )


def _not_sold_here(document: Json, allowed: Any) -> Iterator[Barrier]:
    """BOOKABLE-03, BOOKABLE-04, T2, T5."""
    channels = document.get("availableChannel")
    if allowed is False:
        yield barrier(Reason.seller_forbids)
    elif allowed is not None and allowed is not True:
        yield barrier(Reason.seller_unclear, allowed)
    if channels is not None:
        names = {member(each) for each in channels} if isinstance(channels, list) else set()
        if "OpenBookingPrepayment" not in names:
            unknown = not names or "" in names
            yield barrier(Reason.channel_unknown, channels) if unknown else barrier(Reason.channel)
    elif allowed is None:
        yield barrier(Reason.seller_silent)
    for term in ("openBookingInAdvance", "advanceBooking"):  # T2: both names are read
        if (stated := document.get(term)) is None:
            continue
        if member(stated) == "Unavailable":
            yield barrier(Reason.not_in_advance)
        elif member(stated) not in ("Required", "Optional"):
            yield barrier(Reason.in_advance_unknown, stated)


def _prepayment(document: Json, barriers: list[Barrier]) -> Prepayment | None:
    stated = [document[term] for term in ("openBookingPrepayment", "prepayment") if term in document]
    if not stated:
        return None
    known = next((each for each in Prepayment if each == member(stated[0])), None)
    if known is None or any(member(each) != known for each in stated):
        barriers.append(barrier(Reason.prepayment_unknown, stated[0] if known is None else stated))
    return known


def _requirements(
    document: Json, around: Surroundings, barriers: list[Barrier]
) -> tuple[FlowRequirement, ...]:
    stated = document.get("openBookingFlowRequirement")
    listed = [*(stated if isinstance(stated, list) else [] if stated is None else [stated])]
    listed += around.requirements
    known = [member(each) for each in listed]
    for name, each in zip(known, listed, strict=True):
        if name not in FlowRequirement.__members__:
            barriers.append(barrier(Reason.requirement_unknown, each))
    found = tuple(each for each in FlowRequirement if each in known)
    if FlowRequirement.OpenBookingIntakeForm in found and not around.form:
        barriers.append(barrier(Reason.form_missing))
    if FlowRequirement.OpenBookingAttendeeDetails in found and not around.details:
        barriers.append(barrier(Reason.details_missing))
    return found


def _windows(
    document: Json, around: Surroundings, barriers: list[Barrier]
) -> tuple[timedelta | None, timedelta | None, datetime | None, datetime | None]:
    """When it is sold: durations before the start, and instants (BOOKABLE-05)."""

    def relative(value: Any, term: str) -> timedelta | None:
        try:
            return None if value is None else duration(value, around.starts_at)
        except ValueError:
            barriers.append(barrier(Reason.window_unreadable, f"{term} {value!r}"))
            return None

    def absolute(term: str) -> datetime | None:
        value = document.get(term)
        try:
            return None if value is None else instant(value)
        except ValueError as error:
            barriers.append(barrier(Reason.window_unreadable, f"{term} {value!r} {error}"))
            return None

    opens = [relative(document.get("validFromBeforeStartDate"), "validFromBeforeStartDate")]
    opens += [relative(value, "beta:offerValidityPeriod") for value in around.opens]
    known = [each for each in opens if each is not None]
    return (
        min(known) if known else None,
        relative(document.get("validThroughBeforeStartDate"), "validThroughBeforeStartDate"),
        absolute("validFrom"),
        absolute("validThrough"),
    )


def _cancellation(
    document: Json, around: Surroundings, barriers: list[Barrier]
) -> tuple[bool, timedelta | None]:
    """Whether a Customer who cancels is refunded, and until when (CANCEL-06)."""
    allowed = document.get("allowCustomerCancellationFullRefund")
    if allowed is not None and not isinstance(allowed, bool):
        stated = f"allowCustomerCancellationFullRefund {allowed!r}"
        barriers.append(barrier(Reason.cancellation_unreadable, stated))
    value = document.get("latestCancellationBeforeStartDate")
    try:
        until = None if value is None else duration(value, around.starts_at)
    except ValueError:
        barriers.append(
            barrier(Reason.cancellation_unreadable, f"latestCancellationBeforeStartDate {value!r}")
        )
        return False, None
    return allowed is True, until


def _price(document: Json) -> Decimal | Barrier:
    """The price, rounded once and for all; it is what is charged."""
    price, currency = document.get("price"), document.get("priceCurrency")
    amount = read_amount(price)
    if amount is None:
        stated = "it has none" if price is None else f"{str(price)[:40]!r} is not an amount"
        return barrier(Reason.price, stated)
    if not 0 <= amount <= MAX_PRICE:
        return barrier(Reason.price, f"{str(price)[:40]} is not between 0 and {MAX_PRICE:,}")
    if currency is None and amount:
        return barrier(Reason.price, "it has no priceCurrency")
    if currency is not None and (not isinstance(currency, str) or currency not in DECIMAL_PLACES):
        return barrier(Reason.price, f"the priceCurrency {str(currency)[:40]!r} is not one of ISO 4217")
    return rounded(amount, currency)


def _with_rounded_price(offer: Json) -> Json:
    price = _price(offer)
    if not isinstance(price, Decimal) or read_amount(offer["price"]) == price:
        return offer
    return {**offer, "price": number(price)}
