"""The items of a harvest as candidates for the inventory: one for each `@id`, parents complete with their units.

Decides what an item is; does not read what it means.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, cast

from chalicelib.domain.identifiers import BASE
from chalicelib.domain.limits import MAX_ID_BYTES
from chalicelib.domain.opportunities import without_terms
from chalicelib.domain.opportunity_types import (
    OPPORTUNITY_TYPES,
    SPACES_TERMS,
    UNIT_TYPES,
    OpportunityType,
)
from chalicelib.domain.parties import Json
from chalicelib.importing.defaults import Defaults
from chalicelib.importing.harvest import Feed, Harvest, Item
from chalicelib.importing.spool import Spool, SpooledList, packed, unpacked
from chalicelib.importing.stored import digest_of
from chalicelib.storage import codec
from chalicelib.values import dataclass, replace
from chalicelib.wire.documents import objects, read_document, types_of
from chalicelib.wire.jsonld import reference
from chalicelib.wire.links import is_identifier
from chalicelib.wire.reading import MAX_SPACES, why_full
from chalicelib.wire.sellers import SELLER_TERMS
from chalicelib.wire.unreadable import Cause, Unreadable

# Types without and with a parent.
PARENTS = frozenset(kind.value for kind, traits in OPPORTUNITY_TYPES.items() if not traits.parents)
CHILDREN = frozenset(kind.value for kind in OPPORTUNITY_TYPES) - PARENTS
# Types that can be booked as a whole, and by their children.
WHOLES = frozenset(kind.value for kind in OPPORTUNITY_TYPES if kind.is_whole)
# The types of the sub-events that each of them may have.
PARTS = {
    whole: frozenset(
        kind.value for kind, traits in OPPORTUNITY_TYPES.items() if OpportunityType(whole) in traits.parents
    )
    for whole in WHOLES
}
# What a copy of a child does not contain, because it changes without its parent.
_NOT_IN_TIMETABLES = frozenset({"offers", *SPACES_TERMS})
# The terms in which parents embed children.
_EMBEDDED = ("subEvent", "event")
_CHILD_OF = {parent.value: kind for kind, traits in OPPORTUNITY_TYPES.items() for parent in traits.parents}
_CHILD_OF |= {
    traits.units: _CHILD_OF[kind.value]
    for kind, traits in OPPORTUNITY_TYPES.items()
    if traits.units and kind.value in _CHILD_OF
}

# `json.dumps` would make a new encoder for each call.
_STRICT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)

Lose = Callable[[str, str, str, Cause], None]
"""Called with the type, the id and the reason of what is not imported."""


@dataclass(frozen=True)
class Candidate:
    """A document of the harvest in the form of `read_document`; `order` is that of changes at the source.

    `held_by` is the `@id` of the document that it names as its parent, or of the FacilityUse for one of its units.
    """

    kind: str
    id: str
    order: tuple[int, str, str]
    document: Json
    is_embedded: bool = False

    @property
    def held_by(self) -> str | None:
        if self.kind in UNIT_TYPES:
            return reference(self.document.get("aggregateFacilityUse"))
        traits = OPPORTUNITY_TYPES.get(OpportunityType(self.kind)) if self.kind in CHILDREN else None
        return reference(self.document.get(traits.parent_term)) if traits and traits.parent_term else None

    @property
    def states_seller(self) -> bool:
        """Whether it does not simply have the Seller of what holds it."""
        return any(term in self.document for term in SELLER_TERMS)


@dataclass(frozen=True)
class Child:
    """A candidate with a parent whose document is not decoded yet.

    `digest` is that of its document, but not of its number of spaces. `is_silent`: it has the Seller of what holds it.
    """

    id: str
    held_by: str | None
    is_silent: bool
    digest: str
    row: Sequence[Any]

    @property
    def candidate(self) -> Candidate:
        return _candidate_of(self.row)


@dataclass(frozen=True)
class _Embedded:
    """A child inside the candidate `owner_id`, or why it is none: what is passed to `lose`."""

    owner_id: str
    order: tuple[int, str, str]
    id: str | None
    child: Candidate | None
    why_none: tuple[str, str, str, Cause] | None = None


class Candidates:
    """All candidates of a harvest, on disk: one for each `@id`, with children that are only embedded."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._all = spool.table(
            "id TEXT PRIMARY KEY, kind TEXT, role TEXT, held_by TEXT, silent INTEGER, embedded INTEGER,"
            " place BLOB, document BLOB, digest TEXT"
        )
        spool.database.execute(f"CREATE INDEX {self._all}_held ON {self._all} (held_by, id)")
        self._units = spool.table("unit TEXT, facility TEXT, PRIMARY KEY (unit, facility)")
        self._embedded: SpooledList[_Embedded] = SpooledList(spool)

    def read(
        self,
        harvest: Harvest,
        defaults: Defaults,
        lose: Lose,
        on_item: Callable[[Candidate], None] = lambda candidate: None,
    ) -> None:
        """Read all items; `lose` is called for each that is not a candidate, and `on_item` for each that is one."""
        for candidate in _of_feeds(harvest, defaults, lose):
            on_item(candidate)
            embedded = list(_taken_out(candidate))
            if self._add(candidate, lose):
                self._embedded.extend(embedded)
        for each in self._embedded:
            owner = self._find("place", "id = ?", each.owner_id)
            if owner is None or unpacked(owner[0]) != each.order:
                continue  # a newer item has taken the place of its owner
            known = None if each.id is None else self._find("embedded", "id = ?", each.id)
            if known is not None and not known[0]:
                continue  # a copy of an item would be out of date
            if each.why_none is not None:
                lose(*each.why_none)
            if each.child is not None:
                self._add(each.child, lose)

    def merge_units(self, lose: Callable[[Candidate, str], None]) -> None:
        """Include the IndividualFacilityUses that are separate items in their FacilityUses."""
        rows = self._spool.rows(f"{self._select} WHERE role = 'unit' ORDER BY held_by, id")
        for facility_id, group in groupby(map(_candidate_of, rows), key=lambda each: each.held_by):
            facility = self.get(facility_id) if facility_id else None
            if (
                facility is None
                or facility.kind not in PARENTS
                or not OpportunityType(facility.kind).traits.units
            ):
                for unit in group:
                    lose(unit, orphan("aggregateFacilityUse", facility_id))
                continue
            own = {unit.id: _without(unit.document, "@context", "aggregateFacilityUse") for unit in group}
            embedded = objects(facility.document.get("individualFacilityUse"))
            others = [unit for unit in embedded if reference(unit) not in own]
            merged = {**facility.document, "individualFacilityUse": [*others, *own.values()]}
            self._write(replace(facility, document=merged))

    def get(self, candidate_id: str) -> Candidate | None:
        found = self._spool.database.execute(f"{self._select} WHERE id = ?", (candidate_id,)).fetchone()
        return None if found is None else _candidate_of(found)

    def parents(self, kinds: Collection[str] = PARENTS) -> Iterator[Candidate]:
        """Those without a parent, of these types, in the order of their ids."""
        known = ", ".join("?" * len(kinds))
        query = f"{self._select} WHERE role = 'parent' AND kind IN ({known}) ORDER BY id"
        return map(_candidate_of, self._spool.rows(query, tuple(kinds)))

    def children(self, *, silent: bool | None = None) -> Iterator[Candidate]:
        """Those with a parent, the children of each together; with `silent`, whether they state a Seller."""
        only = "" if silent is None else f" AND silent = {int(silent)}"
        query = f"{self._select} WHERE role = 'child'{only} ORDER BY held_by, id"
        return map(_candidate_of, self._spool.rows(query))

    def undecoded_children(self) -> Iterator[Child]:
        """All with a parent, the children of each together, without their documents."""
        query = (
            f"SELECT kind, id, place, document, embedded, held_by, silent, digest FROM {self._all}"
            " WHERE role = 'child' ORDER BY held_by, id"
        )
        for *row, held_by, silent, digest in self._spool.rows(query):
            yield Child(row[1], held_by, bool(silent), digest, row)

    def of_embedded_parents(self) -> Iterator[Candidate]:
        """The children that state no Seller, and whose parent is not in a feed."""
        query = (
            f"{self._select} WHERE role = 'child' AND silent = 1 AND (held_by IS NULL OR"
            f" (held_by NOT IN (SELECT id FROM {self._all} WHERE role = 'parent')"
            f" AND held_by NOT IN (SELECT unit FROM {self._units})))"
        )
        return map(_candidate_of, self._spool.rows(query))

    def ancestor(self, candidate_id: str) -> Json | None:
        found = self._find("document", "id = ? AND role = 'ancestor'", candidate_id)
        return None if found is None else cast(Json, unpacked(found[0]))

    def facilities_of(self, unit_id: str) -> Iterator[Candidate]:
        """The facilities that have this unit, in the order of their ids."""
        query = f"SELECT facility FROM {self._units} WHERE unit = ? ORDER BY facility"
        for (facility_id,) in self._spool.rows(query, (unit_id,)):
            facility = self.get(facility_id)
            if facility is not None and facility.kind in PARENTS:
                yield facility

    def silent_children_of(self, holder_id: str) -> int:
        """How many children it has that state no Seller."""
        found = self._find("count(*)", "held_by = ? AND role = 'child' AND silent = 1", holder_id)
        return int(found[0]) if found else 0

    def number_of(self, role: str) -> int:
        """How many there are of a role: `parent`, `unit`, `child` or `ancestor`."""
        found = self._find("count(*)", "role = ?", role)
        return int(found[0])

    def has_children(self, holder_id: str) -> bool:
        return self._find("1", "held_by = ? AND role = 'child'", holder_id) is not None

    @property
    def _select(self) -> str:
        return f"SELECT kind, id, place, document, embedded FROM {self._all}"

    def _find(self, columns: str, condition: str, *values: str) -> Any:
        query = f"SELECT {columns} FROM {self._all} WHERE {condition} LIMIT 1"
        return self._spool.database.execute(query, values).fetchone()

    def _add(self, candidate: Candidate, lose: Lose) -> bool:
        """Add a candidate; of several with one `@id` the one that was changed last stays. Whether it stays."""
        if self._write(candidate, "INSERT OR IGNORE"):
            return True
        (place,) = self._find("place", "id = ?", candidate.id)
        newest: bool = candidate.order > unpacked(place)
        if newest:
            self._write(candidate)
        lose(candidate.kind, candidate.id, "another item has the same @id and is newer", Cause.id)
        return newest

    def _write(self, candidate: Candidate, how: str = "REPLACE") -> bool:
        document = candidate.document
        written = self._spool.database.execute(
            f"{how} INTO {self._all} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                candidate.id,
                candidate.kind,
                _role(candidate.kind),
                candidate.held_by,
                not candidate.states_seller,
                candidate.is_embedded,
                packed(candidate.order),
                packed(document),
                digest_of(str(candidate.is_embedded), _text_without_spaces(document, candidate.kind))
                if candidate.kind in CHILDREN
                else None,
            ),
        ).rowcount
        for unit in objects(document.get("individualFacilityUse")):
            if isinstance(unit.get("@id"), str):
                self._spool.database.execute(
                    f"INSERT OR IGNORE INTO {self._units} VALUES (?, ?)", (unit["@id"], candidate.id)
                )
        return bool(written)


