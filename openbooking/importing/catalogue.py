"""Bringing published documents into the inventory, each only where it is new or has changed."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from chalicelib.domain.parties import Json, Seller, TaxRate
from chalicelib.services import inventory as listings
from chalicelib.storage.store import Listing, Store
from chalicelib.wire.opportunities import Published


class Outcome(StrEnum):
    """What became of one document."""

    added = "added"  # the inventory did not know it
    changed = "changed"  # its content is new, or it was withdrawn before
    unchanged = "unchanged"  # nothing was written
    withdrawn = "withdrawn"  # it is gone, and nobody books it any more
    elsewhere = "elsewhere"  # the inventory has it from another source, which alone may change it


@dataclass(frozen=True)
class Document:
    """A published document as read, with where it came from and all that it was read from."""

    published: Published
    source: str
    basis: tuple[Json | None, ...]

    @property
    def digest(self) -> str:
        """Equal for equal content. What the source says of spaces left is not content: ours counts."""
        text = json.dumps([_without_spaces(part) for part in self.basis], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def bring_in(store: Store, documents: list[Document]) -> list[Outcome]:
    """Put each document into the inventory; the outcomes in the same order.

    Raises CommitRefused where somebody else changes the same one meanwhile.
    """
    known = store.listings([document.published.opportunity.id for document in documents])
    return [
        put_in(store, document, known.get(document.published.opportunity.id, (None, None))[0])
        for document in documents
    ]


def put_in(store: Store, document: Document, current: Listing | None) -> Outcome:
    """Put one document in where `current`, what the inventory has of it, differs.

    The spaces of a new Opportunity start at what its source says; afterwards our counter is the
    truth. Raises CommitRefused where `current` no longer is.
    """
    opportunity, version = document.published.opportunity, 1
    if current is not None:
        if not current.deleted and current.source != document.source:
            return Outcome.elsewhere
        if not current.deleted and current.source_digest == document.digest:
            return Outcome.unchanged
        version = current.version + 1
    listing = Listing(
        replace(opportunity, revision=version),
        version=version,
        source=document.source,
        source_digest=document.digest,
    )
    store.publish(listing, document.published.spaces)
    return Outcome.changed if current else Outcome.added


def withdraw(store: Store, opportunity_id: str) -> Outcome:
    """Take an Opportunity out of the inventory: its feed shows it deleted, and nobody books it any more."""
    return Outcome.withdrawn if listings.withdraw(store, opportunity_id) else Outcome.unchanged


def keep_seller(store: Store, seller: Seller) -> Outcome:
    """Put a Seller, if it is new or has changed."""
    current = store.seller(seller.id)
    if current == seller:
        return Outcome.unchanged
    store.save_seller(seller)
    return Outcome.changed if current else Outcome.added


def parents_by_id(parents: Iterable[Json]) -> dict[str, Json]:
    """What a child may name as its parent: these, and the IndividualFacilityUses inside them.

    An IndividualFacilityUse has its FacilityUse as `aggregateFacilityUse`, as `read_opportunity` wants it.
    """
    found: dict[str, Json] = {}
    for parent in parents:
        found[parent["@id"]] = parent
        for unit in parent.get("individualFacilityUse") or ():
            if isinstance(unit, dict) and isinstance(unit.get("@id"), str):
                found.setdefault(unit["@id"], {**unit, "aggregateFacilityUse": parent})
    return found


def vat(rate: Decimal) -> TaxRate | None:
    """The tax that a rate such as 0.2 stands for; 0 is none."""
    return TaxRate(f"VAT at {rate.normalize():%}", rate) if rate else None


def _without_spaces(part: Json | None) -> Json:
    return {
        term: value
        for term, value in (part or {}).items()
        if term not in ("remainingAttendeeCapacity", "remainingUses")
    }
