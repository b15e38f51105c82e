"""What an operator's data does not say, from a file that belongs to its source.

A default applies where the source is silent. It never overrides the source; where a default for one Seller
contradicts what the source states of it, the import is refused, because one of them is a mistake.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import isodate

from chalicelib.domain.currencies import DECIMAL_PLACES
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import AccessMethod, Json, TaxRate
from chalicelib.wire.documents import member, objects, read_document
from chalicelib.wire.links import is_identifier
from chalicelib.wire.sellers import SELLER_TERMS
from openbooking.importing.catalogue import vat

_SELLER_TEXTS = ("name", "legalName", "email", "telephone", "url", "vatID")
_ADDRESS = ("streetAddress", "addressLocality", "addressRegion", "postalCode", "addressCountry")
_STATUSES = ("Required", "Optional", "Unavailable")
_ATTENDEE_TERMS = ("givenName", "familyName", "email", "telephone", "gender", "dateOfBirth", "address")
_FIELDS = {
    "short": "ShortAnswerFormFieldSpecification",
    "paragraph": "ParagraphFormFieldSpecification",
    "dropdown": "DropdownFormFieldSpecification",
    "boolean": "BooleanFormFieldSpecification",
}
_NESTED = ("superEvent", "facilityUse", "aggregateFacilityUse", "individualFacilityUse", "subEvent", "event")
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
    tax_rate: TaxRate | None = None
    tax_rules: tuple[TaxRule, ...] = ()
    attendee_details: tuple[str, ...] = ()
    intake_form: tuple[Json, ...] = ()
    time_zone: ZoneInfo | None = None
    max_leaving: Decimal | None = None

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
        for term in _NESTED:
            inner = document.get(term)
            if isinstance(inner, dict):
                changed[term] = self.complete(inner)
            elif isinstance(inner, list):
                changed[term] = [self.complete(each) if isinstance(each, dict) else each for each in inner]
        for term in ("startDate", "endDate"):
            if term in document and "T" in str(document[term]):  # a series may state days only
                changed[term] = self._with_zone(document[term])
        return {**document, **changed} if changed else document

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
            changed["offers"] = [dict(each) for each in self.offers]
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


def read_defaults(path: Path) -> Defaults:
    """The defaults in a TOML file. Raises DefaultsError, which names what is wrong in it."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DefaultsError(f"The defaults cannot be read from {path}: {error}.") from None
    try:
        return _File(raw).read()
    except DefaultsError as error:
        raise DefaultsError(f"{path}: {error}") from None


def read_rate(value: Any) -> Decimal:
    """A tax rate such as "0.20". Raises DefaultsError."""
    try:
        rate = Decimal(str(value))
    except InvalidOperation:
        rate = Decimal(-1)
    if not rate.is_finite() or not 0 <= rate < 1:
        raise DefaultsError(f"The rate of VAT must be a fraction, 0.20 for 20 %, not {value}.")
    return rate


class _File:
    """The content of a file of defaults, checked."""

    def __init__(self, raw: Json) -> None:
        self._raw = raw

    def read(self) -> Defaults:
        _only(
            self._raw,
            "the file",
            (
                "seller", "sellers", "offer", "opportunity", "vat", "vat_rate", "attendee_details", "intake_form",
                "access_methods", "time_zone", "max_leaving",
            ),
        )  # fmt: skip
        sellers = _table(self._raw, "sellers")
        for seller_id in sellers:
            if not is_identifier(seller_id):
                raise DefaultsError(f"[sellers] needs the URL of a Seller as its key, not {seller_id!r}.")
        opportunity = _table(self._raw, "opportunity")
        _only(opportunity, "[opportunity]", ("spaces", "offers"))
        rate = self._raw.get("vat_rate")
        return Defaults(
            seller=_any_seller(_table(self._raw, "seller")),
            sellers={
                seller_id: _seller(_table(sellers, seller_id), f'[sellers."{seller_id}"]', ("shared",))
                for seller_id in sellers
            },
            shared_sellers=frozenset(
                seller_id for seller_id, each in sellers.items() if _flag(each, "shared", f"[{seller_id}]")
            ),
            access_methods=tuple(self._access_methods()),
            offer=_offer(_table(self._raw, "offer"), "[offer]"),
            offers=tuple(_new_offers(opportunity.get("offers", []))),
            spaces=_spaces(opportunity.get("spaces")),
            maximum_is_free=opportunity.get("spaces") == "maximum",
            tax_rate=None if rate is None else vat(read_rate(rate)),
            tax_rules=tuple(_tax_rules(self._raw.get("vat", []))),
            attendee_details=tuple(self._attendee_details()),
            intake_form=tuple(_form(self._raw.get("intake_form", []))),
            time_zone=_time_zone(self._raw.get("time_zone")),
            max_leaving=_share(self._raw.get("max_leaving")),
        )

    def _access_methods(self) -> Iterator[AccessMethod]:
        for each in _texts(self._raw, "access_methods"):
            if each not in AccessMethod.__members__:
                raise DefaultsError(f"access_methods are {', '.join(AccessMethod)}, not {each!r}.")
            yield AccessMethod(each)

    def _attendee_details(self) -> Iterator[str]:
        for each in _texts(self._raw, "attendee_details"):
            if each not in _ATTENDEE_TERMS:
                raise DefaultsError(f"attendee_details are {', '.join(_ATTENDEE_TERMS)}, not {each!r}.")
            yield f"https://schema.org/{each}"


