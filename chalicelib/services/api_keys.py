"""Create, list and revoke API keys of booking partners (AUTH-10)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chalicelib.domain.parties import Json
from chalicelib.identity.callers import make_api_key
from chalicelib.identity.entries import ApiKey, Authorisation
from chalicelib.identity.hashing import digest, new_secret
from chalicelib.identity.scopes import BOOKING
from chalicelib.services.authorisations import Authorisations
from chalicelib.services.entries import SHOWN_OF_A_DIGEST, Entries
from chalicelib.services.journal import Journal
from chalicelib.services.sellers import Sellers
from chalicelib.values import dataclass


def new_api_key(
    key: str,
    partner_id: str,
    now: datetime,
    *,
    allowed: Authorisation | None = None,
    note: str = "",
    live: timedelta | None = None,
) -> ApiKey:
    """An API key that is not saved yet. With `allowed` it is valid for that Seller until the Seller revokes it."""
    return ApiKey(
        digest(key),
        partner_id,
        allowed.seller_id if allowed else None,
        now,
        note=note,
        ends_at=now + live if live is not None else None,
        authorisation_id=allowed.id if allowed else None,
    )


@dataclass(frozen=True)
class ApiKeys:
    """The API keys of one installation."""

    entries: Entries
    journal: Journal
    authorisations: Authorisations
    sellers: Sellers

    def add(
        self, known_as: str, *, seller: str | None = None, note: str = "", days: int | None = None
    ) -> str:
        """Create an API key. With `seller` it may act for that Seller until the Seller revokes it. Raises NotFound."""
        partner, allowed = self.entries.partner(known_as), None
        if seller is not None:
            allowed = self.authorisations.allow(partner.id, self.sellers.find(seller).id, (BOOKING,))
        key = make_api_key(new_secret())
        live = timedelta(days=days) if days is not None else None
        made = new_api_key(key, partner.id, self.entries.clock(), allowed=allowed, note=note, live=live)
        self.entries.add(made, taken="This key exists already.")
        ids = {"partner": partner.id, "key": made.digest[:SHOWN_OF_A_DIGEST]}
        self.journal.note("API key made", **ids, **({"seller": allowed.seller_id} if allowed else {}))
        return key

    def listed(self, known_as: str) -> Sequence[Json]:
        """A partner's API keys, each by the prefix of its digest, as rows to show. Raises NotFound."""
        partner = self.entries.partner(known_as)
        return [
            {
                "key": key.digest[:SHOWN_OF_A_DIGEST],
                "seller": self.sellers.ids.shown(key.seller_id) if key.seller_id else None,
                "note": key.note,
                "made": key.made_at,
                "ends": key.ends_at,
            }
            for key in sorted(self.entries.all_live(ApiKey), key=lambda each: each.made_at)
            if key.partner_id == partner.id
        ]

    def revoke(self, prefix: str) -> ApiKey:
        """Revoke an API key: it is refused after at most five minutes. Raises InvalidValue."""
        key = self.entries.by_prefix(ApiKey, prefix, "API key")
        self.entries.remove(key)
        self.journal.note("API key revoked", partner=key.partner_id, key=key.digest[:SHOWN_OF_A_DIGEST])
        return key
