"""The file of defaults: TOML, checked before anything is read. Names are those of the specification."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.domain.currencies import DECIMAL_PLACES
from chalicelib.domain.parties import AccessMethod, Json, TaxRate
from chalicelib.domain.source_counts import CounterMode
from chalicelib.importing.catalogue import vat
from chalicelib.importing.defaults import Defaults, DefaultsError, TaxRule
from chalicelib.wire.documents import member, objects, read_document
from chalicelib.wire.links import is_identifier
from chalicelib.wire.reading_offers import duration

_SELLER_TEXTS = ("name", "legalName", "email", "telephone", "url", "vatID")
_FOR_ALL = "for_items_without_seller"
_ADDRESS = ("streetAddress", "addressLocality", "addressRegion", "postalCode", "addressCountry")
_STATUSES = ("Required", "Optional", "Unavailable")
_ATTENDEE_TERMS = ("givenName", "familyName", "email", "telephone", "gender", "dateOfBirth", "address")
_FIELDS = {
    "short": "ShortAnswerFormFieldSpecification",
    "paragraph": "ParagraphFormFieldSpecification",
    "dropdown": "DropdownFormFieldSpecification",
    "boolean": "BooleanFormFieldSpecification",
}


_TABLES = ("seller", "sellers", "offer", "opportunity", "vat", "intake_form")
_SINGLE_VALUES = (
    *("vat_rate", "attendee_details", "access_methods", "time_zone", "max_leaving", "counter", "known_after"),
)

# What the parser of TOML says of mistakes that are common, and what to do about them.
_TWICE = re.compile(r"Cannot (?:declare|overwrite) \((.*?),?\) twice")


def _in_words(error: ValueError) -> str:
    text = str(error)
    if found := _TWICE.search(text):
        table = ".".join(part.strip(" '\"") for part in found[1].split(","))
        return f"{text.replace(found[0], f'[{table}] is there twice')}: put all its lines below the first one"
    return f"{text}: a text needs quotes" if text.startswith("Invalid value") else text


def read_defaults(path: Path) -> Defaults:
    """The defaults in a TOML file. Raises DefaultsError, which names what is wrong in it."""
    try:
        text = path.read_text(encoding="utf-8")
        tomllib.loads(text)
    except OSError as error:
        raise DefaultsError(f"The defaults cannot be read from {path}: {error.strerror}.") from None
    except ValueError as error:
        raise DefaultsError(f"The defaults cannot be read from {path}: {_in_words(error)}.") from None
    try:
        return read_text(text)
    except DefaultsError as error:
        raise DefaultsError(f"{path}: {error}") from None


def read_text(text: str) -> Defaults:
    """The same for the text of such a file."""
    try:
        raw = tomllib.loads(text)
    except ValueError as error:
        raise DefaultsError(f"The defaults are not TOML: {_in_words(error)}.") from None
    return _File(raw).read()


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
        _only(self._raw, "the file", (*_TABLES, *_SINGLE_VALUES))
        sellers = _table(self._raw, "sellers")
        for seller_id in sellers:
            if not is_identifier(seller_id):
                raise DefaultsError(f"[sellers] needs the URL of a Seller as its key, not {seller_id!r}.")
        opportunity = _table(self._raw, "opportunity")
        _only(opportunity, "[opportunity]", ("spaces", "offers"))
        rate = self._raw.get("vat_rate")
        return Defaults(
            seller=_any_seller(_table(self._raw, "seller")),
            seller_for_all=_flag(_table(self._raw, "seller"), _FOR_ALL, "[seller]"),
            sellers={
                seller_id: _seller(_table(sellers, seller_id), f'[sellers."{seller_id}"]', ("shared",))
                for seller_id in sellers
            },
            shared_sellers=frozenset(
                seller_id for seller_id, each in sellers.items() if _flag(each, "shared", f"[{seller_id}]")
            ),
            access_methods=tuple(self._access_methods()),
            offer=_offer(_table(self._raw, "offer"), "[offer]"),
            offers=tuple(_new_offers(opportunity.get("offers", []), _table(self._raw, "offer"))),
            spaces=_spaces(opportunity.get("spaces")),
            maximum_is_free=opportunity.get("spaces") == "maximum",
            no_limit=opportunity.get("spaces") == "unlimited",
            tax_rate=None if rate is None else vat(read_rate(rate)),
            tax_rules=tuple(_tax_rules(self._raw.get("vat", []))),
            attendee_details=tuple(self._attendee_details()),
            intake_form=tuple(_form(self._raw.get("intake_form", []))),
            time_zone=_time_zone(self._raw.get("time_zone")),
            max_leaving=_share(self._raw.get("max_leaving")),
            counter=self._counter(),
            known_after=self._known_after(),
        )

    def _counter(self) -> CounterMode:
        stated = self._raw.get("counter", CounterMode.ours.value)
        if stated not in CounterMode.__members__:
            raise DefaultsError(f"counter is one of {', '.join(CounterMode)}, not {stated!r}.")
        return CounterMode(stated)

    def _known_after(self) -> timedelta:
        stated = self._raw.get("known_after", "PT0S")
        if "known_after" in self._raw and self._counter() is not CounterMode.source:
            raise DefaultsError('known_after is for counter = "source" only.')
        try:
            found = duration(stated, None)
        except ValueError:
            found = None
        if found is None or not timedelta() <= found <= timedelta(days=7):
            raise DefaultsError(f"known_after must be a duration up to P7D, such as PT10M, not {stated!r}.")
        return found

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
    found = _seller(raw, "[seller]", ("id", _FOR_ALL))
    if "id" not in raw:
        if raw.get(_FOR_ALL):
            raise DefaultsError(f"[seller] {_FOR_ALL} needs the id and the name of that Seller.")
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
                duration(raw[term], None)
        except ValueError:
            raise DefaultsError(
                f"{where} {term} must be a duration such as P1D, not {raw[term]!r}."
            ) from None
    _flag(raw, "allowCustomerCancellationFullRefund", where)
    if "priceCurrency" in raw and raw["priceCurrency"] not in DECIMAL_PLACES:
        raise DefaultsError(f"{where} priceCurrency must be a code of ISO 4217 such as GBP.")
    return found


def _new_offers(raw: Any, of_all: Json) -> Iterator[Json]:
    """The Offers for what has none; what `of_all` states need not be repeated in them."""
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
        if price and "priceCurrency" not in {**of_all, **each}:
            raise DefaultsError(f"{where} needs a priceCurrency, its own or in [offer].")
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
    if raw is None or raw in ("maximum", "unlimited"):
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 < raw <= 1_000_000:
        raise DefaultsError('[opportunity] spaces must be a whole number from 1, "maximum" or "unlimited".')
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
    unknown = sorted(set(raw) - set(known))
    if not unknown:
        return
    if where != "the file" and (misplaced := [each for each in unknown if each in _SINGLE_VALUES]):
        raise DefaultsError(
            f"{where} has {', '.join(misplaced)}, which belongs at the top of the file, before the first table."
        )
    from difflib import get_close_matches  # the schedule of imports starts without it

    meant = {name.casefold(): name for name in known}
    close = get_close_matches(unknown[0].casefold(), meant, 1)
    hint = f" Did you mean {meant[close[0]]}?" if close else ""
    raise DefaultsError(f"{where} has the unknown {', '.join(unknown)}; known are {', '.join(known)}.{hint}")


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
