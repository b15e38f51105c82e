"""Sellers: who they are, whether they may be acted for, and which booking partners they allow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chalicelib.domain.parties import Json, Seller
from chalicelib.identity.authority import SCOPES
from chalicelib.identity.callers import BOOKING
from chalicelib.identity.register import Authorisation, Partner, SellerStanding
from chalicelib.services import reviews
from chalicelib.wire import links
from chalicelib.wire.jsonld import CONTEXT
from chalicelib.wire.opportunities import Unreadable, read_seller
from openbooking.identities.desk import Desk, Refused
from openbooking.importing.catalogue import vat

# Who has given an authorisation, where it was no login.
_OPERATOR = "operator"

# Seconds in one call; it is repeated until nothing is left.
_REVIEWS_FOR = 60.0

_TAX_MODES = {"gross": "TaxGross", "net": "TaxNet", "taxgross": "TaxGross", "taxnet": "TaxNet"}
_TEXTS = ("name", "legalName", "url", "email", "telephone", "vatID", "description")
_ADDRESS = ("streetAddress", "addressLocality", "addressRegion", "postalCode", "addressCountry")


def listed(desk: Desk) -> list[Json]:
    """All Sellers with the partners that they allow now."""
    suspended = {each.seller_id for each in desk.all(SellerStanding) if each.suspended}
    allowing: dict[str, list[str]] = {}
    for given in desk.all(Authorisation):
        if given.stands:
            allowing.setdefault(given.seller_id, []).append(given.partner_id)
    return [
        {
            "id": desk.shown(seller.id),
            "name": str(seller.document.get("name") or ""),
            "tax": seller.tax_mode.value,
            "state": "suspended" if seller.id in suspended else "active",
            "partners": sorted(allowing.get(seller.id, [])),
        }
        for seller in sorted(desk.patiently(desk.system.store.sellers), key=lambda each: each.id)
    ]


def read_file(path: Path) -> Json:
    """A Seller as JSON, as the `organizer` of a feed. Raises Refused."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"{path} cannot be read: {error}.") from None
    if not isinstance(document, dict):
        raise Refused(f"{path} must hold one JSON object, a Seller as the organizer of a feed.")
    return document


def add(
    desk: Desk, document: Mapping[str, Any], *, vat_rate: str = "0.20", replacing: bool = False
) -> tuple[Seller, list[str]]:
    """Put a Seller, and what its receipts will lack (MODEL-01). Raises Refused."""
    from openbooking.importing.rpde import ImportRefused, read_rate

    try:
        seller = read_seller(_checked(desk, document), vat(read_rate(vat_rate)))
    except ImportRefused as refused:
        raise Refused(str(refused)) from None
    except Unreadable as error:
        raise Refused(f"This is no Seller: {error}.") from None
    known = desk.patiently(lambda: desk.system.store.seller(seller.id))
    if known is not None and not replacing:
        raise Refused(f"There is a Seller {desk.shown(seller.id)} already; --replace puts this in its place.")
    if known is not None:
        seller = replace(seller, access_methods=known.access_methods)
    desk.patiently(lambda: desk.system.store.save_seller(seller))
    desk.note("seller replaced" if known else "seller added", seller=seller.id)
    address = seller.document.get("address") or {}
    return seller, [f"address.{term}" for term in _ADDRESS if not address.get(term)]


def _checked(desk: Desk, document: Mapping[str, Any]) -> Json:
    """The document as it is kept. Raises Refused."""
    known_as, mode = document.get("@id"), str(document.get("taxMode", ""))
    if not isinstance(known_as, str) or not known_as.strip():
        raise Refused("A Seller needs an id: its URL, or a name that is made one of ours.")
    seller_id = desk.inward(known_as.strip())
    if not links.is_identifier(seller_id):
        raise Refused(
            f"{known_as} cannot be an id: it must be a URL, or a name of letters, digits and - _ . ~"
        )
    if not isinstance(document.get("name"), str) or not document["name"].strip():
        raise Refused("A Seller needs a name.")
    for term in _TEXTS:
        if not isinstance(document.get(term, ""), str):
            raise Refused(f"The Seller's {term} must be a text.")
    address = document.get("address", {})
    if not isinstance(address, dict) or not all(isinstance(address.get(term, ""), str) for term in _ADDRESS):
        raise Refused("The Seller's address must be a PostalAddress, as in a feed.")
    kind = document.get("@type", "Organization")
    if kind not in ("Organization", "Person"):
        raise Refused("A Seller is an Organization or a Person.")
    tax_mode = _TAX_MODES.get(mode.removeprefix(CONTEXT).casefold())
    if tax_mode is None:
        raise Refused("The tax mode must be gross (prices hold the tax) or net (it comes on top).")
    return {
        "legalName": document["name"],
        **document,
        "@type": kind,
        "@id": seller_id,
        "taxMode": f"{CONTEXT}{tax_mode}",
        **({"address": {"@type": "PostalAddress", **address}} if address else {}),
    }