def _any_seller(raw: Json) -> Json:
    found = _seller(raw, "[seller]", ("id",))
    if "id" not in raw:
        return found
    if not isinstance(raw["id"], str) or not is_identifier(raw["id"]) or "name" not in found:
        raise DefaultsError("[seller] id must be a URL, and needs the name of the Seller that has no @id.")
    return {"@id": raw["id"], **found}


def _seller(raw: Json, where: str, more: tuple[str, ...] = ()) -> Json:
    _only(raw, where, (*_SELLER_TEXTS, "taxMode", "isOpenBookingAllowed", "address", "termsOfService", *more))
    for term in _SELLER_TEXTS:
        _text(raw, term, where)
    found = {term: value for term, value in raw.items() if term not in more}
    if "taxMode" in raw:
        found["taxMode"] = _choice(raw, "taxMode", ("TaxGross", "TaxNet"), where)
    _flag(raw, "isOpenBookingAllowed", where)
    if "address" in raw:
        address = _table(raw, "address")
        _only(address, f"{where} address", _ADDRESS)
        for term in _ADDRESS:
            _text(address, term, f"{where} address")
        found["address"] = {"@type": "PostalAddress", **address}
    if "termsOfService" in raw:
        found["termsOfService"] = list(_terms(raw["termsOfService"], where))
    completed: Json = read_document(found)
    return completed


def _terms(raw: Any, where: str) -> Iterator[Json]:
    """TERMS-02."""
    for each in _tables(raw, f"{where} termsOfService"):
        _only(
            each,
            f"{where} termsOfService",
            ("type", "name", "url", "requiresExplicitConsent", "dateModified"),
        )
        kind = each.get("type", "Terms")
        if kind not in ("Terms", "PrivacyPolicy", "TermsOfUse"):
            raise DefaultsError(f"{where} termsOfService: the type is Terms, PrivacyPolicy or TermsOfUse.")
        if not each.get("name") or not each.get("url"):
            raise DefaultsError(f"{where} termsOfService need a name and a url.")
        consent = _flag(each, "requiresExplicitConsent", where)
        found: Json = {"@type": kind, "requiresExplicitConsent": consent}
        yield found | {term: str(each[term]) for term in ("name", "url", "dateModified") if term in each}


def _offer(raw: Json, where: str, more: tuple[str, ...] = ()) -> Json:
    durations = (
        "validFromBeforeStartDate",
        "validThroughBeforeStartDate",
        "latestCancellationBeforeStartDate",
    )
    statuses = ("openBookingPrepayment", "openBookingInAdvance")
    terms = (*durations, *statuses, "allowCustomerCancellationFullRefund", "priceCurrency", *more)
    _only(raw, where, terms)
    found = dict(raw)
    for term in statuses:
        if term in raw:
            found[term] = _choice(raw, term, _STATUSES, where)
    for term in durations:
        try:
            if term in raw:
                isodate.parse_duration(raw[term])
        except (TypeError, ValueError, AttributeError):
            raise DefaultsError(
                f"{where} {term} must be a duration such as P1D, not {raw[term]!r}."
            ) from None
    _flag(raw, "allowCustomerCancellationFullRefund", where)
    if "priceCurrency" in raw and raw["priceCurrency"] not in DECIMAL_PLACES:
        raise DefaultsError(f"{where} priceCurrency must be a code of ISO 4217 such as GBP.")
    return found


def _new_offers(raw: Any) -> Iterator[Json]:
    where = "[[opportunity.offers]]"
    for each in _tables(raw, where):
        offer = _offer(each, where, ("name", "price"))
        if not isinstance(each.get("name"), str) or "price" not in each:
            raise DefaultsError(f"{where} needs a name and a price.")
        try:
            price = Decimal(str(each["price"]))
        except InvalidOperation:
            price = Decimal(-1)
        if not price.is_finite() or price < 0 or isinstance(each["price"], bool):
            raise DefaultsError(f"{where} price must be an amount such as 5.50, not {each['price']!r}.")
        if price and "priceCurrency" not in each:
            raise DefaultsError(f"{where} needs a priceCurrency.")
        completed: Json = read_document({"@type": "Offer", **offer, "price": str(price)})
        yield completed


