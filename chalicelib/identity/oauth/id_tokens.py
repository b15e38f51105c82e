"""The ID token that is issued with the first access token of a login (OpenID Connect Core 1.0, section 2)."""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2 import OAuth2Request
from authlib.oidc.core.grants import OpenIDCode
from authlib.oidc.core.util import create_half_hash

from chalicelib.domain.errors import InvalidAuthorizationDetailsError
from chalicelib.domain.identifiers import inward
from chalicelib.identity.claims import authority_url
from chalicelib.identity.entries import AuthorisationCode
from chalicelib.identity.issuing import TokenIssuer
from chalicelib.identity.keys import KeyRing
from chalicelib.identity.tokens import ALGORITHM, ID_TOKEN, UnknownKey


def hinted_seller(token: str, ring: KeyRing, base_url: str, partner_id: str) -> str | None:
    """The Seller of an ID token that we have issued to a partner; None for anything else.

    An expired one is accepted: it only shows which Seller the partner means (OpenID Connect Core 1.0, section 3.1.2.1).
    """
    try:
        header, claims = ring.verify(token)
    except (InvalidAuthorizationDetailsError, UnknownKey):
        return None
    ours = (ID_TOKEN, authority_url(base_url), partner_id)
    if (header.get("typ"), claims.get("iss"), claims.get("aud")) != ours:
        return None
    return inward(str(claims.get("sub")), base_url)


class IdToken(OpenIDCode):  # type: ignore[misc]
    def __init__(self, issuer: TokenIssuer, base_url: str, service: Mapping[str, Any]) -> None:
        super().__init__(require_nonce=False)
        self._issuer, self._base_url, self._service = issuer, base_url, service

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        return False  # a code can be used once, and so can its nonce

    def encode_id_token(self, token: dict[str, Any], request: OAuth2Request) -> str:
        code: AuthorisationCode = request.authorization_code.code
        at_hash = create_half_hash(token["access_token"], ALGORITHM)
        claims = {
            "at_hash": at_hash.decode() if at_hash else None,
            **self.get_authorization_code_claims(request.authorization_code),
            **self._issuer.seller_claims(self._base_url, code.seller_id, code.scopes, self._service),
        }
        return self._issuer.id_token(self._base_url, code.partner_id, claims)
