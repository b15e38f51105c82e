"""Authlib's authorization server with our grants, endpoints and tokens."""

from collections.abc import Mapping
from typing import Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import AuthorizationServer, ClientAuthentication, OAuth2Request
from authlib.oauth2.rfc6749 import InvalidClientError, InvalidGrantError, InvalidRequestError, JsonRequest
from authlib.oauth2.rfc6749.util import extract_basic_authorization

from chalicelib.identity.claims import authority_url
from chalicelib.identity.entries import AuthorisationCode, Grant
from chalicelib.identity.oauth.authorisation import OpenIdChecks
from chalicelib.identity.oauth.backend import Backend
from chalicelib.identity.oauth.client_grant import ClientGrant, allowed_without_login
from chalicelib.identity.oauth.clients import Client
from chalicelib.identity.oauth.code_grant import AlwaysChallenged, CodeGrant
from chalicelib.identity.oauth.id_tokens import IdToken
from chalicelib.identity.oauth.refresh_grant import RefreshGrant
from chalicelib.identity.oauth.registration import RegistrationEndpoint
from chalicelib.identity.oauth.requests import Answered, Asked, FormRequest, metadata_request
from chalicelib.identity.oauth.revocation import RevocationEndpoint
from chalicelib.identity.scopes import OFFLINE


class Server(AuthorizationServer):  # type: ignore[misc]
    def __init__(self, backend: Backend, base_url: str, service: Mapping[str, Any]) -> None:
        super().__init__()
        self.backend, self._base_url = backend, base_url
        self._client_auth = ClientAuthentication(self.query_client)
        self.register_token_generator("default", self._tokens)
        self.register_grant(
            CodeGrant, [OpenIdChecks(), AlwaysChallenged(), IdToken(backend.issuer, base_url, service)]
        )
        self.register_grant(RefreshGrant)
        self.register_grant(ClientGrant)
        self.register_endpoint(RegistrationEndpoint)
        self.register_endpoint(RevocationEndpoint)

    def authenticate_client(
        self, request: OAuth2Request, methods: list[str], endpoint: str = "token"
    ) -> Client:
        try:
            _check_one_way(request)
            client: Client = super().authenticate_client(request, methods, endpoint)
        except (InvalidClientError, ValueError) as error:  # ValueError: a malformed Basic header
            # The same answer for unknown partners, so that ids cannot be probed.
            raise InvalidClientError(status_code=401) from error
        return client

    def query_client(self, client_id: str) -> Client | None:
        partner = self.backend.credentials.partner(client_id)
        return None if partner is None else Client(partner, self.backend.credentials)

    def _tokens(
        self,
        grant_type: str,
        client: Client,
        user: AuthorisationCode | Grant | None,
        scope: str | None,
        expires_in: int | None,
        include_refresh_token: bool,
    ) -> dict[str, Any]:
        grants, issuer = self.backend.grants, self.backend.issuer
        if user is None:
            seller_id, scopes = allowed_without_login(client, scope, self.backend.consent)
        else:
            seller_id, scopes = user.seller_id, tuple(scope.split()) if scope else user.scopes
        token = {
            "token_type": "Bearer",
            "access_token": issuer.access_token(self._base_url, client.partner.id, seller_id, scopes),
            "expires_in": issuer.live_seconds,
            "scope": " ".join(scopes),
        }
        if isinstance(user, AuthorisationCode) and include_refresh_token and OFFLINE in user.scopes:
            token["refresh_token"] = _not_just_used(grants.open(user))
        if isinstance(user, Grant):
            token["refresh_token"] = _not_just_used(grants.renew(user))
        return token

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        """Nothing to do: access tokens are not stored, and refresh tokens are already stored."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nothing to do: Authlib's signals are not used."""

    def create_oauth2_request(self, request: Asked) -> FormRequest:
        return FormRequest(request)

    def create_json_request(self, request: Asked) -> JsonRequest:
        return metadata_request(request)

    def handle_response(self, status: int, body: Any, headers: Any) -> Answered:
        # No answer of the provider may be cached (RFC 6749, section 5.1).
        given = {"Cache-Control": "no-store", **dict(headers)}
        given.pop("Content-Type", None)
        if "Location" in given:
            # A partner of several booking systems must know which of them answers (RFC 9207, section 2).
            given["Location"] = add_params_to_uri(given["Location"], [("iss", authority_url(self._base_url))])
        document = dict(body) if body and not isinstance(body, str) else None
        return Answered(int(status), document, given)


def _check_one_way(request: OAuth2Request) -> None:
    """Raises InvalidRequestError if a request has two ways of client authentication (RFC 6749, section 2.3)."""
    form, has_header = request.form, bool(request.headers.get("Authorization"))
    if has_header + ("client_secret" in form) + ("client_assertion" in form) > 1:
        raise InvalidRequestError("The request uses more than one way of client authentication.")
    if has_header and form.get("client_id") not in (None, extract_basic_authorization(request.headers)[0]):
        raise InvalidRequestError("The client_id differs from that in the Authorization header.")


def _not_just_used(refresh_token: str | None) -> str:
    if refresh_token is None:
        raise InvalidGrantError("Another request has just used it.")
    return refresh_token
