"""Refresh tokens and signing keys: list, revoke and rotate them."""

from collections.abc import Sequence
from datetime import datetime

from chalicelib.domain.parties import Json
from chalicelib.identity.entries import Authorisation, Grant
from chalicelib.identity.keys import KeyRing, SigningKey, SigningKeys
from chalicelib.services.entries import Entries
from chalicelib.services.errors import InvalidValue, NotFound
from chalicelib.services.journal import Journal
from chalicelib.services.sellers import Sellers
from chalicelib.values import dataclass


@dataclass(frozen=True)
class RefreshTokens:
    """The refresh tokens of one installation, by their grants."""

    entries: Entries
    journal: Journal
    sellers: Sellers

    def listed(self) -> list[Json]:
        """Refresh tokens that are still valid, as rows to show."""
        current = {each.id for each in self.entries.all(Authorisation) if each.stands}
        return [
            {
                "grant": grant.id,
                "partner": grant.partner_id,
                "seller": self.sellers.ids.shown(grant.seller_id),
                "made": grant.made_at,
                "renewed": grant.renewed_at,
                "ends": grant.ends_at,
            }
            for grant in sorted(self.entries.all_live(Grant), key=lambda each: each.made_at)
            if grant.authorisation_id in current
        ]

    def revoke(
        self, grant_id: str | None = None, *, partner: str | None = None, seller: str | None = None
    ) -> Sequence[Grant]:
        """End one grant, or all of a partner, of a Seller, or of both. The Seller must log in again.

        Raises InvalidValue, NotFound.
        """
        if (grant_id is None) == (partner is None and seller is None):
            raise InvalidValue("Which? Name one grant, or a partner, a Seller or both.")
        if grant_id is not None:
            found = self.entries.find(Grant, Grant.key_of(grant_id))
            if found is None:
                raise NotFound("grant", grant_id)
            ended, ids = [found], {"grant": grant_id, "partner": found.partner_id, "seller": found.seller_id}
        else:
            partner_id = self.entries.partner(partner).id if partner is not None else None
            seller_id = self.sellers.find(seller).id if seller is not None else None
            ids = {kind: each for kind, each in (("partner", partner_id), ("seller", seller_id)) if each}
            ended = [
                grant
                for grant in self.entries.all_live(Grant)
                if partner_id in (None, grant.partner_id) and seller_id in (None, grant.seller_id)
            ]
        for grant in ended:
            self.entries.remove(grant)
        self.journal.note("refresh tokens revoked", **ids)
        return ended


@dataclass(frozen=True)
class SigningKeyAdministration:
    """The keys that sign our own tokens."""

    entries: Entries
    journal: Journal
    ring: KeyRing

    def listed(self) -> list[Json]:
        """The keys that verify tokens, oldest first, as rows to show."""
        known, now = self._known(), self.entries.clock()
        return [
            {
                "key": key.kid,
                "made": key.made_at,
                "signs_from": key.signs_from,
                "state": _state(key, known, now),
            }
            for key in known.keys
        ]

    def signs(self, kid: str) -> bool:
        """Whether this is the key that signs now. Raises NotFound."""
        known = self._known()
        if all(key.kid != kid for key in known.keys):
            raise NotFound("signing key", kid)
        signing = known.signing(self.entries.clock())
        return signing is not None and signing.kid == kid

    def rotate(self, *, at_once: bool = False) -> SigningKey:
        """Create a key. It signs when all functions have it; at once with `at_once` or if there is no other key."""
        first = self._known().signing(self.entries.clock()) is None
        key = self.entries.patiently(lambda: self.ring.rotate(at_once=at_once or first))
        self.journal.note("signing key made", key=key.kid)
        return key

    def forget(self, kid: str) -> None:
        """Remove a key. All tokens that it signed are refused within 15 minutes. Raises NotFound."""
        try:
            self.entries.patiently(lambda: self.ring.forget(kid))
        except KeyError:
            raise NotFound("signing key", kid) from None
        self.journal.note("signing key forgotten", key=kid)

    def _known(self) -> SigningKeys:
        return self.entries.find(SigningKeys, SigningKeys.key_of()) or SigningKeys()


def _state(key: SigningKey, known: SigningKeys, now: datetime) -> str:
    if key is known.signing(now):
        return "signs"
    return "signs soon" if key.signs_from > now else "verifies only"
