"""The items of a harvest as candidates for the inventory: one for each `@id`, parents complete with their units.

Decides what an item is; does not read what it means.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.domain.identifiers import BASE
from chalicelib.domain.limits import MAX_ID_BYTES
from chalicelib.domain.opportunity_types import OPPORTUNITY_TYPES, UNIT_TYPES, OpportunityType
from chalicelib.domain.parties import Json
from chalicelib.wire.documents import objects, read_document, types_of
from chalicelib.wire.jsonld import reference
from chalicelib.wire.links import is_identifier
from chalicelib.wire.unreadable import Cause, Unreadable
from openbooking.importing.defaults import Defaults
from openbooking.importing.harvest import Feed, Harvest, Item

# Types without and with a parent.
PARENTS = frozenset(kind.value for kind, traits in OPPORTUNITY_TYPES.items() if not traits.parents)
CHILDREN = frozenset(kind.value for kind in OPPORTUNITY_TYPES) - PARENTS
# The terms in which parents embed children.
_EMBEDDED = ("subEvent", "event")
_CHILD_OF = {parent.value: kind for kind, traits in OPPORTUNITY_TYPES.items() for parent in traits.parents}
_CHILD_OF |= {
    traits.units: _CHILD_OF[kind.value]
    for kind, traits in OPPORTUNITY_TYPES.items()
    if traits.units and kind.value in _CHILD_OF
}

Lose = Callable[[str, str, str, Cause], None]
"""Called with the type, the id and the reason of what is not imported."""


@dataclass(frozen=True)
class Candidate:
    """A document of the harvest in the form of `read_document`; `order` is that of changes at the source."""

    kind: str
    id: str
    order: tuple[int, str, str]
    document: Json
    is_embedded: bool = False


def candidates(harvest: Harvest, defaults: Defaults, lose: Lose) -> list[Candidate]:
    """All candidates in the order of their ids, with children that are only embedded in their parents.

    `lose` is called for each item that is not a candidate.
    """
    found = _without_doubles(_of_feeds(harvest, defaults, lose), lose)
    embedded = _without_doubles(_embedded(found, lose), lose)
    return sorted(found + embedded, key=lambda each: each.id) if embedded else found


def with_units(found: Iterable[Candidate], lose: Callable[[Candidate, str], None]) -> list[Candidate]:
    """The parents; each FacilityUse includes the IndividualFacilityUses that are separate items."""
    parents = {each.id: each for each in found if each.kind in PARENTS}
    units: dict[str, dict[str, Json]] = {}
    for candidate in found:
        if candidate.kind not in UNIT_TYPES:
            continue
        unit = {term: value for term, value in candidate.document.items() if term != "@context"}
        facility_id = reference(unit.pop("aggregateFacilityUse", None))
        if facility_id in parents and OpportunityType(parents[facility_id].kind).traits.units:
            units.setdefault(facility_id, {})[candidate.id] = unit
        else:
            lose(candidate, orphan("aggregateFacilityUse", facility_id))
    for facility_id, own in units.items():
        document = parents[facility_id].document
        embedded = objects(document.get("individualFacilityUse"))
        others = [unit for unit in embedded if reference(unit) not in own]
        merged = {**document, "individualFacilityUse": [*others, *own.values()]}
        parents[facility_id] = replace(parents[facility_id], document=merged)
    return list(parents.values())


def orphan(term: str, parent_id: str | None) -> str:
    """The reason for a document whose parent is not there."""
    return f"its {term} is in none of the feeds" if parent_id else f"it names no {term}"


def _of_feeds(harvest: Harvest, defaults: Defaults, lose: Lose) -> Iterator[Candidate]:
    for feed in harvest.feeds:
        for item_id, reason in feed.malformed.items():
            lose(feed.kind, item_id, reason, Cause.shape)
        for item in feed.items.values():
            if item.data is None:
                continue
            try:
                yield _candidate(feed, item, item.data, defaults)
            except Unreadable as unreadable:
                found = item.data.get("@id", item.data.get("id"))
                shown = found if isinstance(found, str) else item.id
                lose(feed.kind, shown, str(unreadable), unreadable.cause)


def _candidate(feed: Feed, item: Item, data: Json, defaults: Defaults) -> Candidate:
    """The item as a candidate. Raises Unreadable if it is invalid, independent of the other items."""
    try:
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
        document: Json = read_document(data)
    except ValueError:  # unpaired surrogates, and numbers such as 1e999
        raise Unreadable("it contains text or numbers that cannot be written as JSON", Cause.shape) from None
    except RecursionError:
        raise Unreadable("it is nested too deeply", Cause.shape) from None
    types = types_of(document)
    if feed.kind not in types:
        stated = types[0] if len(types) == 1 else document.get("@type")
        raise Unreadable(f"it is of the type {stated!r}, in a feed of {feed.kind}", Cause.kind)
    document["@type"] = feed.kind
    opportunity_id = document.get("@id")
    check_id(opportunity_id)
    modified = item.modified if isinstance(item.modified, int) else 0
    order = (modified, str(item.modified), item.id)
    return Candidate(feed.kind, str(opportunity_id), order, defaults.complete(document))


def check_id(opportunity_id: Any) -> None:
    """Raises Unreadable for what cannot be the `@id` of a document of another site."""
    if not isinstance(opportunity_id, str) or not opportunity_id:
        raise Unreadable("it has no @id", Cause.id)
    size = len(opportunity_id.encode())
    if size > MAX_ID_BYTES:
        raise Unreadable(
            f"its @id has {size} bytes, more than the {MAX_ID_BYTES} that can be stored", Cause.id
        )
    if opportunity_id.startswith(BASE) or not is_identifier(opportunity_id):
        raise Unreadable("its @id is not an http or https URL of its operator", Cause.id)


def _without_doubles(found: Iterable[Candidate], lose: Lose) -> list[Candidate]:
    """One candidate for each `@id`: the item that was changed last."""
    newest: dict[str, Candidate] = {}
    for candidate in found:
        other = newest.get(candidate.id)
        newest[candidate.id] = max(candidate, other, key=lambda each: each.order) if other else candidate
        if other is not None:
            lose(candidate.kind, candidate.id, "another item has the same @id and is newer", Cause.id)
    return sorted(newest.values(), key=lambda each: each.id)


def _embedded(found: Iterable[Candidate], lose: Lose) -> Iterator[Candidate]:
    """Children that no feed has as items. They are taken out of their parents: a copy there would be out of date."""
    known = {candidate.id for candidate in found}
    for candidate in found:
        own = [(candidate.kind, candidate.document)]
        units = objects(candidate.document.get("individualFacilityUse"))
        for holder_type, holder in [
            *own,
            *((types_of(unit)[0] if types_of(unit) else "", unit) for unit in units),
        ]:
            for term in _EMBEDDED:
                for child in objects(holder.pop(term, None)):
                    if reference(child) in known:
                        continue
                    try:
                        yield _embedded_child(candidate, holder_type, holder, child)
                    except Unreadable as unreadable:
                        shown = reference(child) or f"in {candidate.id}"
                        lose(_shown_type(child), shown, str(unreadable), unreadable.cause)


def _embedded_child(candidate: Candidate, holder_type: str, holder: Json, child: Json) -> Candidate:
    kind = _CHILD_OF.get(holder_type)
    if kind is None or kind.value not in types_of(child):
        raise Unreadable(f"it is embedded in a {holder_type or candidate.kind}, and not imported", Cause.kind)
    check_id(child.get("@id"))
    parent_term = kind.traits.parent_term
    assert parent_term is not None, "a type with a parent names it"
    document = {**child, "@type": kind.value, parent_term: holder.get("@id")}
    return Candidate(kind.value, child["@id"], candidate.order, document, is_embedded=True)


def _shown_type(document: Json) -> str:
    return " ".join(types_of(document)) or "without a type"
