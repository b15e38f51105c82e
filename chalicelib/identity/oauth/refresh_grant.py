"""The refresh token grant, with a new refresh token each time (RFC 6749, section 6; RFC 9700, section 4.14.2)."""

from authlib.oauth2.rfc6749 import TokenMixin, grants

from chalicelib.identity.entries import Grant
from chalicelib.identity.oauth.backend import HasBackend
from chalicelib.identity.oauth.clients import Client
from chalicelib.identity.oauth.metadata import CLIENT_AUTHENTICATION


class RefreshToken(TokenMixin):  # type: ignore[misc]
    """A valid refresh token, with its grant."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant

    def check_client(self, client: Client) -> bool:
        return self.grant.partner_id == client.partner.id

    def get_scope(self) -> str:
        return " ".join(self.grant.scopes)


class RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTHENTICATION
    INCLUDE_NEW_REFRESH_TOKEN = True
    server: HasBackend

    def authenticate_refresh_token(self, refresh_token: str) -> RefreshToken | None:
        found = self.server.backend.grants.find(refresh_token, self.request.client.partner.id)
        return None if found is None else RefreshToken(found)

    def authenticate_user(self, refresh_token: RefreshToken) -> Grant:
        return refresh_token.grant

    def revoke_old_credential(self, refresh_token: RefreshToken) -> None:
        """Nothing to do: the new token has replaced it."""
