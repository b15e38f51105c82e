"""Converts a harvest to documents and Sellers for the inventory, with a reason for each item left out.

Reads the whole harvest at once, so that the order of feeds and items does not matter. Does not use
the inventory.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from chalicelib.domain.identifiers import BASE
from chalicelib.domain.limits import MAX_ID_BYTES, MAX_ROW_BYTES
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import Json, Seller, TaxMode, TaxRate, missing_details
from chalicelib.services.inventory import Document
from chalicelib.storage import codec
from chalicelib.wire.documents import levels, objects, types_of
from chalicelib.wire.jsonld import reference
from chalicelib.wire.opportunities import Published
from chalicelib.wire.reading import build_opportunity, parent_in_orders
from chalicelib.wire.sellers import seller_document, seller_in
from chalicelib.wire.unreadable import Cause, Unreadable
from openbooking.importing.candidates import CHILDREN, Candidate, candidates, orphan, with_units
from openbooking.importing.catalogue import is_described, parents_by_id, with_ancestors
from openbooking.importing.defaults import Defaults
from openbooking.importing.harvest import ANCESTOR_TYPES, Harvest

MAX_SPACES = 10**9

# What each answer must show of a Seller (MODEL-01, MODEL-02).
_SELLER_TERMS = ("name", "legalName", "address")
_ADDRESS_TERMS = ("streetAddress", "addressLocality", "addressRegion", "postalCode", "addressCountry")

# What reading a malformed document may raise, such as one with a string where an object is expected.
_WRONG_SHAPE = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class LeftOut:
    """An item that is not imported, and the reason. `id` is its `@id`, or else the id of the item."""

    kind: str
    id: str
    reason: str
    cause: Cause = Cause.other


@dataclass(frozen=True)
class SellerGap:
    """A Seller without some details that answers must show."""

    seller_id: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Terms:
    """What the feeds do not contain: the tax on prices, details of Sellers by their id, and the defaults."""

    tax_rate: TaxRate | None = None
    seller_details: Mapping[str, Json] = field(default_factory=dict)
    own_url: str | None = None
    """The URL of this system, if it is known: ids under it belong to this system."""
    defaults: Defaults = field(default_factory=Defaults)


@dataclass(frozen=True)
class Intake:
    """What is imported, with parents and children separately."""

    parents: tuple[Document, ...]
    children: tuple[Document, ...]
    sellers: tuple[Seller, ...]
    seller_gaps: tuple[SellerGap, ...]
    left_out: tuple[LeftOut, ...]


class _Refused(Unreadable):
    """The item is not imported; the message is the reason."""


def read_harvest(harvest: Harvest, source: str, terms: Terms) -> Intake:
    """Convert all items of the harvest: each is imported, or left out with a reason.

    Raises DefaultsError if the defaults contradict the source.
    """
    return _Reading(source, terms).read(harvest)


class _Reading:
    def __init__(self, source: str, terms: Terms) -> None:
        self._source = source
        self._terms = terms
        self._defaults = terms.defaults.with_sellers(terms.seller_details)
        self._left_out: list[LeftOut] = []
        # Parents by id, with all that they inherit; and the reasons for those that are left out.
        self._parents: dict[str, Json] = {}
        self._lost: dict[str, str] = {}
        self._unread_types: frozenset[str] = frozenset()
        self._tax_modes: dict[str, str] = {}
        self._organizers: dict[str, list[tuple[str, Json]]] = {}
        # What each parent shows in Orders, and each Seller, by the identity of its document: children share them.
        # The documents are kept with them, so that no other can get the same identity.
        self._shown: dict[int, tuple[Json, Json]] = {}
        self._read_sellers: dict[int, tuple[Json, Seller]] = {}

    def read(self, harvest: Harvest) -> Intake:
        self._unread_types = frozenset(failed.kind for failed in harvest.failed)
        found = candidates(harvest, self._defaults, self._refuse)
        ancestors = {each.id: each.document for each in found if each.kind in ANCESTOR_TYPES}
        parents = [
            replace(each, document=with_ancestors(each.document, ancestors)) if ancestors else each
            for each in with_units(
                found, lambda candidate, reason: self._lose(candidate, reason, Cause.parent)
            )
        ]
        self._parents = parents_by_id(candidate.document for candidate in parents)
        children = [candidate for candidate in found if candidate.kind in CHILDREN]
        self._report_schedules(parents, children)
        self._tax_modes = self._agreed_tax_modes([*parents, *children])
        parents_taken = list(self._taken(parents))
        children_taken = list(self._taken(children))
        sellers, gaps = self._sellers()
        return Intake(
            tuple(parents_taken),
            tuple(children_taken),
            sellers,
            gaps,
            tuple(self._left_out),
        )

    def _refuse(self, kind: str, item_id: str, reason: str, cause: Cause = Cause.other) -> None:
        self._left_out.append(LeftOut(kind, item_id, reason[:300], cause))

    def _report_schedules(self, parents: Iterable[Candidate], children: Iterable[Candidate]) -> None:
        """Series that publish a schedule, and no session: without an `@id` of each session nothing can be booked."""
        named: set[str | None] = set()
        for child in children:
            term = OpportunityType(child.kind).traits.parent_term
            named.add(reference(child.document.get(term)) if term else None)
        for parent in parents:
            if parent.id in named:
                continue
            for schedule in objects(parent.document.get("eventSchedule")):
                kind = " ".join(types_of(schedule)) or "Schedule"
                reason = "it is a schedule, and not sessions that each have an @id"
                self._refuse(kind, f"in {parent.id}", reason, Cause.schedule)

    # --- reading ---------------------------------------------------------------------------

    def _taken(self, found: Iterable[Candidate]) -> Iterator[Document]:
        for candidate in found:
            try:
                published = self._published(candidate)
            except Unreadable as refused:
                self._lose(candidate, str(refused), refused.cause)
            except _WRONG_SHAPE:
                reason = "a property does not have the structure that the specification requires"
                self._lose(candidate, reason, Cause.shape)
            else:
                yield Document(published, self._source, _content(published))

    def _lose(self, candidate: Candidate, reason: str, cause: Cause) -> None:
        self._refuse(candidate.kind, candidate.id, reason, cause)
        self._lost[candidate.id] = reason
        for unit in objects(candidate.document.get("individualFacilityUse")):
            self._lost.setdefault(str(reference(unit)), reason)

    def _published(self, candidate: Candidate) -> Published:
        defaults, kind = self._defaults, OpportunityType(candidate.kind)
        parent = self._parent_of(candidate)
        sources = list(levels(candidate.document, parent))
        document = defaults.completed_opportunity(
            candidate.document, kind, has_offers=any("offers" in source for source in sources)
        )
        published = build_opportunity(
            document,
            parent,
            attendee_details_required=defaults.attendee_details,
            intake_form=defaults.intake_form,
            is_embedded=candidate.is_embedded,
            shown_parent=self._shown_parent(parent) if parent else None,
        )
        published = self._with_details(published, sources)
        size = len(codec.to_json(published.opportunity).encode())
        if size > MAX_ROW_BYTES:
            raise _Refused(
                f"it needs more than the {MAX_ROW_BYTES // 1000} KB that can be stored for one item",
                Cause.size,
            )
        if (published.spaces or 0) > MAX_SPACES:
            raise _Refused(f"it states {published.spaces} spaces", Cause.spaces)
        organizer = seller_document(sources)
        seller_id = published.opportunity.seller_id
        own_url = self._terms.own_url
        is_ours = seller_id.startswith(BASE) or (own_url and seller_id.startswith(f"{own_url}/"))
        if is_ours or len(seller_id.encode()) > MAX_ID_BYTES:
            raise _Refused("the @id of its organizer or provider cannot be used here", Cause.seller_id)
        if self._seller_in(organizer).tax_mode != self._tax_modes[seller_id]:  # TAX-04
            raise _Refused(
                "its organizer or provider states another taxMode than with most of its items", Cause.tax_mode
            )
        self._organizers.setdefault(seller_id, []).append((candidate.id, organizer))
        return published

    def _shown_parent(self, parent: Json) -> Json:
        if self._parents.get(parent.get("@id", "")) is not parent:
            return parent_in_orders(parent)  # embedded in one child
        if id(parent) not in self._shown:
            self._shown[id(parent)] = parent, parent_in_orders(parent)
        return self._shown[id(parent)][1]

    def _seller_in(self, organizer: Json) -> Seller:
        if id(organizer) not in self._read_sellers:
            self._read_sellers[id(organizer)] = organizer, seller_in(organizer)
        return self._read_sellers[id(organizer)][1]

    def _with_details(self, published: Published, sources: list[Json]) -> Published:
        """The Opportunity with the tax of its Offers, and only the details of attendees that an Offer requires."""
        opportunity = published.opportunity
        required = {requirement for offer in opportunity.offers for requirement in offer.requirements}
        details = opportunity.attendee_details_required if "OpenBookingAttendeeDetails" in required else ()
        form = opportunity.intake_form if "OpenBookingIntakeForm" in required else ()
        offers = opportunity.offers
        if self._defaults.tax_rules:
            categories = [category for source in sources for category in _categories(source)]
            offers = tuple(
                replace(offer, tax_rate=self._defaults.tax_for(offer.document, categories))
                for offer in offers
            )
        opportunity = replace(opportunity, offers=offers, attendee_details_required=details, intake_form=form)
        return replace(published, opportunity=opportunity)

    def _parent_of(self, candidate: Candidate) -> Json | None:
        """The parent from its feed, or else as embedded in the child. Raises _Refused if there is none."""
        traits = OpportunityType(candidate.kind).traits
        term = traits.parent_term
        value = candidate.document.get(term) if term else None
        if term is None or (value is None and traits.may_stand_alone):
            return None
        parent_id = reference(value)
        if parent_id in self._lost:
            raise _Refused(f"its {term} is left out: {self._lost[parent_id]}", Cause.parent)
        if parent_id in self._parents:
            return self._parents[parent_id]
        if not isinstance(value, dict) or not is_described(value):
            unread = self._unread_types.intersection(_parent_types(traits.parents))
            if unread:
                raise _Refused(f"the feed of {' and '.join(sorted(unread))} could not be read", Cause.parent)
            raise _Refused(orphan(term, parent_id), Cause.parent)
        facility_use = value.get("aggregateFacilityUse")
        if facility_use is not None and not (isinstance(facility_use, dict) and len(facility_use) > 2):
            facility_id = reference(facility_use)
            if facility_id not in self._parents or facility_id in self._lost:
                raise _Refused(orphan("aggregateFacilityUse", facility_id), Cause.parent)
        return with_ancestors(value, self._parents)

    # --- Sellers ---------------------------------------------------------------------------

    def _agreed_tax_modes(self, found: Iterable[Candidate]) -> dict[str, str]:
        """The tax mode of each Seller (TAX-04 allows only one): the mode that most of its items have."""
        votes: dict[str, Counter[str]] = {}
        for candidate in found:
            try:
                parent = self._parent_of(candidate)
                seller = self._seller_in(seller_document(levels(candidate.document, parent)))
            except (Unreadable, *_WRONG_SHAPE):
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
            own = {
                term: value
                for term, value in self._defaults.sellers.get(seller_id, {}).items()
                if term not in ("taxMode", "isOpenBookingAllowed")
            }
            document = {**organizer, **own}
            missing = _missing(document)
            if "name" in document:
                # Answers must show it; for most operators it is the same as the name.
                document.setdefault("legalName", document["name"])
            rate = self._defaults.tax_rate or self._terms.tax_rate
            seller = seller_in(document, rate)
            sellers.append(replace(seller, access_methods=self._defaults.access_methods))
            if missing:
                gaps.append(SellerGap(seller_id, missing))
        return tuple(sellers), tuple(gaps)


def _content(published: Published) -> tuple[Json | None, ...]:
    """What the inventory stores, to decide whether a document has changed.

    It is less than what was read: a parent's other children, or the telephone number of its Seller, do
    not change this child, and a new revision would refuse Brokers that are booking it now.
    """
    kept = json.loads(codec.to_json(published.opportunity))
    return kept.pop("document"), kept.pop("parent"), kept


def _parent_types(kinds: Iterable[OpportunityType]) -> Iterator[str]:
    for kind in kinds:
        yield kind.value
        if kind.traits.units:
            yield kind.traits.units


def _categories(document: Json) -> Iterator[str]:
    for term in ("category", "activity", "facilityType"):
        for each in document.get(term) or ():
            name = each.get("prefLabel") if isinstance(each, dict) else each
            if isinstance(name, str):
                yield name


def _missing(seller: Json) -> tuple[str, ...]:
    """The details that answers must show of a Seller and that are missing."""
    address = seller.get("address")
    missing = [term for term in _SELLER_TERMS if not seller.get(term)]
    if "address" not in missing and "address" in missing_details(seller):
        missing.append("address")
    elif isinstance(address, dict):
        missing += [f"address.{term}" for term in _ADDRESS_TERMS if not address.get(term)]
    return tuple(missing)
