"""Booking partners: who they are, their secrets, their API keys, and invitations to become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.errors import InvalidAuthorizationDetailsError
from chalicelib.domain.parties import Json
from chalicelib.identity.authority import GRANT_TYPES, SCOPES
from chalicelib.identity.callers import BOOKING, make_api_key, partner_id
from chalicelib.identity.hashing import digest
from chalicelib.identity.register import ApiKey, Authorisation, Grant, Invitation, Partner, Secret
from openbooking.identities.desk import SHOWN_OF_A_DIGEST, Desk, Refused
from openbooking.identities.sellers import allow, end_authorisation


def add(
    desk: Desk,
    name: str,
    *,
    own_id: str | None = None,
    redirect_uris: Sequence[str] = (),
    seller: str | None = None,
    url: str | None = None,
) -> tuple[Partner, str]:
    """A new partner and its secret. With `seller` it may act for that one without a login. Raises Refused."""
    from chalicelib.identity.provider import may_be_redirected_to

    if not name.strip():
        raise Refused("A booking partner needs a name: it is shown to Sellers who are asked to allow it.")
    for uri in redirect_uris:
        if not may_be_redirected_to(uri):
            raise Refused(f"{uri} must be an https URL, or http on localhost.")
    if url is not None and not url.startswith(("https://", "http://")):
        raise Refused(f"{url} is not an http or https URL.")
    try:
        new_id = partner_id(own_id if own_id is not None else desk.authority.new_id())
    except InvalidAuthorizationDetailsError:
        raise Refused("An id is made of up to 100 letters, digits and . _ ~ -") from None
    acts_for = {"seller": desk.seller(seller).id} if seller is not None else {}
    secret, now = desk.authority.new_secret(), desk.now()
    made = Partner(
        new_id,
        name.strip(),
        now,
        secrets=(Secret(digest(secret), now),),
        redirect_uris=tuple(redirect_uris),
        grant_types=GRANT_TYPES,
        scopes=SCOPES,
        url=url,
        seller_id=acts_for.get("seller"),
    )
    partner = desk.add(made, taken=f"There is a booking partner {new_id} already.")
    desk.note("partner added", partner=new_id, **acts_for)
    if partner.seller_id is not None:
        allow(desk, partner.id, partner.seller_id, (BOOKING,))
    return partner, secret


def listed(desk: Desk) -> list[Json]:
    """All partners with the Sellers that allow them now."""
    allowed: dict[str, list[str]] = {}
    for given in desk.all(Authorisation):
        if given.stands:
            allowed.setdefault(given.partner_id, []).append(desk.shown(given.seller_id))
    return [
        {
            "id": partner.id,
            "name": partner.name,
            "made": partner.made_at,
            "state": _state(desk, partner),
            "sellers": sorted(allowed.get(partner.id, [])),
        }
        for partner in sorted(desk.all(Partner), key=lambda each: each.made_at)
    ]


def shown(desk: Desk, known_as: str) -> Json:
    """One partner, with all that Sellers have ever allowed it. Raises Refused."""
    partner = desk.partner(known_as)
    return {
        "id": partner.id,
        "name": partner.name,
        "url": partner.url,
        "made": partner.made_at,
        "registered_itself": partner.invited_with is not None,
        "state": _state(desk, partner),
        "redirect_uris": list(partner.redirect_uris),
        "scopes": list(partner.scopes),
        "secrets": [
            f"made {each.made_at:%Y-%m-%d %H:%M}" + (f", ends {each.ends_at:%Y-%m-%d %H:%M}" if each.ends_at else "")
            for each in partner.secrets
            if each.is_good(desk.now())
        ],
        "acts_alone_for": desk.shown(partner.seller_id) if partner.seller_id else None,
        "api_keys": sum(key.partner_id == partner.id for key in desk.all_live(ApiKey)),
        "allowed_by": [
            {
                "seller": desk.shown(given.seller_id),
                "scopes": list(given.scopes),
                "given": given.given_at,
                "given_by": given.given_by,
                "revoked": given.revoked_at,
            }
            for given in desk.patiently(lambda: desk.register.authorisations_of(partner.id))
        ],
    }  # fmt: skip


def _state(desk: Desk, partner: Partner) -> str:
    if partner.suspended:
        return "suspended"
    return "active" if any(each.is_good(desk.now()) for each in partner.secrets) else "without a secret"


def suspend(desk: Desk, known_as: str) -> Partner:
    """No tokens for it from now on; what Sellers have allowed it stays. Raises Refused."""
    return _set_suspended(desk, known_as, suspended=True)


def resume(desk: Desk, known_as: str) -> Partner:
    """As before it was suspended. Raises Refused."""
    return _set_suspended(desk, known_as, suspended=False)


def _set_suspended(desk: Desk, known_as: str, *, suspended: bool) -> Partner:
    partner = desk.partner(known_as)
    if partner.suspended is suspended:
        raise Refused(f"Booking partner {partner.id} is {'' if suspended else 'not '}suspended.")
    changed = desk.change(partner, lambda found: replace(found, suspended=suspended))
    desk.note("partner suspended" if suspended else "partner resumed", partner=partner.id)
    return changed


def rotate_secret(desk: Desk, known_as: str, *, keep_old: timedelta) -> str:
    """A new secret. Of those before, the newest is good for so long; any other ends now. Raises Refused."""
    partner = desk.partner(known_as)
    secret, now = desk.authority.new_secret(), desk.now()
    new = Secret(digest(secret), now)

    def with_new(found: Partner) -> Partner:
        good = [each for each in found.secrets if each.is_good(now) and each != new]
        kept = [
            replace(each, ends_at=min(each.ends_at or now + keep_old, now + keep_old)) for each in good[-1:]
        ]
        return replace(found, secrets=(*(kept if keep_old else ()), new))

    desk.change(partner, with_new)
    desk.note("secret rotated", partner=partner.id)
    return secret


def revoke(desk: Desk, known_as: str) -> Json:
    """End all that a partner has: secrets, API keys, refresh tokens, what Sellers allow it; its Orders stay.

    Secrets first, so that nothing new comes up meanwhile; done again, it does what is left. Raises Refused.
    """
    partner = desk.partner(known_as)
    desk.change(partner, lambda found: replace(found, suspended=True, secrets=()))
    keys = [key for key in desk.all(ApiKey) if key.partner_id == partner.id]
    grants = [grant for grant in desk.all(Grant) if grant.partner_id == partner.id]
    for key in keys:
        desk.remove(key)
    for grant in grants:
        desk.remove(grant)
    given = desk.patiently(lambda: desk.register.authorisations_of(partner.id))
    allowed = [each for each in given if each.revoked_at is None]
    for each in allowed:
        end_authorisation(desk, partner.id, each.seller_id)
    desk.note("partner revoked", partner=partner.id)
    return {"authorisations": len(allowed), "API keys": len(keys), "refresh tokens": len(grants)}


# --- API keys ---------------------------------------------------------------------------------


def make_key(
    desk: Desk, known_as: str, *, seller: str | None = None, note: str = "", days: int | None = None
) -> str:
    """A new API key. With `seller` it may act for that one, until the Seller revokes. Raises Refused."""
    partner = desk.partner(known_as)
    allowed = None
    if seller is not None:
        allowed = allow(desk, partner.id, desk.seller(seller).id, (BOOKING,))
    key, now = make_api_key(desk.authority.new_secret()), desk.now()
    made = ApiKey(
        digest(key),
        partner.id,
        allowed.seller_id if allowed else None,
        now,
        note=note,
        ends_at=now + timedelta(days=days) if days is not None else None,
        authorisation_id=allowed.id if allowed else None,
    )
    desk.add(made, taken="There is such a key already.")
    ids = {"partner": partner.id, "key": made.digest[:SHOWN_OF_A_DIGEST]}
    desk.note("API key made", **ids, **({"seller": allowed.seller_id} if allowed else {}))
    return key


def keys_listed(desk: Desk, known_as: str) -> list[Json]:
    """A partner's API keys, by the beginning of what is kept of them. Raises Refused."""
    partner = desk.partner(known_as)
    return [
        {
            "key": key.digest[:SHOWN_OF_A_DIGEST],
            "seller": desk.shown(key.seller_id) if key.seller_id else None,
            "note": key.note,
            "made": key.made_at,
            "ends": key.ends_at,
        }
        for key in sorted(desk.all_live(ApiKey), key=lambda each: each.made_at)
        if key.partner_id == partner.id
    ]


