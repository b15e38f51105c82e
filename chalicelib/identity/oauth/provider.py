"""The provider's endpoints without HTTP: a request in, an answer out, errors as the protocol has them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError

from chalicelib.identity.credentials import VISIBLE
from chalicelib.identity.entries import Authorisation, Partner
from chalicelib.identity.oauth import metadata
from chalicelib.identity.oauth.backend import Backend
from chalicelib.identity.oauth.requests import Answered, Asked
from chalicelib.identity.oauth.server import Server

OAuthError = OAuth2Error


@dataclass(frozen=True)
class AuthorisationRequest:
    """A request for authorisation that was found to be in order."""

    partner: Partner
    scopes: tuple[str, ...]
    grant: Any = field(repr=False)


class Provider:
    """The provider as it is reached at one base URL. Every method answers errors as the protocol has them."""

    def __init__(self, backend: Backend, base_url: str, service: Mapping[str, Any]) -> None:
        """`service` is the `bookingService`, for ID tokens."""
        self._base_url = base_url
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
        """Revocation of a refresh token (RFC 7009). An access token simply ends, soon."""
        return self._say(partial(self._server.create_endpoint_response, "revocation"), asked)

    def _say(self, endpoint: Callable[[Asked], Answered], asked: Asked) -> Answered:
        try:
            return endpoint(asked)
        except OAuth2Error as error:  # one that is found before Authlib looks for errors
            return self.answer(error)

    def authorisation_request(self, parameters: Mapping[str, str]) -> AuthorisationRequest:
        """What a partner asks a Seller for. Raises OAuthError, with `redirect_uri` where the error may be sent there."""
        # Authlib repeats some of them in its errors, in which these may not stand.
        if any(not VISIBLE.fullmatch(value) for value in parameters.values()):
            raise InvalidRequestError("A parameter has characters that do not belong in it.")
        grant = self._server.get_consent_grant(Asked("GET", query=parameters))
        request = grant.request
        # Nobody is ever logged in before: each authorisation begins with a login.
        return AuthorisationRequest(request.client.partner, tuple(request.scope.split()), grant)

    def allow(self, asked_for: AuthorisationRequest, authorisation: Authorisation) -> Answered:
        """Back to the partner with a code."""
        return self._end(asked_for, authorisation)

    def deny(self, asked_for: AuthorisationRequest) -> Answered:
        """Back to the partner with a refusal."""
        return self._end(asked_for, None)

    def _end(self, asked_for: AuthorisationRequest, authorisation: Authorisation | None) -> Answered:
        grant = asked_for.grant
        answered: Answered = self._server.create_authorization_response(
            grant.request, grant_user=authorisation, grant=grant
        )
        return answered

    def answer(self, error: OAuth2Error) -> Answered:
        """An error as the protocol has it."""
        return self._server.handle_response(*error())
