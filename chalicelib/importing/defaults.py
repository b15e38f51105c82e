"""What an operator's data does not say, from a file that belongs to its source.

A default applies where the source is silent. It never overrides the source; where a default for one Seller
contradicts what the source states of it, the import is refused, because one of them is a mistake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.domain.opportunity_types import OPPORTUNITY_TYPES, OpportunityType
from chalicelib.domain.parties import AccessMethod, Json, TaxRate
from chalicelib.domain.source_counts import CounterMode
from chalicelib.values import dataclass, field, replace
from chalicelib.wire.documents import levels, member, types_of
from chalicelib.wire.jsonld import read_amount
from chalicelib.wire.sellers import SELLER_TERMS

NESTED_TERMS = (
    "superEvent",
    "facilityUse",
    "aggregateFacilityUse",
    "individualFacilityUse",
    "subEvent",
    "event",
)
_OTHER_NAMES = {"openBookingPrepayment": "prepayment", "openBookingInAdvance": "advanceBooking"}


class DefaultsError(Exception):
    """The file of defaults is invalid, or contradicts its source. The message is for people."""


@dataclass(frozen=True)
class TaxRule:
    """A tax rate for some Offers: by their name, identifier or `@id`, or by the category of the activity."""

    rate: TaxRate | None
    offers: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Defaults:
    """The defaults of one source. `sellers` has what applies to one Seller, by its id; `seller` to all of them."""

    seller: Json = field(default_factory=dict)
    seller_for_all: bool = False
    """Whether `seller`, which then has an id and a name, is the Seller of all items that name none."""
    sellers: Mapping[str, Json] = field(default_factory=dict)
    access_methods: tuple[AccessMethod, ...] = ()
    shared_sellers: frozenset[str] = frozenset()
    """Sellers of another source, in whose name this source may sell, too."""
    offer: Json = field(default_factory=dict)
    offers: tuple[Json, ...] = ()
    """The Offers of an Opportunity for which the source publishes none."""
    spaces: int | None = None
    maximum_is_free: bool = False
    """Whether an Opportunity that states only its capacity starts with all of it free."""
    no_limit: bool = False
    """Whether any number of people can book an Opportunity that states no number of spaces."""
    tax_rate: TaxRate | None = None
    tax_rules: tuple[TaxRule, ...] = ()
    attendee_details: tuple[str, ...] = ()
    intake_form: tuple[Json, ...] = ()
    time_zone: ZoneInfo | None = None
    max_leaving: Decimal | None = None
    counter: CounterMode = CounterMode.ours
    known_after: timedelta = timedelta()
    """After which time a source with the counter mode `source` knows a booking of ours."""

    @cached_property
    def _is_empty(self) -> bool:
        return not (self.seller or self.sellers or self.offer or self.time_zone)

    def with_sellers(self, details: Mapping[str, Json]) -> Defaults:
        """The same, with more details of Sellers by their id."""
        if not details:
            return self
        merged = {
            seller_id: {**self.sellers.get(seller_id, {}), **each} for seller_id, each in details.items()
        }
        return replace(self, sellers={**self.sellers, **merged})

    def complete(self, document: Json) -> Json:
        """The document with what its Seller, Offers and times do not state, also inside what it contains.

        Raises DefaultsError if it states something else of a Seller than the defaults for it.
        """
        if self._is_empty:
            return document
        changed: Json = {}
        for term in SELLER_TERMS:
            if term in document:
                changed[term] = self._with_seller(document[term])
        if "offers" in document and isinstance(document["offers"], list):
            changed["offers"] = [self._with_offer(each) for each in document["offers"]]
        for term in NESTED_TERMS:
            inner = document.get(term)
            if isinstance(inner, dict):
                changed[term] = self.complete(inner)
            elif isinstance(inner, list):
                changed[term] = [self.complete(each) if isinstance(each, dict) else each for each in inner]
        for term in ("startDate", "endDate"):
            if term in document and "T" in str(document[term]):  # a series may state days only
                changed[term] = self._with_zone(document[term])
        return {**document, **changed} if changed else document

    def with_seller(self, document: Json) -> Json:
        """The document with the Seller for all, if there is one and neither it nor what it inherits from names a Seller."""
        if not self.seller_for_all:
            return document
        if any(level.get(term) is not None for level in levels(document) for term in SELLER_TERMS):
            return document
        types = set(types_of(document))
        families = (
            traits.family for kind, traits in OPPORTUNITY_TYPES.items() if {kind, traits.units} & types
        )
        term = next((family.seller_term for family in families), SELLER_TERMS[0])
        return {**document, term: {"@type": "Organization", **self.seller}}

    def completed_opportunity(self, document: Json, kind: OpportunityType, *, has_offers: bool) -> Json:
        """The document of an Opportunity with the spaces and Offers that are not stated for it."""
        changed: Json = {}
        family = kind.traits.family
        if kind.is_bookable and family.spaces_term not in document:
            capacity = document.get(family.capacity_term)
            if self.maximum_is_free and capacity is not None:
                changed[family.spaces_term] = capacity
            elif self.spaces is not None:
                changed[family.spaces_term] = self.spaces
        if kind.is_bookable and not has_offers and self.offers:
            changed["offers"] = [self._with_offer(each) for each in self.offers]
        return {**document, **changed} if changed else document

    def tax_for(self, offer: Json, categories: Sequence[str]) -> TaxRate | None:
        """The rate of the first rule for this Offer; None if there is none, and the Seller's rate applies."""
        names = {str(offer[term]) for term in ("@id", "identifier", "name") if term in offer}
        for rule in self.tax_rules:
            if rule.offers & names or rule.categories.intersection(categories):
                return rule.rate
        return None

    def _with_seller(self, value: Any) -> Any:
        if isinstance(value, str) and (self.seller or value in self.sellers):
            value = {"@type": "Organization", "@id": value}
        if not isinstance(value, dict):
            return value
        if "@id" not in value and "@id" in self.seller and value.get("name") != self.seller["name"]:
            raise DefaultsError(
                f"The id in [seller] is that of {self.seller['name']}, but the source also has a seller without an"
                f" @id called {value.get('name')}. Each of them needs an @id at the source."
            )
        own = self.sellers.get(str(value.get("@id")), {})
        for term in ("taxMode", "isOpenBookingAllowed"):
            if term in own and term in value and own[term] != value[term]:
                raise DefaultsError(
                    f"The defaults say that {term} of the seller {value.get('@id')} is"
                    f" {_shown(own[term])}, but the source states {_shown(value[term])}."
                    " Correct the file of defaults, or the source."
                )
        gates = {term: own[term] for term in ("taxMode", "isOpenBookingAllowed") if term in own}
        return {**self.seller, **gates, **value}

    def _with_offer(self, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("@type") != "Offer":
            return value
        zoned = {
            term: self._with_zone(value[term], end_of_day=term == "validThrough")
            for term in ("validFrom", "validThrough")
            if term in value
        }
        silent = {
            term: stated
            for term, stated in self.offer.items()
            if term not in value and _OTHER_NAMES.get(term) not in value
        }
        if read_amount(value.get("price")) == 0:
            silent.pop("openBookingPrepayment", None)  # nothing is due
        return {**value, **silent, **zoned}

    def _with_zone(self, value: Any, *, end_of_day: bool = False) -> Any:
        """A date and time without a zone, with the zone of this source: Brokers must know it, too (RPDE-14).

        A date alone is its beginning, or its end.
        """
        try:
            found = datetime.fromisoformat(value)
            if end_of_day and "T" not in value:
                found += timedelta(days=1)
        except (OverflowError, TypeError, ValueError):
            return value  # for the rules to refuse
        if self.time_zone is None or found.tzinfo is not None:
            return value
        return found.replace(tzinfo=self.time_zone).isoformat()


def _shown(value: Any) -> str:
    return member(value) or str(value).lower()
