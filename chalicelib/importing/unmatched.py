"""Entries of a file of defaults that name something that their source does not have: mostly spelled wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from chalicelib.domain.parties import Json
from chalicelib.importing.defaults import NESTED_TERMS, Defaults
from chalicelib.values import dataclass
from chalicelib.wire.documents import objects
from chalicelib.wire.sellers import SELLER_TERMS

# The names of the source that a wrong one is compared with.
_NAMES_COMPARED = 2_000


@dataclass(frozen=True)
class Unmatched:
    """An entry of the defaults without effect: the `table` of the file, the key that nothing has, and the reason.

    `similar` is a name of the source that may be meant.
    """

    table: str
    key: str
    reason: str
    similar: str = ""

    @property
    def advice(self) -> str:
        """What to do about it."""
        meant = f" The source has {self.similar}." if self.similar else ""
        return f"Correct it, or remove it.{meant}"


class NamesInUse:
    """Which of the names in the defaults of a source its items have; only what is not found yet is looked for."""

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults
        self._sellers = set(defaults.sellers)
        if defaults.seller_for_all:
            self._sellers.discard(defaults.seller["@id"])
        elif "@id" in defaults.seller:
            self._sellers.add(defaults.seller["@id"])
        own_offers = {str(offer["name"]) for offer in defaults.offers}
        self._offers = {name for rule in defaults.tax_rules for name in rule.offers} - own_offers
        self._categories = {name for rule in defaults.tax_rules for name in rule.categories}
        self._seen: dict[str, set[str]] = {"sellers": set(), "offers": set(), "categories": set()}

    def see(self, document: Json) -> None:
        """Note the names in a document in the form of `read_document`, with the defaults, and in what it contains."""
        if not (self._sellers or self._offers or self._categories):
            return
        for term in SELLER_TERMS:
            seller = document.get(term)
            self._found("sellers", self._sellers, seller.get("@id") if isinstance(seller, dict) else seller)
        for offer in objects(document.get("offers")):
            for term in ("@id", "identifier", "name"):
                self._found("offers", self._offers, offer.get(term))
        for name in categories(document):
            self._found("categories", self._categories, name)
        for term in NESTED_TERMS:
            for inner in objects(document.get(term)):
                self.see(inner)

    def unmatched(self) -> Iterator[Unmatched]:
        """What none of the documents has."""
        for seller_id in sorted(self._sellers):
            is_of_all = (
                seller_id == self._defaults.seller.get("@id") and seller_id not in self._defaults.sellers
            )
            reason = "no item of this source names this Seller: check the spelling"
            if is_of_all:
                reason = "each Seller of this source has an @id, so that this one is not used"
            table = "[seller] id" if is_of_all else "[sellers]"
            yield self._unmatched("sellers", table, seller_id, reason)
        for name in sorted(self._offers):
            reason = "no Offer of this source has this name, identifier or @id: check the spelling"
            yield self._unmatched("offers", "[[vat]] offers", name, reason)
        for name in sorted(self._categories):
            reason = "no item of this source has this category, activity or facilityType: check the spelling"
            yield self._unmatched("categories", "[[vat]] categories", name, reason)

    def _unmatched(self, kind: str, table: str, key: str, reason: str) -> Unmatched:
        close = get_close_matches(key, sorted(self._seen[kind]), n=1, cutoff=0.8)
        return Unmatched(table, key, reason, *close)

    def _found(self, kind: str, wanted: set[str], value: Any) -> None:
        if not wanted or not isinstance(value, str | int):
            return
        name = str(value)
        wanted.discard(name)
        if len(self._seen[kind]) < _NAMES_COMPARED:
            self._seen[kind].add(name)


def categories(document: Json) -> Iterator[str]:
    """The categories, activities and types of facility that a document names."""
    for term in ("category", "activity", "facilityType"):
        for each in document.get(term) or ():
            name = each.get("prefLabel") if isinstance(each, dict) else each
            if isinstance(name, str):
                yield name
