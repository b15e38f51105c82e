"""Issuers of access tokens: our own provider, or another one. Both kinds of token are verified locally."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib.domain.errors import InvalidAuthorizationDetailsError, TemporarilyUnavailableError
from chalicelib.identity.callers import Caller, partner_id
from chalicelib.identity.claims import CLIENT_ID, SELLER_ID, Claims, audience, authority_url
from chalicelib.identity.fetching import fetch
from chalicelib.identity.keys import KeyRing
from chalicelib.identity.tokens import ACCESS_TOKEN, Keys, UnknownKey, check_claims
from chalicelib.values import dataclass


@dataclass(frozen=True)
class OwnTokens:
    """Access tokens from the built-in OpenID provider."""

    ring: KeyRing
    clock: Callable[[], datetime]

    def caller(self, token: str, base_url: str) -> Caller:
        try:
            header, claims = self.ring.verify(token)
        except UnknownKey as error:
            raise InvalidAuthorizationDetailsError("The token is of another issuer.") from error
        if str(header.get("typ", "")).lower() != ACCESS_TOKEN:
            raise InvalidAuthorizationDetailsError("That is not an access token.")
        check_claims(claims, self.clock(), issuer=authority_url(base_url), audience=audience(base_url))
        return _caller(claims, CLIENT_ID, SELLER_ID, "scope")


Fetch = Callable[[str], bytes]


@dataclass
class ExternalTokens:
    """Access tokens of another provider: Cognito, Auth0, Keycloak.

    Its keys are found by OpenID Connect Discovery and cached for an hour. For an unknown key they are read again,
    at most every ten seconds. While the provider cannot be reached, the cached keys are used. `audience_claim` is
    for providers that use another claim for the audience, such as Cognito's `token_use`.
    """

    issuer: str
    audience: str
    clock: Callable[[], datetime]
    fetch: Fetch = fetch
    audience_claim: str = "aud"
    client_claim: str = "client_id"
    seller_claim: str = SELLER_ID
    scope_claim: str = "scope"
    kept_for: timedelta = timedelta(hours=1)
    look_again: timedelta = timedelta(seconds=10)
    _keys: Keys | None = None
    _looked_at: datetime | None = None
    _found_at: datetime | None = None

    def caller(self, token: str, base_url: str) -> Caller:
        claims = self._verify(token)
        check_claims(
            claims,
            self.clock(),
            issuer=self.issuer,
            audience=self.audience,
            audience_claim=self.audience_claim,
        )
        return _caller(claims, self.client_claim, self.seller_claim, self.scope_claim)

    def _verify(self, token: str) -> Claims:
        now = self.clock()
        if self._found_at is None or now - self._found_at >= self.kept_for:
            self._look()
        try:
            return self._known().read(token)[1]
        except UnknownKey:
            self._look()
        try:
            return self._known().read(token)[1]
        except UnknownKey as error:
            raise InvalidAuthorizationDetailsError("The token is of another issuer.") from error

    def _known(self) -> Keys:
        if self._keys is None:
            raise TemporarilyUnavailableError(
                "The keys of the identity provider are not available; try again later."
            )
        return self._keys

    def _look(self) -> None:
        now = self.clock()
        if self._looked_at is not None and now - self._looked_at < self.look_again:
            return
        self._looked_at = now
        try:
            discovered = _document(self.fetch(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"))
            if discovered.get("issuer") != self.issuer:
                return
            keys = _document(self.fetch(str(discovered["jwks_uri"])))["keys"]
            if isinstance(keys, list):
                self._keys, self._found_at = Keys(keys), now
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return  # continue with the cached keys


def _document(content: bytes) -> dict[str, Any]:
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document


def _caller(claims: Mapping[str, Any], client_claim: str, seller_claim: str, scope_claim: str) -> Caller:
    client, seller, scope = (claims.get(name) for name in (client_claim, seller_claim, scope_claim))
    if not isinstance(client, str):
        raise InvalidAuthorizationDetailsError("The token does not name a booking partner.")
    named = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else []
    # Cognito and others add the name of the resource in front of each scope.
    scopes = frozenset(str(each).rsplit("/", 1)[-1] for each in named)
    return Caller(partner_id(client), seller if isinstance(seller, str) and seller else None, scopes)