def _tax_rules(raw: Any) -> Iterator[TaxRule]:
    for each in _tables(raw, "[[vat]]"):
        _only(each, "[[vat]]", ("rate", "offers", "categories"))
        offers, categories = frozenset(_texts(each, "offers")), frozenset(_texts(each, "categories"))
        if "rate" not in each or not (offers or categories):
            raise DefaultsError("[[vat]] needs a rate, and offers or categories.")
        rate = read_rate(each["rate"])
        # A rule of 0 % must not fall back to the rate of the Seller.
        yield TaxRule(vat(rate) or TaxRate("VAT at 0%", Decimal(0)), offers, categories)


def _form(raw: Any) -> Iterator[Json]:
    """DETAILS-06."""
    for number, each in enumerate(_tables(raw, "[[intake_form]]"), 1):
        _only(each, "[[intake_form]]", ("id", "type", "name", "description", "required", "options"))
        kind, field_id = each.get("type", "short"), each.get("id")
        if kind not in _FIELDS:
            raise DefaultsError(f"[[intake_form]] {number}: the type is one of {', '.join(_FIELDS)}.")
        if not isinstance(field_id, str) or not is_identifier(field_id) or not each.get("name"):
            raise DefaultsError(f"[[intake_form]] {number} needs an id, which is a URL, and a name.")
        options = _texts(each, "options")
        if (kind == "dropdown") is not bool(options):
            raise DefaultsError(f"[[intake_form]] {number}: a dropdown needs options, and only a dropdown.")
        is_required = _flag(each, "required", "[[intake_form]]")
        if is_required and kind == "boolean":
            raise DefaultsError(f"[[intake_form]] {number}: a boolean field cannot be required.")
        found: Json = {"@type": _FIELDS[kind], "@id": field_id, "name": str(each["name"])}
        if "description" in each:
            found["description"] = str(each["description"])
        if kind != "boolean":
            found["valueRequired"] = is_required
        if options:
            found["valueOption"] = list(options)
        yield found


def _spaces(raw: Any) -> int | None:
    if raw is None or raw == "maximum":
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 < raw <= 1_000_000:
        raise DefaultsError('[opportunity] spaces must be a whole number from 1, or "maximum".')
    return raw


def _time_zone(raw: Any) -> ZoneInfo | None:
    if raw is None:
        return None
    try:
        return ZoneInfo(raw)
    except (KeyError, TypeError, ValueError, OSError):
        raise DefaultsError(f"time_zone must be a name such as Europe/London, not {raw!r}.") from None


def _share(raw: Any) -> Decimal | None:
    return None if raw is None else read_share(raw)


def read_share(raw: Any) -> Decimal:
    """A share such as "0.10". Raises DefaultsError."""
    try:
        share = Decimal(str(raw))
    except InvalidOperation:
        share = Decimal(-1)
    if not share.is_finite() or not 0 <= share <= 1:
        raise DefaultsError(f"max_leaving must be a share from 0 to 1, 0.10 for 10 %, not {raw}.")
    return share


def _only(raw: Json, where: str, known: tuple[str, ...]) -> None:
    if unknown := sorted(set(raw) - set(known)):
        raise DefaultsError(f"{where} has the unknown {', '.join(unknown)}; known are {', '.join(known)}.")


def _table(raw: Json, name: str) -> Json:
    found = raw.get(name, {})
    if not isinstance(found, dict):
        raise DefaultsError(f"{name} must be a table.")
    return found


def _tables(raw: Any, where: str) -> list[Json]:
    if not isinstance(raw, list) or len(objects(raw)) != len(raw):
        raise DefaultsError(f"{where} must be a list of tables.")
    return objects(raw)


def _texts(raw: Json, name: str) -> list[str]:
    found = raw.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) and each for each in found):
        raise DefaultsError(f"{name} must be a list of texts.")
    return found


def _text(raw: Json, term: str, where: str) -> None:
    if term in raw and (not isinstance(raw[term], str) or not raw[term].strip()):
        raise DefaultsError(f"{where} {term} must be a text.")


def _flag(raw: Json, term: str, where: str) -> bool:
    found = raw.get(term, False) if isinstance(raw, dict) else False
    if not isinstance(found, bool):
        raise DefaultsError(f"{where} {term} must be true or false.")
    return found


def _choice(raw: Json, term: str, members: tuple[str, ...], where: str) -> str:
    name = member(raw[term])
    if name not in members:
        raise DefaultsError(f"{where} {term} must be one of {', '.join(members)}, not {raw[term]!r}.")
    return f"https://openactive.io/{name}"