def suspend(desk: Desk, known_as: str) -> Seller:
    """Nobody may act for it from now on; what it has allowed stays (OFEED-15). Raises Refused."""
    return _set_suspended(desk, known_as, suspended=True)


def resume(desk: Desk, known_as: str) -> Seller:
    """As before it was suspended. Raises Refused."""
    return _set_suspended(desk, known_as, suspended=False)


def _set_suspended(desk: Desk, known_as: str, *, suspended: bool) -> Seller:
    seller = desk.seller(known_as)
    standing = desk.find(SellerStanding, SellerStanding.key_of(seller.id)) or SellerStanding(seller.id)
    if standing.suspended is suspended:
        raise Refused(f"Seller {desk.shown(seller.id)} is {'' if suspended else 'not '}suspended.")
    desk.change(standing, lambda found: replace(found, suspended=suspended))
    desk.note("seller suspended" if suspended else "seller resumed", seller=seller.id)
    return seller


def authorise(
    desk: Desk, known_as: str, partner_id: str, scopes: Sequence[str] = (BOOKING,)
) -> Authorisation:
    """Allow a partner to act for a Seller without anybody's login: it needs its own credentials only.

    A partner can do so for one Seller. Raises Refused.
    """
    seller, partner = desk.seller(known_as), desk.partner(partner_id)
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise Refused(f"{unknown[0]} is not a scope; there are {', '.join(SCOPES)}.")

    def acting(found: Partner) -> Partner:
        if found.seller_id not in (None, seller.id):
            raise Refused(
                f"Booking partner {found.id} acts without a login for {desk.shown(found.seller_id)} already,"
                " and can do so for one Seller only; others allow it at a login."
            )
        return replace(found, seller_id=seller.id)

    desk.change(partner, acting)
    given = allow(desk, partner.id, seller.id, scopes)
    desk.note("partner authorised", partner=partner.id, seller=seller.id)
    return given


def allow(desk: Desk, partner_id: str, seller_id: str, scopes: Sequence[str]) -> Authorisation:
    """An authorisation by the operator."""
    return desk.patiently(lambda: desk.authority.authorise(partner_id, seller_id, scopes, _OPERATOR))


def revoke(desk: Desk, known_as: str, partner_id: str | None = None) -> list[Authorisation]:
    """End what a Seller allows a partner, or all partners. Raises Refused where there is nothing to end."""
    seller = desk.seller(known_as)
    if partner_id is not None:
        partner = desk.partner(partner_id)
        one = desk.find(Authorisation, Authorisation.key_of(partner.id, seller.id))
        given = [one] if one is not None else []
    else:
        given = [each for each in desk.all(Authorisation) if each.seller_id == seller.id]
    standing = [each for each in given if each.revoked_at is None]
    if not standing:
        allowed = f"booking partner {partner_id}" if partner_id is not None else "no booking partner"
        negation = "does not allow" if partner_id is not None else "allows"
        raise Refused(f"Seller {desk.shown(seller.id)} {negation} {allowed}.")
    for each in standing:
        end_authorisation(desk, each.partner_id, seller.id)
        desk.note("authorisation revoked", partner=each.partner_id, seller=seller.id)
    return standing


def end_authorisation(desk: Desk, partner_id: str, seller_id: str) -> None:
    """Revoke one authorisation: every way of an operator to do so leads through here."""
    desk.patiently(lambda: desk.authority.revoke(partner_id, seller_id, _OPERATOR))
    # The schedule would do it too; here the operator sees it done (OFEED-15).
    while desk.patiently(lambda: desk.system.worker.run_kind(reviews.KIND, _REVIEWS_FOR)):
        continue
