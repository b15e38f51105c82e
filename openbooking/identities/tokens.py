"""What is out already: refresh tokens, and the keys that sign."""

from __future__ import annotations

from collections.abc import Sequence

from chalicelib.domain.parties import Json
from chalicelib.identity.keys import SigningKey, SigningKeys
from chalicelib.identity.register import Authorisation, Grant
from openbooking.identities.desk import Desk, Refused


def listed(desk: Desk) -> list[Json]:
    """Refresh tokens that are still good, by the ids of their grants."""
    standing = {each.id for each in desk.all(Authorisation) if each.stands}
    return [
        {
            "grant": grant.id,
            "partner": grant.partner_id,
            "seller": desk.shown(grant.seller_id),
            "made": grant.made_at,
            "renewed": grant.renewed_at,
            "ends": grant.ends_at,
        }
        for grant in sorted(desk.all_live(Grant), key=lambda each: each.made_at)
        if grant.authorisation_id in standing
    ]


def revoke(
    desk: Desk, grant_id: str | None = None, *, partner: str | None = None, seller: str | None = None
) -> Sequence[Grant]:
    """End one grant, or all of a partner, of a Seller, or of both. The Seller has to log in anew. Raises Refused."""
    if (grant_id is None) == (partner is None and seller is None):
        raise Refused("Which? Name one grant, or give --partner, --seller or both.")
    if grant_id is not None:
        found = desk.find(Grant, Grant.key_of(grant_id))
        if found is None:
            raise Refused(f"There is no grant {grant_id!r}: see `openbooking tokens list`.")
        ended, ids = [found], {"grant": grant_id, "partner": found.partner_id, "seller": found.seller_id}
    else:
        partner_id = desk.partner(partner).id if partner is not None else None
        seller_id = desk.seller(seller).id if seller is not None else None
        ids = {kind: each for kind, each in (("partner", partner_id), ("seller", seller_id)) if each}
        ended = [
            grant
            for grant in desk.all_live(Grant)
            if partner_id in (None, grant.partner_id) and seller_id in (None, grant.seller_id)
        ]
    for grant in ended:
        desk.remove(grant)
    desk.note("refresh tokens revoked", **ids)
    return ended


def keys_listed(desk: Desk) -> list[Json]:
    """The keys that tokens are verified with, oldest first."""
    known = desk.find(SigningKeys, SigningKeys.key_of()) or SigningKeys()
    now, signing = desk.now(), known.signing(desk.now())
    return [
        {
            "key": key.kid,
            "made": key.made_at,
            "signs_from": key.signs_from,
            "state": "signs" if key is signing else "signs soon" if key.signs_from > now else "verifies only",
        }
        for key in known.keys
    ]


def rotate_keys(desk: Desk, *, at_once: bool = False) -> SigningKey:
    """A new key, which signs once all have it; at once where that is wanted, or no other signs yet."""
    known = desk.find(SigningKeys, SigningKeys.key_of())
    first = known is None or known.signing(desk.now()) is None
    key = desk.patiently(lambda: desk.authority.ring.rotate(at_once=at_once or first))
    desk.note("signing key made", key=key.kid)
    return key


def forget_key(desk: Desk, kid: str) -> None:
    """Take a key away, and with it all tokens it has signed, within a quarter of an hour. Raises Refused."""
    try:
        desk.patiently(lambda: desk.authority.ring.forget(kid))
    except KeyError:
        raise Refused(f"There is no signing key {kid!r}: see `openbooking tokens keys`.") from None
    desk.note("signing key forgotten", key=kid)
