"""Booking partners: their details, secrets and registration (AUTH-05)."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from chalicelib.domain.errors import InvalidAuthorizationDetailsError
from chalicelib.domain.parties import Json
from chalicelib.identity.callers import partner_id as checked_id
from chalicelib.identity.credentials import may_be_redirected_to
from chalicelib.identity.entries import ApiKey, Authorisation, Grant, Invitation, Partner, Secret
from chalicelib.identity.hashing import digest, new_secret
from chalicelib.identity.scopes import BOOKING, GRANT_TYPES, SCOPES
from chalicelib.services.authorisations import Authorisations
from chalicelib.services.desk.partner import DESK
from chalicelib.services.entries import Entries
from chalicelib.services.errors import InvalidValue
from chalicelib.services.journal import Journal
from chalicelib.services.sellers import Sellers
from chalicelib.services.suspension import Suspendable
from chalicelib.storage.errors import RecordChanged
from chalicelib.values import dataclass, replace


def new_partner(
    partner_id: str,
    name: str,
    secret: str,
    now: datetime,
    *,
    redirect_uris: Sequence[str] = (),
    grant_types: Sequence[str] = GRANT_TYPES,
    scopes: Sequence[str] = SCOPES,
    url: str | None = None,
    seller_id: str | None = None,
    invited_with: str | None = None,
) -> Partner:
    """A booking partner that is not saved yet, with its first secret. Raises InvalidValue."""
    if not name.strip():
        raise InvalidValue(
            "A booking partner needs a name: Sellers see it when they are asked to allow the partner."
        )
    for uri in redirect_uris:
        if not may_be_redirected_to(uri):
            raise InvalidValue(f"{uri} must be an https URL, or http on localhost.")
    try:
        checked_id(partner_id)
    except InvalidAuthorizationDetailsError:
        raise InvalidValue("An id consists of up to 100 letters, digits and . _ ~ -") from None
    return Partner(
        partner_id,
        name.strip(),
        now,
        secrets=(Secret(digest(secret), now),),
        redirect_uris=tuple(redirect_uris),
        grant_types=tuple(grant_types),
        scopes=tuple(scopes),
        url=url,
        seller_id=seller_id,
        invited_with=invited_with,
    )


@dataclass(frozen=True)
class Partners(Suspendable[Partner]):
    """The booking partners of one installation. A suspended one gets no tokens; its authorisations stay."""

    kind: ClassVar[str] = "partner"

    entries: Entries
    journal: Journal
    authorisations: Authorisations
    sellers: Sellers
    new_id: Callable[[], str]

    def add(
        self,
        name: str,
        *,
        own_id: str | None = None,
        redirect_uris: Sequence[str] = (),
        seller: str | None = None,
        url: str | None = None,
    ) -> tuple[Partner, str]:
        """Add a partner. Returns it and its secret. With `seller` it may act for that Seller without a login.

        Raises InvalidValue, NotFound, AlreadyExists.
        """
        if url is not None and not url.startswith(("https://", "http://")):
            raise InvalidValue(f"{url} is not an http or https URL.")
        if own_id is not None and own_id.startswith(DESK):
            raise InvalidValue(
                f"{own_id} cannot be used: ids that begin with {DESK} are of Sellers' own desks."
            )
        secret = new_secret()
        made = new_partner(
            own_id if own_id is not None else self.new_id(),
            name,
            secret,
            self.entries.clock(),
            redirect_uris=redirect_uris,
            url=url,
        )
        acts_for = {"seller": self.sellers.find(seller).id} if seller is not None else {}
        made = replace(made, seller_id=acts_for.get("seller"))
        partner = self.entries.add(made, taken=f"There is a booking partner {made.id} already.")
        self.journal.note("partner added", partner=partner.id, **acts_for)
        if partner.seller_id is not None:
            self.authorisations.allow(partner.id, partner.seller_id, (BOOKING,))
        return partner, secret

    def register(
        self,
        invitation: Invitation,
        name: str,
        *,
        redirect_uris: Sequence[str] = (),
        grant_types: Sequence[str] = GRANT_TYPES,
        scopes: Sequence[str] = SCOPES,
        url: str | None = None,
    ) -> tuple[Partner, str] | None:
        """A new partner that registers itself, and its secret; None if the invitation is used up meanwhile.

        The partner and the use of the invitation are one write. Raises InvalidValue, StillBusy.
        """
        register, now, secret = self.entries.register, self.entries.clock(), new_secret()

        def once() -> Partner | None:
            current = register.find(Invitation, invitation.key)
            if current is None or current.uses_left == 0:
                return None
            partner = new_partner(
                self.new_id(),
                name,
                secret,
                now,
                redirect_uris=redirect_uris,
                grant_types=grant_types,
                scopes=scopes,
                url=url,
                invited_with=current.digest,
            )
            if current.uses_left is None:
                return register.save(partner)
            return register.save(partner, replace(current, uses_left=current.uses_left - 1))

        partner = self.entries.retry.run(once, on=(RecordChanged,))
        return None if partner is None else (partner, secret)

    def listed(self) -> list[Json]:
        """All partners with the Sellers that currently allow them, as rows to show."""
        allowed: dict[str, list[str]] = {}
        for given in self.entries.all(Authorisation):
            if given.stands:
                allowed.setdefault(given.partner_id, []).append(self.sellers.ids.shown(given.seller_id))
        return [
            {
                "id": partner.id,
                "name": partner.name,
                "made": partner.made_at,
                "state": self._state(partner),
                "sellers": sorted(allowed.get(partner.id, [])),
            }
            for partner in sorted(self.entries.all(Partner), key=lambda each: each.made_at)
        ]

    def shown(self, known_as: str) -> Json:
        """One partner with all its authorisations, also revoked ones, as a row to show. Raises NotFound."""
        partner, shown = self.entries.partner(known_as), self.sellers.ids.shown
        given = self.entries.patiently(lambda: self.entries.register.authorisations_of(partner.id))
        return {
            "id": partner.id,
            "name": partner.name,
            "url": partner.url,
            "made": partner.made_at,
            "registered_itself": partner.invited_with is not None,
            "state": self._state(partner),
            "redirect_uris": list(partner.redirect_uris),
            "scopes": list(partner.scopes),
            "secrets": [
                f"made {each.made_at:%Y-%m-%d %H:%M}"
                + (f", ends {each.ends_at:%Y-%m-%d %H:%M}" if each.ends_at else "")
                for each in partner.secrets
                if each.is_good(self.entries.clock())
            ],
            "acts_alone_for": shown(partner.seller_id) if partner.seller_id else None,
            "api_keys": sum(key.partner_id == partner.id for key in self.entries.all_live(ApiKey)),
            "allowed_by": [
                {
                    "seller": shown(each.seller_id),
                    "scopes": list(each.scopes),
                    "given": each.given_at,
                    "given_by": each.given_by,
                    "revoked": each.revoked_at,
                }
                for each in given
            ],
        }

    def _state(self, partner: Partner) -> str:
        if partner.suspended:
            return "suspended"
        now = self.entries.clock()
        return "active" if any(each.is_good(now) for each in partner.secrets) else "without a secret"

    def _suspendable(self, known_as: str) -> tuple[Partner, str, str]:
        partner = self.entries.partner(known_as)
        return partner, f"Booking partner {partner.id}", partner.id

    def rotate_secret(self, known_as: str, *, keep_old: timedelta) -> str:
        """Add a secret. The newest earlier one stays valid for `keep_old`; all others end now. Raises NotFound."""
        partner = self.entries.partner(known_as)
        secret, now = new_secret(), self.entries.clock()
        new = Secret(digest(secret), now)

        def with_new(found: Partner) -> Partner:
            good = [each for each in found.secrets if each.is_good(now) and each != new]
            kept = [
                replace(each, ends_at=min(each.ends_at or now + keep_old, now + keep_old))
                for each in good[-1:]
            ]
            return replace(found, secrets=(*(kept if keep_old else ()), new))

        self.entries.change(partner, with_new)
        self.journal.note("secret rotated", partner=partner.id)
        return secret

    def revoke(self, known_as: str) -> dict[str, int]:
        """End a partner's secrets, API keys, refresh tokens and authorisations; its Orders stay.

        Secrets end first, so that nothing new is issued meanwhile; a second call completes an interrupted one.
        Returns how many of each kind ended. Raises NotFound.
        """
        partner, entries = self.entries.partner(known_as), self.entries
        entries.change(partner, lambda found: replace(found, suspended=True, secrets=()))
        keys = [key for key in entries.all(ApiKey) if key.partner_id == partner.id]
        grants = [grant for grant in entries.all(Grant) if grant.partner_id == partner.id]
        for entry in (*keys, *grants):
            entries.remove(entry)
        given = entries.patiently(lambda: entries.register.authorisations_of(partner.id))
        allowed = [each for each in given if each.revoked_at is None]
        for each in allowed:
            self.authorisations.end(partner.id, each.seller_id)
        self.journal.note("partner revoked", partner=partner.id)
        return {"authorisations": len(allowed), "API keys": len(keys), "refresh tokens": len(grants)}
