"""What the items of a source state of its Sellers, put together.

Each detail is that of the item that was changed last of those that state it: an item that leaves one out does not
remove it. The result depends neither on the order of the feeds nor on what is read again, or a Seller would change
with every import.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from chalicelib.domain.parties import Json, Seller, TaxRate, missing_details
from chalicelib.importing.defaults import Defaults
from chalicelib.values import dataclass, replace
from chalicelib.wire.sellers import seller_in

# What each answer must show of a Seller (MODEL-01, MODEL-02).
_TERMS = ("name", "legalName", "address")
_ADDRESS_TERMS = ("streetAddress", "addressLocality", "addressRegion", "postalCode", "addressCountry")

Order: TypeAlias = tuple[int, str, str]
"""The place of an item in the order of changes at the source."""


@dataclass(frozen=True)
class SellerGap:
    """A Seller without some details that answers must show."""

    seller_id: str
    missing: tuple[str, ...]


class SellerDetails:
    """Details of the Sellers whose items are imported."""

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults
        # By Seller and property: its place in the order of preference, and its value.
        self._stated: dict[str, dict[str, tuple[tuple[Any, ...], Any]]] = {}

    def note(self, seller_id: str, organizer: Json, order: Order, item_id: str) -> None:
        """Note what the item says of a Seller; `item_id` decides between items that were changed at the same time."""
        known = self._stated.setdefault(seller_id, {})
        for term, value in organizer.items():
            # An address is one value, since parts of two would be that of no place.
            parts = len(set(value) & set(_ADDRESS_TERMS)) if isinstance(value, dict) else 0
            is_of_source = self._defaults.seller.get(term) != value
            preference = is_of_source, parts, *order, item_id
            if term not in known or preference > known[term][0]:
                known[term] = preference, value

    def sellers(self, tax_rate: TaxRate | None) -> tuple[tuple[Seller, ...], tuple[SellerGap, ...]]:
        """The Sellers in the order of their ids, and what is missing of them."""
        sellers, gaps = [], []
        for seller_id, stated in sorted(self._stated.items()):
            own = {
                term: value
                for term, value in self._defaults.sellers.get(seller_id, {}).items()
                if term not in ("taxMode", "isOpenBookingAllowed")
            }
            document: Json = {term: value for term, (_, value) in sorted(stated.items())} | own
            missing = _missing(document)
            if "name" in document:
                # Answers must show it; for most operators it is the same as the name.
                document.setdefault("legalName", document["name"])
            seller = seller_in(document, self._defaults.tax_rate or tax_rate)
            sellers.append(replace(seller, access_methods=self._defaults.access_methods))
            if missing:
                gaps.append(SellerGap(seller_id, missing))
        return tuple(sellers), tuple(gaps)


def _missing(seller: Json) -> tuple[str, ...]:
    """The details that answers must show of a Seller and that are missing."""
    address = seller.get("address")
    missing = [term for term in _TERMS if not seller.get(term)]
    if "address" not in missing and "address" in missing_details(seller):
        missing.append("address")
    elif isinstance(address, dict):
        missing += [f"address.{term}" for term in _ADDRESS_TERMS if not address.get(term)]
    return tuple(missing)
