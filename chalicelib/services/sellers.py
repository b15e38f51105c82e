"""Sellers: their details, and whether partners may act for them."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from chalicelib.domain.parties import AccessMethod, Json, Seller, TaxRate
from chalicelib.identity.entries import Authorisation, SellerStanding
from chalicelib.services.entries import Entries
from chalicelib.services.errors import AlreadyExists, InvalidValue, NotFound, NotPossible, NotUnique
from chalicelib.services.journal import Journal
from chalicelib.services.seller_ids import SellerIds
from chalicelib.services.suspension import Suspendable
from chalicelib.storage.store import Store
from chalicelib.values import dataclass, replace
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

    def meant(self, text: str | None) -> Seller:
        """The Seller with this id; without one, the only Seller of the installation. Raises NotFound, NotUnique, NotPossible."""
        return self.find(text) if text is not None else self.only()

    def only(self) -> Seller:
        """The only Seller of the installation. Raises NotUnique; NotPossible if there is none."""
        known = self.entries.patiently(self.store.sellers)
        if len(known) > 1:
            raise NotUnique(f"There are {len(known)} Sellers", "Seller")
        if not known:
            raise NotPossible("There is no Seller yet: add one first.")
        return known[0]

    def all(self) -> list[Seller]:
        """All Sellers."""
        return list(self.entries.patiently(self.store.sellers))

    def shown(self, seller: Seller) -> Json:
        """All that is known of a Seller, and what it lacks: for bookings, and for complete receipts (MODEL-01)."""
        found = self.entries.find(SellerStanding, SellerStanding.key_of(seller.id))
        document = seller.document
        return {
            "id": self.ids.shown(seller.id),
            **{term: document.get(term) or None for term in _TEXTS},
            "address": document.get("address"),
            "tax": seller.tax_mode.value,
            "tax_rate": f"{seller.tax_rate.rate.normalize():%}" if seller.tax_rate else "none",
            "terms": [each["url"] for each in _terms(document)],
            "access": [method.value for method in seller.access_methods],
            "state": "suspended" if found and found.suspended else "active",
            "partners": sorted(
                each.partner_id
                for each in self.entries.all(Authorisation)
                if each.stands and each.seller_id == seller.id
            ),
            "bookable": seller.why_no_bookings is None,
            "missing": lacking(seller),
            "why_not_bookable": seller.why_no_bookings,
        }

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
                "short_id": self.ids.short_seller(seller.id),
                "name": str(seller.document.get("name") or ""),
                "tax": seller.tax_mode.value,
                "state": "suspended" if seller.id in suspended else "active",
                "bookable": seller.why_no_bookings is None,
                "missing": lacking(seller),
                "partners": sorted(allowing.get(seller.id, [])),
            }
            for seller in sorted(self.entries.patiently(self.store.sellers), key=lambda each: each.id)
        ]

    def add(
        self,
        document: Mapping[str, Any],
        tax_rate: TaxRate | None,
        *,
        replacing: bool = False,
        access_methods: Sequence[AccessMethod] = (),
    ) -> tuple[Seller, list[str]]:
        """Add a Seller. Returns it and what its receipts will lack (MODEL-01). `document` is like a feed's organizer.

        `access_methods` are what is made for those who book; none: those that a replaced Seller had. Raises InvalidValue, AlreadyExists.
        """
        try:
            seller = read_seller(self._checked(document), tax_rate)
        except Unreadable as error:
            raise InvalidValue(f"This is not a valid Seller: {error}.") from None
        known = self.entries.patiently(lambda: self.store.seller(seller.id))
        if known is not None and not replacing:
            raise AlreadyExists(f"Seller {self.ids.shown(seller.id)} exists already.")
        kept = known.access_methods if known is not None else ()
        seller = replace(seller, access_methods=tuple(access_methods) or kept)
        self.entries.patiently(lambda: self.store.save_seller(seller))
        what, changed = "seller added", None
        if known is not None:
            # By name only: a Seller may be a person.
            what, changed = "seller replaced", {"details": ", ".join(_different(known, seller)) or "none"}
        self.journal.note(what, changed, seller=seller.id)
        return seller, lacking(seller)

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


def lacking(seller: Seller) -> list[str]:
    """What a Seller's receipts lack (MODEL-01)."""
    address = seller.document.get("address") or {}
    stated = ("name", "legalName") if seller.document.get("@type") != "Person" else ("name",)
    missing = [term for term in stated if not seller.document.get(term)]
    return missing + [f"address.{term}" for term in _ADDRESS if not address.get(term)]


def _terms(document: Json) -> Iterator[Json]:
    """The terms of service that each answer shows (MODEL-01)."""
    stated = document.get("termsOfService")
    for each in stated if isinstance(stated, list) else [stated]:
        if isinstance(each, dict) and isinstance(each.get("url"), str):
            yield each


def _different(before: Seller, after: Seller) -> list[str]:
    """The details in which they differ."""
    terms = sorted({*before.document, *after.document})
    names = [term for term in terms if before.document.get(term) != after.document.get(term)]
    own = {
        "tax rate": (before.tax_rate, after.tax_rate),
        "access": (before.access_methods, after.access_methods),
    }
    return names + [name for name, (was, now) in own.items() if was != now]
