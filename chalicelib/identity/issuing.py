"""Makes and signs access tokens and ID tokens, with the claims of AUTH-08 and AUTH-09."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.identifiers import outward
from chalicelib.domain.parties import Seller
from chalicelib.identity import claims
from chalicelib.identity.claims import Claims, audience, authority_url
from chalicelib.identity.keys import KeyRing
from chalicelib.identity.scopes import IDENTITY
from chalicelib.identity.tokens import ACCESS_TOKEN, ID_TOKEN
from chalicelib.values import dataclass


@dataclass(frozen=True)
class TokenIssuer:
    """Signs for one installation. `live` is how long a token is valid; `seller` looks up a Seller by its id."""

    keys: KeyRing
    live: timedelta
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    seller: Callable[[str], Seller | None]

    @property
    def live_seconds(self) -> int:
        return int(self.live.total_seconds())

    def access_token(
        self, base_url: str, partner_id: str, seller_id: str | None, scopes: Iterable[str]
    ) -> str:
        """A signed access token (RFC 9068)."""
        named: Claims = {
            "aud": audience(base_url),
            "sub": outward(seller_id, base_url) if seller_id else partner_id,
            "client_id": partner_id,
            "scope": " ".join(scopes),
            "jti": self.new_id(),
            claims.CLIENT_ID: partner_id,
        }
        if seller_id is not None:
            named[claims.SELLER_ID] = outward(seller_id, base_url)
        return self._sign(base_url, named, ACCESS_TOKEN)

    def id_token(self, base_url: str, partner_id: str, named: Claims) -> str:
        """A signed ID token for a partner: these claims, and those that every token has."""
        return self._sign(base_url, {"aud": partner_id, **named}, ID_TOKEN)

    def seller_claims(
        self, base_url: str, seller_id: str, scopes: Iterable[str], service: Mapping[str, Any]
    ) -> Claims:
        """The claims of an ID token about the Seller and this booking service (AUTH-09)."""
        outer_id = outward(seller_id, base_url)
        named: Claims = {"sub": outer_id, claims.SELLER_ID: outer_id}
        seller = self.seller(seller_id)
        if IDENTITY in scopes and seller is not None:
            document = seller.document
            logo = document.get("logo")
            details = {
                claims.SELLER_NAME: document.get("name"),
                claims.SELLER_URL: document.get("url"),
                claims.SELLER_LOGO: logo.get("url") if isinstance(logo, dict) else logo,
                claims.SERVICE_NAME: service.get("name"),
                claims.SERVICE_URL: service.get("url"),
            }
            named |= {name: value for name, value in details.items() if value}
        return named

    def _sign(self, base_url: str, named: Claims, kind: str) -> str:
        now = int(self.clock().timestamp())
        times = {"iat": now, "exp": now + self.live_seconds}
        return self.keys.signer().sign({"iss": authority_url(base_url), **times, **named}, kind)
