"""A booking partner as an OAuth client."""

from authlib.oauth2.rfc6749 import ClientMixin, InvalidRequestError

from chalicelib.identity.credentials import Credentials
from chalicelib.identity.entries import Partner
from chalicelib.identity.oauth.metadata import CLIENT_AUTHENTICATION, RESPONSE_TYPES
from chalicelib.identity.scopes import SCOPES


class Client(ClientMixin):  # type: ignore[misc]
    def __init__(self, partner: Partner, credentials: Credentials) -> None:
        self.partner, self._credentials = partner, credentials
        self.client_id = partner.id

    def get_client_id(self) -> str:
        return self.partner.id

    def get_default_redirect_uri(self) -> str | None:
        known = self.partner.redirect_uris
        return known[0] if len(known) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The requested scopes that this partner may have (RFC 6749, section 3.3)."""
        wanted = scope.split() if scope else self.partner.scopes
        return " ".join(each for each in SCOPES if each in wanted and each in self.partner.scopes) or None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        if redirect_uri not in self.partner.redirect_uris:
            # The Seller reads this on a page.
            raise InvalidRequestError(
                "The service that sent you here wants you sent back to an address that it has not registered: "
                f"{redirect_uri}"
            )
        return True

    def check_client_secret(self, client_secret: str) -> bool:
        return self._credentials.has_secret(self.partner, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in CLIENT_AUTHENTICATION

    def check_response_type(self, response_type: str) -> bool:
        return response_type in RESPONSE_TYPES

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.partner.grant_types
