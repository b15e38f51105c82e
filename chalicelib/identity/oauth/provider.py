"""The provider's endpoints, independent of HTTP. Errors are answers in the protocol's form."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oidc.core.errors import LoginRequiredError

from chalicelib.identity.entries import Authorisation, Partner
from chalicelib.identity.oauth import metadata
from chalicelib.identity.oauth.authorisation import PARAMETERS, read_parameters
from chalicelib.identity.oauth.backend import Backend
from chalicelib.identity.oauth.code_grant import Allowed
from chalicelib.identity.oauth.id_tokens import hinted_seller
from chalicelib.identity.oauth.requests import Answered, Asked
from chalicelib.identity.oauth.server import Server
from chalicelib.values import dataclass

__all__ = ["PARAMETERS", "AuthorisationRequest", "OAuthError", "Provider"]

OAuthError = OAuth2Error

# The maximum length of the user name field in the login form.
_LONGEST_HINT = 200


@dataclass(frozen=True)
class AuthorisationRequest:
    """A valid request for authorisation.

    `prompts` are the values of `prompt`, `username` is the user name that the partner expects, `seller_id` the
    Seller that it means. Both are None if the request does not contain them.
    """

    partner: Partner
    scopes: tuple[str, ...]
    prompts: frozenset[str]
    username: str | None
    seller_id: str | None
    grant: Any


class Provider:
    """The provider at one base URL. Every method answers errors in the protocol's form."""

    def __init__(self, backend: Backend, base_url: str, service: Mapping[str, Any]) -> None:
        """`service` is the `bookingService`, for ID tokens."""
        self._base_url = base_url
        self._keys = backend.issuer.keys
        self._server = Server(backend, base_url, service)

    def discovery(self) -> dict[str, Any]:
        """The OpenID Provider Configuration (OpenID Connect Discovery 1.0, section 3)."""
        return metadata.discovery(self._base_url)

    def token(self, asked: Asked) -> Answered:
        """The token endpoint."""
        return self._say(self._server.create_token_response, asked)

    def register(self, asked: Asked) -> Answered:
        """Dynamic client registration (RFC 7591), with an initial access token."""
        return self._say(partial(self._server.create_endpoint_response, "client_registration"), asked)

    def revoke(self, asked: Asked) -> Answered:
        """Revocation of a refresh token (RFC 7009). Access tokens are not revoked; they expire soon."""
        return self._say(partial(self._server.create_endpoint_response, "revocation"), asked)

    def _say(self, endpoint: Callable[[Asked], Answered], asked: Asked) -> Answered:
        try:
            return endpoint(asked)
        except OAuth2Error as error:  # raised outside Authlib's own error handling
            return self.answer(error)

    def authorisation_request(self, parameters: Mapping[str, str]) -> AuthorisationRequest:
        """The request, checked. Raises OAuthError, with `redirect_uri` if the error may be sent there."""
        read = read_parameters(parameters)
        grant = self._server.get_consent_grant(Asked("GET", query=read))
        partner, hint = grant.request.client.partner, read.get("login_hint", "")
        # There are no login sessions: each authorisation begins with a login.
        return AuthorisationRequest(
            partner,
            tuple(grant.request.scope.split()),
            frozenset(read.get("prompt", "").split()),
            hint if 0 < len(hint) <= _LONGEST_HINT else None,
            hinted_seller(read.get("id_token_hint", ""), self._keys, self._base_url, partner.id),
            grant,
        )

    def allow(
        self, asked_for: AuthorisationRequest, authorisation: Authorisation, signed_in_at: datetime
    ) -> Answered:
        """Redirect to the partner with a code."""
        return self._end(asked_for, Allowed(authorisation, signed_in_at))

    def deny(self, asked_for: AuthorisationRequest) -> Answered:
        """Redirect to the partner with a refusal."""
        return self._end(asked_for, None)

    def deny_other_seller(self, asked_for: AuthorisationRequest) -> Answered:
        """Redirect to the partner: this login may not act for the Seller that the partner means."""
        grant = asked_for.grant
        return self.answer(
            LoginRequiredError(redirect_uri=grant.redirect_uri, state=grant.request.payload.state)
        )

    def _end(self, asked_for: AuthorisationRequest, allowed: Allowed | None) -> Answered:
        grant = asked_for.grant
        answered: Answered = self._server.create_authorization_response(
            grant.request, grant_user=allowed, grant=grant
        )
        return answered

    def answer(self, error: OAuth2Error) -> Answered:
        """An error in the protocol's form."""
        return self._server.handle_response(*error())
