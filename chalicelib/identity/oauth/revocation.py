"""Revocation of refresh tokens (RFC 7009). Access tokens are not revoked; they expire soon."""

from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint as _RevocationEndpoint

from chalicelib.identity.oauth.backend import HasBackend
from chalicelib.identity.oauth.clients import Client
from chalicelib.identity.oauth.metadata import CLIENT_AUTHENTICATION
from chalicelib.identity.oauth.refresh_grant import RefreshToken


class RevocationEndpoint(_RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = CLIENT_AUTHENTICATION
    server: HasBackend

    def check_params(self, request: OAuth2Request, client: Client) -> None:
        # A hint may be wrong or unknown: it only speeds up the search (RFC 7009, section 2.1).
        if "token" not in request.form:
            raise InvalidRequestError("The token is missing.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> RefreshToken | None:
        # A replaced token also ends the grant: the caller wants to end it. Authlib checks the token's client.
        found = self.server.backend.grants.issued(token_string)
        return None if found is None else RefreshToken(found)

    def revoke_token(self, token: RefreshToken, request: OAuth2Request) -> None:
        self.server.backend.grants.end(token.grant.id)
