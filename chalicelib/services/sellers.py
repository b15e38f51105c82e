"""Sellers: their details, and whether partners may act for them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from chalicelib.domain.parties import Json, Seller, TaxRate
from chalicelib.identity.entries import Authorisation, SellerStanding
from chalicelib.services.entries import Entries
from chalicelib.services.errors import AlreadyExists, InvalidValue, NotFound, NotPossible, NotUnique
from chalicelib.services.journal import Journal
from chalicelib.services.seller_ids import SellerIds
from chalicelib.services.suspension import Suspendable
from chalicelib.storage.store import Store
from chalicelib.wire import links
from chalicelib.wire.jsonld import CONTEXT
from chalicelib.wire.sellers import read_seller
from chalicelib.wire.unreadable import Unreadable

_TAX_MODES = {"gross": "TaxGross", "net": "TaxNet", "taxgross": "TaxGross", "taxnet": "TaxNet"}
_TEXTS = ("name", "legalName", "url", "email", "telephone", "vatID", "description")
_ADDRESS = ("streetAddress", "addressLocality", "addressRegion", "postalCode", "addressCountry")


@dataclass(frozen=True)
class Sellers(Suspendable[SellerStanding]):
    """The Sellers of an installation. No partner may act for a suspended one; its authorisations stay (OFEED-15)."""

    kind: ClassVar[str] = "seller"

    store: Store
    entries: Entries
    journal: Journal
    ids: SellerIds

    def find(self, text: str) -> Seller:
        """The Seller with this id, as feeds or lists show it. Raises NotFound."""
        for seller_id in self.ids.meant(text):
            found = self.entries.patiently(partial(self.store.seller, seller_id))
            if found is not None:
                return found
        raise NotFound("Seller", text)

    def only(self) -> Seller:
        """The only Seller of the installation. Raises NotUnique; NotPossible if there is none."""
        known = self.entries.patiently(self.store.sellers)
        if len(known) > 1:
            raise NotUnique(f"There are {len(known)} Sellers", "Seller")
        if not known:
            raise NotPossible("There is no Seller yet.")
        return known[0]

    def listed(self) -> list[Json]:
        """All Sellers with the partners that they currently allow, as rows to show."""
        suspended = {each.seller_id for each in self.entries.all(SellerStanding) if each.suspended}
        allowing: dict[str, list[str]] = {}
        for given in self.entries.all(Authorisation):
            if given.stands:
                allowing.setdefault(given.seller_id, []).append(given.partner_id)
        return [
            {
                "id": self.ids.shown(seller.id),
                "name": str(seller.document.get("name") or ""),
                "tax": seller.tax_mode.value,
                "state": "suspended" if seller.id in suspended else "active",
                "partners": sorted(allowing.get(seller.id, [])),
            }
            for seller in sorted(self.entries.patiently(self.store.sellers), key=lambda each: each.id)
        ]

    def add(
        self, document: Mapping[str, Any], tax_rate: TaxRate | None, *, replacing: bool = False
    ) -> tuple[Seller, list[str]]:
        """Add a Seller. Returns it and what its receipts will lack (MODEL-01). `document` is like a feed's organizer.

        Raises InvalidValue, AlreadyExists.
        """
        try:
            seller = read_seller(self._checked(document), tax_rate)
        except Unreadable as error:
            raise InvalidValue(f"This is not a valid Seller: {error}.") from None
        known = self.entries.patiently(lambda: self.store.seller(seller.id))
        if known is not None and not replacing:
            raise AlreadyExists(f"Seller {self.ids.shown(seller.id)} exists already.")
        if known is not None:
            seller = replace(seller, access_methods=known.access_methods)
        self.entries.patiently(lambda: self.store.save_seller(seller))
        self.journal.note("seller replaced" if known else "seller added", seller=seller.id)
        address = seller.document.get("address") or {}
        return seller, [f"address.{term}" for term in _ADDRESS if not address.get(term)]

    def _checked(self, document: Mapping[str, Any]) -> Json:
        """The document as it is stored. Raises InvalidValue."""
        known_as, mode = document.get("@id"), str(document.get("taxMode", ""))
        if not isinstance(known_as, str) or not known_as.strip():
            raise InvalidValue("A Seller needs an id: its URL, or a name from which we create one.")
        seller_id = self.ids.new(known_as.strip())
        if not links.is_identifier(seller_id):
            raise InvalidValue(
                f"{known_as} cannot be an id: it must be a URL, or a name of letters, digits and - _ . ~"
            )
        if not isinstance(document.get("name"), str) or not document["name"].strip():
            raise InvalidValue("A Seller needs a name.")
        for term in _TEXTS:
            if not isinstance(document.get(term, ""), str):
                raise InvalidValue(f"The Seller's {term} must be a text.")
        address = document.get("address", {})
        if not isinstance(address, dict) or not all(
            isinstance(address.get(term, ""), str) for term in _ADDRESS
        ):
            raise InvalidValue("The Seller's address must be a PostalAddress, as in a feed.")
        kind = document.get("@type", "Organization")
        if kind not in ("Organization", "Person"):
            raise InvalidValue("A Seller is an Organization or a Person.")
        tax_mode = _TAX_MODES.get(mode.removeprefix(CONTEXT).casefold())
        if tax_mode is None:
            raise InvalidValue("The tax mode must be gross (prices include tax) or net (tax is added).")
        return {
            "legalName": document["name"],
            **document,
            "@type": kind,
            "@id": seller_id,
            "taxMode": f"{CONTEXT}{tax_mode}",
            **({"address": {"@type": "PostalAddress", **address}} if address else {}),
        }

    def _suspendable(self, known_as: str) -> tuple[SellerStanding, str, str]:
        seller = self.find(known_as)
        key = SellerStanding.key_of(seller.id)
        state = self.entries.find(SellerStanding, key) or SellerStanding(seller.id)
        return state, f"Seller {self.ids.shown(seller.id)}", seller.id
