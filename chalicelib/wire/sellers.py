"""Sellers as published in an `organizer` or `provider`."""

from collections.abc import Iterable

from chalicelib.domain.parties import Json, Seller, TaxMode, TaxRate
from chalicelib.wire.documents import member, read_document
from chalicelib.wire.unreadable import Cause, Unreadable

SELLER_TERMS = ("organizer", "provider")


def read_seller(document: Json, tax_rate: TaxRate | None = None) -> Seller:
    """The Seller in an `organizer` or `provider`, in any form. Raises Unreadable (BOOKABLE-06)."""
    return seller_in(read_document(document), tax_rate)


def seller_in(document: Json, tax_rate: TaxRate | None = None) -> Seller:
    """The same for a document in the form of `read_document`."""
    allowed = document.get("isOpenBookingAllowed")
    seller_id, stated = document.get("@id"), document.get("taxMode")
    if not isinstance(seller_id, str) or not seller_id:
        raise Unreadable("its organizer or provider has no @id", Cause.seller_id)
    mode = next((mode for mode in TaxMode if mode == member(stated)), None)
    if mode is None and stated is not None:
        raise Unreadable(
            f"its organizer or provider states the unknown taxMode {str(stated)[:80]!r}", Cause.tax_mode
        )
    if mode is None:
        raise Unreadable("its organizer or provider states no taxMode", Cause.tax_mode)
    return Seller(
        id=seller_id,
        tax_mode=mode,
        document=document,
        tax_rate=tax_rate,
        # Without a statement, each Offer decides (T5); what is neither true nor false is no permission.
        open_booking_allowed=allowed is None or allowed is True,
    )


def seller_document(levels: Iterable[Json]) -> Json:
    """The `organizer` or `provider` that applies, from the nearest level that names one. Raises Unreadable."""
    for level in levels:
        for term in SELLER_TERMS:
            found = level.get(term)
            if isinstance(found, dict):
                return found
            if isinstance(found, str):
                return {"@id": found}
            if found is not None:  # never the Seller of its parent instead
                raise Unreadable("its organizer or provider is not one Seller", Cause.seller)
    raise Unreadable("it has no organizer or provider", Cause.seller)
