"""Converts a harvest to documents and Sellers for the inventory, with a reason for each item left out.

Reads the whole harvest at once, so that the order of feeds and items does not matter. Does not use
the inventory.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib.domain.identifiers import BASE
from chalicelib.domain.limits import MAX_ID_BYTES, MAX_ROW_BYTES
from chalicelib.domain.opportunity_types import OPPORTUNITY_TYPES, UNIT_TYPES, OpportunityType
from chalicelib.domain.parties import Json, Seller, TaxMode, TaxRate
from chalicelib.services.inventory import Document
from chalicelib.storage import codec
from chalicelib.wire.jsonld import reference, without_empty
from chalicelib.wire.links import is_identifier
from chalicelib.wire.opportunities import (
    Published,
    Unreadable,
    read_opportunity,
    read_seller,
    seller_document,
)
from openbooking.importing.catalogue import parents_by_id
from openbooking.importing.harvest import Feed, Harvest, Item

MAX_SPACES = 10**9

# What each answer must show of a Seller (MODEL-01, MODEL-02).
_SELLER_TERMS = ("name", "legalName", "address")
_ADDRESS_TERMS = ("streetAddress", "addressLocality", "addressRegion", "postalCode", "addressCountry")

# Types without and with a parent.
_PARENTS = frozenset(kind.value for kind, traits in OPPORTUNITY_TYPES.items() if not traits.parents)
_CHILDREN = frozenset(OPPORTUNITY_TYPES) - _PARENTS
# The terms in which parents embed children. Children have separate items; embedded copies would show
# spaces that were taken since.
_EMBEDDED = ("subEvent", "event")

# What reading a malformed document may raise, such as one with a string where an object is expected.
_WRONG_SHAPE = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class LeftOut:
    """An item that is not imported, and the reason. `id` is its `@id`, or else the id of the item."""

    kind: str
    id: str
    reason: str


@dataclass(frozen=True)
class SellerGap:
    """A Seller without some details that answers must show."""

    seller_id: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Terms:
    """What the feeds do not contain: the tax on prices, and details of Sellers by their id."""

    tax_rate: TaxRate | None = None
    seller_details: Mapping[str, Json] = field(default_factory=dict)
    own_url: str | None = None
    """The URL of this system, if it is known: ids under it belong to this system."""


@dataclass(frozen=True)
class Intake:
    """What is imported, with parents and children separately."""

    parents: tuple[Document, ...]
    children: tuple[Document, ...]
    sellers: tuple[Seller, ...]
    seller_gaps: tuple[SellerGap, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class _Candidate:
    kind: str
    id: str
    order: tuple[int, str, str]
    document: Json


class _Refused(Exception):
    """The item is not imported; the message is the reason."""


def read_harvest(harvest: Harvest, source: str, terms: Terms) -> Intake:
    """Convert all items of the harvest: each is imported, or left out with a reason."""
    return _Reading(source, terms).read(harvest)


class _Reading:
    def __init__(self, source: str, terms: Terms) -> None:
        self._source = source
        self._terms = terms
        self._left_out: list[LeftOut] = []
        # Parents by id, as published; and the reasons for those that are left out.
        self._parents: dict[str, Json] = {}
        self._lost: dict[str, str] = {}
        self._tax_modes: dict[str, str] = {}
        self._organizers: dict[str, list[tuple[str, Json]]] = {}

    def read(self, harvest: Harvest) -> Intake:
        candidates = self._without_doubles(self._candidates(harvest))
        self._report_embedded(candidates)
        series_and_facilities = self._with_units(candidates)
        self._parents = parents_by_id(candidate.document for candidate in series_and_facilities)
        children = [candidate for candidate in candidates if candidate.kind in _CHILDREN]
        self._tax_modes = self._agreed_tax_modes([*series_and_facilities, *children])
        parents_taken = list(self._taken(series_and_facilities))
        children_taken = list(self._taken(children))
        sellers, gaps = self._sellers()
        return Intake(tuple(parents_taken), tuple(children_taken), sellers, gaps, tuple(self._left_out))

    def _refuse(self, kind: str, item_id: str, reason: str) -> None:
        self._left_out.append(LeftOut(kind, item_id, reason[:300]))

    # --- items -----------------------------------------------------------------------------

    def _candidates(self, harvest: Harvest) -> Iterator[_Candidate]:
        for feed in harvest.feeds:
            for item_id, reason in feed.malformed.items():
                self._refuse(feed.kind, item_id, reason)
            for item in feed.items.values():
                if item.data is None:
                    continue
                try:
                    yield _candidate(feed, item, item.data)
                except _Refused as refused:
                    opportunity_id = item.data.get("@id")
                    shown = opportunity_id if isinstance(opportunity_id, str) else item.id
                    self._refuse(feed.kind, shown, str(refused))

    def _without_doubles(self, candidates: Iterable[_Candidate]) -> list[_Candidate]:
        """One candidate for each `@id`: the item that was changed last."""
        newest: dict[str, _Candidate] = {}
        for candidate in candidates:
            other = newest.get(candidate.id)
            newest[candidate.id] = max(candidate, other, key=lambda each: each.order) if other else candidate
            if other is not None:
                self._refuse(candidate.kind, candidate.id, "another item has the same @id and is newer")
        return sorted(newest.values(), key=lambda each: each.id)

    def _report_embedded(self, candidates: Iterable[_Candidate]) -> None:
        """Report children that are only embedded: they are not imported, because they are not in a feed."""
        known = {candidate.id for candidate in candidates}
        for candidate in candidates:
            units = _objects(candidate.document.get("individualFacilityUse"))
            for holder in (candidate.document, *units):
                for term in _EMBEDDED:
                    for child in _objects(holder.pop(term, None)):
                        child_id = child.get("@id")
                        if isinstance(child_id, str) and child_id not in known:
                            reason = f"it is embedded in a {candidate.kind} and is not an item of a feed"
                            self._refuse(str(child.get("@type")), child_id, reason)

    def _with_units(self, candidates: Iterable[_Candidate]) -> list[_Candidate]:
        """The parents; each FacilityUse includes the IndividualFacilityUses that are separate items."""
        parents = {each.id: each for each in candidates if each.kind in _PARENTS}
        units: dict[str, dict[str, Json]] = {}
        for candidate in candidates:
            if candidate.kind not in UNIT_TYPES:
                continue
            unit = {term: value for term, value in candidate.document.items() if term != "@context"}
            facility_id = reference(unit.pop("aggregateFacilityUse", None))
            if facility_id in parents and OpportunityType(parents[facility_id].kind).traits.units:
                units.setdefault(facility_id, {})[candidate.id] = unit
            else:
                self._lose(candidate, _orphan("aggregateFacilityUse", facility_id))
        for facility_id, own in units.items():
            document = parents[facility_id].document
            embedded = _objects(document.get("individualFacilityUse"))
            others = [unit for unit in embedded if reference(unit) not in own]
            merged = {**document, "individualFacilityUse": [*others, *own.values()]}
            parents[facility_id] = replace(parents[facility_id], document=merged)
        return list(parents.values())

    # --- reading ---------------------------------------------------------------------------

    def _taken(self, candidates: Iterable[_Candidate]) -> Iterator[Document]:
        for candidate in candidates:
            try:
                published = self._published(candidate)
            except (_Refused, Unreadable) as refused:
                self._lose(candidate, str(refused))
            except _WRONG_SHAPE:
                self._lose(
                    candidate, "a property does not have the structure that the specification requires"
                )
            else:
                yield Document(published, self._source, _content(published))

    def _lose(self, candidate: _Candidate, reason: str) -> None:
        self._refuse(candidate.kind, candidate.id, reason)
        self._lost[candidate.id] = reason
        for unit in _objects(candidate.document.get("individualFacilityUse")):
            self._lost.setdefault(str(reference(unit)), reason)

    def _published(self, candidate: _Candidate) -> Published:
        parent = self._parent_of(candidate)
        published = read_opportunity(candidate.document, parent)
        size = len(codec.to_json(published.opportunity).encode())
        if size > MAX_ROW_BYTES:
            raise _Refused(
                f"it needs more than the {MAX_ROW_BYTES // 1000} KB that can be stored for one item"
            )
        if (published.spaces or 0) > MAX_SPACES:
            raise _Refused(f"it states {published.spaces} spaces")
        organizer = seller_document(candidate.document, parent)
        seller_id = published.opportunity.seller_id
        own_url = self._terms.own_url
        is_ours = seller_id.startswith(BASE) or (own_url and seller_id.startswith(f"{own_url}/"))
        if is_ours or len(seller_id.encode()) > MAX_ID_BYTES:
            raise _Refused("the @id of its organizer or provider cannot be used here")
        if read_seller(organizer).tax_mode != self._tax_modes[seller_id]:  # TAX-04
            raise _Refused("its organizer or provider states another taxMode than with most of its items")
        self._organizers.setdefault(seller_id, []).append((candidate.id, organizer))
        return published

    def _parent_of(self, candidate: _Candidate) -> Json | None:
        """The parent from its feed, or else as embedded in the child. Raises _Refused if there is none."""
        traits = OpportunityType(candidate.kind).traits
        term = traits.parent_term
        value = candidate.document.get(term) if term else None
        if term is None or (value is None and traits.may_stand_alone):
            return None
        parent_id = reference(value)
        if parent_id in self._lost:
            raise _Refused(f"its {term} is left out: {self._lost[parent_id]}")
        if parent_id in self._parents:
            return self._parents[parent_id]
        if not isinstance(value, dict) or not set(value) - {"@id", "@type"}:
            raise _Refused(_orphan(term, parent_id))
        facility_use = value.get("aggregateFacilityUse")
        if facility_use is None or (isinstance(facility_use, dict) and len(facility_use) > 2):
            return value
        facility_id = reference(facility_use)
        if facility_id not in self._parents or facility_id in self._lost:
            raise _Refused(_orphan("aggregateFacilityUse", facility_id))
        return {**value, "aggregateFacilityUse": self._parents[facility_id]}

    # --- Sellers ---------------------------------------------------------------------------

    def _agreed_tax_modes(self, candidates: Iterable[_Candidate]) -> dict[str, str]:
        """The tax mode of each Seller (TAX-04 allows only one): the mode that most of its items have."""
        votes: dict[str, Counter[str]] = {}
        for candidate in candidates:
            try:
                seller = read_seller(seller_document(candidate.document, self._parent_of(candidate)))
            except (_Refused, Unreadable, *_WRONG_SHAPE):
                continue  # reported when the item is read
            votes.setdefault(seller.id, Counter())[seller.tax_mode] += 1
        modes = sorted(TaxMode)
        return {
            seller_id: max(modes, key=lambda mode: (counted[mode], mode))
            for seller_id, counted in votes.items()
        }

    def _sellers(self) -> tuple[tuple[Seller, ...], tuple[SellerGap, ...]]:
        sellers, gaps = [], []
        for seller_id, organizers in sorted(self._organizers.items()):
            # Items of one Seller may show different details. The choice must not depend on the order of
            # the feeds, or the Seller would change with every import.
            _, organizer = min(organizers, key=lambda each: (len(_missing(each[1])), each[0]))
            document = {**organizer, **self._terms.seller_details.get(seller_id, {})}
            missing = _missing(document)
            if "name" in document:
                # Answers must show it; for most operators it is the same as the name.
                document.setdefault("legalName", document["name"])
            sellers.append(read_seller(document, self._terms.tax_rate))
            if missing:
                gaps.append(SellerGap(seller_id, missing))
        return tuple(sellers), tuple(gaps)


def _candidate(feed: Feed, item: Item, data: Json) -> _Candidate:
    """The item as a candidate. Raises _Refused if it is invalid, independent of the other items."""
    opportunity_id, kind = data.get("@id"), data.get("@type")
    if kind != feed.kind:
        raise _Refused(f"it is of the type {kind!r}, in a feed of {feed.kind}")
    if not isinstance(opportunity_id, str) or not opportunity_id:
        raise _Refused("it has no @id")
    try:
        size = len(opportunity_id.encode())
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
        document = without_empty(data)
    except ValueError:  # unpaired surrogates, and numbers such as 1e999
        raise _Refused("it contains text or numbers that cannot be written as JSON") from None
    except RecursionError:
        raise _Refused("it is nested too deeply") from None
    if size > MAX_ID_BYTES:
        raise _Refused(f"its @id has {size} bytes, more than the {MAX_ID_BYTES} that can be stored")
    if opportunity_id.startswith(BASE) or not is_identifier(opportunity_id):
        raise _Refused("its @id is not an http or https URL of its operator")
    modified = item.modified if isinstance(item.modified, int) else 0
    return _Candidate(kind, opportunity_id, (modified, str(item.modified), item.id), document)


def _content(published: Published) -> tuple[Json | None, ...]:
    """What the inventory stores, to decide whether a document has changed.

    It is less than what was read: a parent's other children, or the telephone number of its Seller, do
    not change this child, and a new revision would refuse Brokers that are booking it now.
    """
    kept = json.loads(codec.to_json(published.opportunity))
    return kept.pop("document"), kept.pop("parent"), kept


def _orphan(term: str, parent_id: str | None) -> str:
    return f"its {term} is in none of the feeds" if parent_id else f"it names no {term}"


def _missing(seller: Json) -> tuple[str, ...]:
    """The details that answers must show of a Seller and that are missing."""
    address = seller.get("address")
    missing = [term for term in _SELLER_TERMS if not seller.get(term)]
    if isinstance(address, dict):
        missing += [f"address.{term}" for term in _ADDRESS_TERMS if not address.get(term)]
    return tuple(missing)


def _objects(value: Any) -> list[Json]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]