def _text_without_spaces(document: Json, kind: str) -> str:
    """The text of a document, with a mark instead of a number of spaces, for which our counter applies.

    A number that cannot be right stays, because the report says so.
    """
    marked = {
        term: "a number"
        for term in SPACES_TERMS.intersection(document)
        if type(document[term]) is int and document[term] <= MAX_SPACES
    }
    if marked and why_full(document, OpportunityType(kind)) is not None:
        marked = {}
    return codec.canonical({**document, **marked}).decode()


def _role(kind: str) -> str:
    if kind in UNIT_TYPES:
        return "unit"
    if kind in PARENTS:
        return "parent"
    return "child" if kind in CHILDREN else "ancestor"


def _candidate_of(row: Any) -> Candidate:
    kind, candidate_id, place, document, embedded = row
    return Candidate(kind, candidate_id, unpacked(place), unpacked(document), bool(embedded))


def _without(document: Json, *terms: str) -> Json:
    return {term: value for term, value in document.items() if term not in terms}


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
        _STRICT.encode(data).encode()
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


def _taken_out(candidate: Candidate) -> Iterator[_Embedded]:
    """The children that are embedded in a candidate, which is left without them."""
    units = objects(candidate.document.get("individualFacilityUse"))
    holders = [(candidate.kind, candidate.document)]
    holders += [(types_of(unit)[0] if types_of(unit) else "", unit) for unit in units]
    for holder_type, holder in holders:
        for term in _EMBEDDED:
            for document in _children_of(holder, holder_type, term):
                found = candidate.id, candidate.order, reference(document)
                try:
                    yield _Embedded(*found, _embedded_child(candidate, holder_type, holder, document))
                except Unreadable as unreadable:
                    shown = reference(document) or f"in {candidate.id}"
                    lost = _shown_type(document), shown, str(unreadable), unreadable.cause
                    yield _Embedded(*found, None, lost)


def _children_of(holder: Json, holder_type: str, term: str) -> list[Json]:
    """The children in a parent, which are taken out of it.

    A course keeps its sub-events, because it must state them. Those without Offers are not sold singly: they are
    only its timetable.
    """
    if holder_type not in WHOLES:
        return objects(holder.pop(term, None))
    listed = holder.get(term)
    sold = [child for child in objects(listed) if "offers" in child]
    if term in holder:
        # A text is the id of a sub-event, which may be an item of a feed.
        all_listed = listed if isinstance(listed, list) else [listed]
        holder[term] = [
            without_terms(each, _NOT_IN_TIMETABLES) for each in all_listed if isinstance(each, dict | str)
        ]
    return sold


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