def revoke_key(desk: Desk, prefix: str) -> ApiKey:
    """End an API key: refused at the latest five minutes from now. Raises Refused."""
    key = desk.by_prefix(ApiKey, prefix, "API key")
    desk.remove(key)
    desk.note("API key revoked", partner=key.partner_id, key=key.digest[:SHOWN_OF_A_DIGEST])
    return key


# --- invitations ------------------------------------------------------------------------------


def invite(desk: Desk, *, note: str = "", uses: int = 1, days: int = 14) -> str:
    """An initial access token: whoever has it may register as a partner."""
    token, now = desk.authority.new_secret(), desk.now()
    made = Invitation(digest(token), note, now, now + timedelta(days=days), uses)
    desk.add(made, taken="There is such an invitation already.")
    desk.note("invitation made", invitation=made.digest[:SHOWN_OF_A_DIGEST])
    return token


def invitations_listed(desk: Desk) -> list[Json]:
    """Invitations that can still be used."""
    return [
        {
            "invitation": each.digest[:SHOWN_OF_A_DIGEST],
            "note": each.note,
            "uses_left": "any" if each.uses_left is None else each.uses_left,
            "made": each.made_at,
            "ends": each.ends_at,
        }
        for each in sorted(desk.all_live(Invitation), key=lambda each: each.made_at)
        if each.uses_left != 0
    ]


def uninvite(desk: Desk, prefix: str) -> Invitation:
    """Take an invitation back. Whoever has registered with it stays. Raises Refused."""
    invitation = desk.by_prefix(Invitation, prefix, "invitation")
    desk.remove(invitation)
    desk.note("invitation withdrawn", invitation=invitation.digest[:SHOWN_OF_A_DIGEST])
    return invitation
