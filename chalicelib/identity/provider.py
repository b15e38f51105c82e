"""OAuth 2 and OpenID Connect as partners speak them. The home of Authlib, which knows the protocol.

What may be given to whom is decided in `authority`; here requests are turned into its questions, and its
answers into responses. Loaded only by the endpoints below /auth: booking needs none of it.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth2 import AuthorizationServer as _AuthorizationServer
from authlib.oauth2 import ClientAuthentication as _ClientAuthentication
from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import (
    ClientMixin,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    JsonRequest,
    TokenMixin,
    grants,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload, JsonPayload
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7591 import ClientRegistrationEndpoint
from authlib.oauth2.rfc7591.errors import InvalidClientMetadataError
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import AuthorizationCodeMixin
from authlib.oidc.core.grants import OpenIDCode
from authlib.oidc.core.util import create_half_hash

from chalicelib.identity.authority import GRANT_TYPES, OFFLINE, SCOPES, Authority
from chalicelib.identity.callers import BOOKING, ORDERS_FEED
from chalicelib.identity.issuers import authority_url
from chalicelib.identity.register import Authorisation, AuthorisationCode, Grant, Invitation, Partner
from chalicelib.identity.tokens import ALGORITHM, ID_TOKEN

CLIENT_AUTHENTICATION = ["client_secret_basic", "client_secret_post"]
_CODE_CHALLENGE = "S256"

# A request is only looked at for its parameters; that it came over TLS is the gateway's business.
_VISIBLE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")
_SECURE_URI = "https://provider.invalid/"

# What a partner may say of itself. It fits its row, and the page on which it is shown.
_MAX_METADATA_BYTES = 16 * 1024
_LISTS = {"redirect_uris", "grant_types", "response_types", "contacts"}
_TEXTS = {
    "client_name",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "scope",
    "software_id",
    "software_version",
    "token_endpoint_auth_method",
    "tos_uri",
}
# Host and port as they may stand in a Content-Security-Policy, which a `;` would end.
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")

OAuthError = OAuth2Error


@dataclass(frozen=True)
class Asked:
    """A request to the provider: the body as it came, headers with names in lower case."""

    method: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def form(self) -> dict[str, str]:
        """The fields of an HTML form. Raises InvalidRequestError for a duplicate field (RFC 6749, 3.2)."""
        try:
            pairs = parse_qsl(self.body.decode(), keep_blank_values=True, max_num_fields=50)
        except ValueError as error:
            raise InvalidRequestError("The form cannot be read.") from error
        fields: dict[str, str] = {}
        for name, value in pairs:
            if name in fields:
                # Only what may stand in an error_description (RFC 6749, section 5.2) is repeated in it.
                raise InvalidRequestError(
                    f"Duplicate parameter{f': {name}' if _NAME.fullmatch(name) else ''}."
                )
            fields[name] = value
        return fields


@dataclass(frozen=True)
class Answered:
    """What the provider says: a JSON document, or a place to go to."""

    status: int
    document: dict[str, Any] | None
    headers: dict[str, str]


class Provider:
    """The provider as it is reached at one base URL. Every method answers errors as the protocol has them."""

    def __init__(self, authority: Authority, base_url: str, service: Mapping[str, Any]) -> None:
        """`service` is the `bookingService`, for ID tokens."""
        self.authority, self.base_url = authority, base_url
        self._server = _Server(self, service)

    def discovery(self) -> dict[str, Any]:
        """The OpenID Provider Configuration (OpenID Connect Discovery 1.0, section 3)."""
        here = authority_url(self.base_url)
        return {
            "issuer": here,
            "authorization_endpoint": f"{here}/authorize",
            "token_endpoint": f"{here}/token",
            "registration_endpoint": f"{here}/register",
            "revocation_endpoint": f"{here}/revoke",
            "jwks_uri": f"{here}/jwks",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": list(GRANT_TYPES),
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
            "revocation_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
            "code_challenge_methods_supported": [_CODE_CHALLENGE],
            "claims_supported": [
                "iss", "aud", "sub", "exp", "iat", "auth_time", "nonce", "at_hash",
                *(f"https://openactive.io/{name}" for name in (
                    "sellerId", "sellerName", "sellerUrl", "sellerLogo",
                    "bookingServiceName", "bookingServiceUrl",
                )),
            ],
        }  # fmt: skip

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

    def authorisation_request(self, parameters: Mapping[str, str]) -> "AuthorisationRequest":
        """What a partner asks a Seller for. Raises OAuthError, with `redirect_uri` where it may be told there."""
        # Authlib repeats some of them in its errors, in which these may not stand.
        if any(not _VISIBLE.fullmatch(value) for value in parameters.values()):
            raise InvalidRequestError("A parameter has characters that do not belong in it.")
        grant = self._server.get_consent_grant(Asked("GET", query=parameters))
        request = grant.request
        # Nobody is ever logged in before: each authorisation begins with a login.
        return AuthorisationRequest(request.client.partner, tuple(request.scope.split()), grant)

    def allow(self, asked_for: "AuthorisationRequest", authorisation: Authorisation) -> Answered:
        """Back to the partner with a code."""
        return self._end(asked_for, authorisation)

    def deny(self, asked_for: "AuthorisationRequest") -> Answered:
        """Back to the partner with a refusal."""
        return self._end(asked_for, None)

    def _end(self, asked_for: "AuthorisationRequest", authorisation: Authorisation | None) -> Answered:
        grant = asked_for.grant
        answered: Answered = self._server.create_authorization_response(
            grant.request, grant_user=authorisation, grant=grant
        )
        return answered

    def answer(self, error: OAuth2Error) -> Answered:
        """An error as the protocol has it."""
        return self._server.handle_response(*error())


@dataclass(frozen=True)
class AuthorisationRequest:
    """A request for authorisation that was found to be in order."""

    partner: Partner
    scopes: tuple[str, ...]
    grant: Any = field(repr=False)


# --- what Authlib asks for --------------------------------------------------------------------


class _Request(OAuth2Request):  # type: ignore[misc]
    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.method, _SECURE_URI, headers=_titled(asked.headers))
        self._form = asked.form() if asked.method == "POST" else {}
        self._query = dict(asked.query)
        self.payload = BasicOAuth2Payload(self._form or self._query)

    @property
    def args(self) -> dict[str, str]:
        return self._query

    @property
    def form(self) -> dict[str, str]:
        return self._form


class _Document(JsonPayload):  # type: ignore[misc]
    def __init__(self, body: bytes) -> None:
        self._body = body

    @property
    def data(self) -> dict[str, Any]:
        if len(self._body) > _MAX_METADATA_BYTES:
            raise InvalidRequestError(f"The body may have at most {_MAX_METADATA_BYTES} bytes.")
        try:
            document = json.loads(self._body)
            json.dumps(document, ensure_ascii=False).encode()  # there are no halves of characters in it
        except (ValueError, RecursionError) as error:
            raise InvalidRequestError("The body is not JSON.") from error
        if not isinstance(document, dict):
            raise InvalidRequestError("The body is not a JSON object.")
        # What we do not know is left out (RFC 7591, section 2).
        return {name: value for name, value in document.items() if name in _LISTS or name in _TEXTS}


def _titled(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.title(): value for name, value in headers.items()}


class _Client(ClientMixin):  # type: ignore[misc]
    def __init__(self, partner: Partner, authority: Authority) -> None:
        self.partner, self._authority = partner, authority
        self.client_id = partner.id

    def get_client_id(self) -> str:
        return self.partner.id

    def get_default_redirect_uri(self) -> str | None:
        known = self.partner.redirect_uris
        return known[0] if len(known) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """As much of what was asked for as this partner may have (RFC 6749, section 3.3)."""
        wanted = scope.split() if scope else self.partner.scopes
        return " ".join(each for each in SCOPES if each in wanted and each in self.partner.scopes) or None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        if redirect_uri not in self.partner.redirect_uris:
            # In the words of the page on which the Seller reads it.
            raise InvalidRequestError(
                "The service that sent you here wants you sent back to an address that it has not registered: "
                f"{redirect_uri}"
            )
        return True

    def check_client_secret(self, client_secret: str) -> bool:
        return self._authority.has_secret(self.partner, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in CLIENT_AUTHENTICATION

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.partner.grant_types


class _Code(AuthorizationCodeMixin):  # type: ignore[misc]
    code_challenge_method = _CODE_CHALLENGE

    def __init__(self, code: AuthorisationCode) -> None:
        self.code = code
        self.code_challenge = code.code_challenge

    def get_redirect_uri(self) -> str:
        return self.code.redirect_uri

    def get_scope(self) -> str:
        return " ".join(self.code.scopes)

    def get_nonce(self) -> str | None:
        return self.code.nonce

    def get_auth_time(self) -> int:
        return int(self.code.signed_in_at.timestamp())


class _Refreshing(TokenMixin):  # type: ignore[misc]
    def __init__(self, grant: Grant) -> None:
        self.grant = grant

    def check_client(self, client: _Client) -> bool:
        return self.grant.partner_id == client.partner.id

    def get_scope(self) -> str:
        return " ".join(self.grant.scopes)


class _CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTHENTICATION
    server: "_Server"

    def generate_authorization_code(self) -> str:
        return self.server.authority.new_secret()

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        parameters = request.payload.data
        self.server.authority.keep_code(
            code,
            request.client.partner.id,
            request.user,
            tuple(request.scope.split()),
            request.payload.redirect_uri or request.client.get_default_redirect_uri(),
            parameters["code_challenge"],
            parameters.get("nonce"),
        )

    def query_authorization_code(self, code: str, client: _Client) -> _Code | None:
        redeemed = self.server.authority.redeem(code, client.partner.id)
        return None if redeemed is None else _Code(redeemed)

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        """It was used up when it was found."""

    def authenticate_user(self, authorization_code: _Code) -> AuthorisationCode:
        return authorization_code.code


class _RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTHENTICATION
    INCLUDE_NEW_REFRESH_TOKEN = True
    server: "_Server"

    def authenticate_refresh_token(self, refresh_token: str) -> _Refreshing | None:
        found = self.server.authority.grant(refresh_token)
        return None if found is None else _Refreshing(found)

    def authenticate_user(self, refresh_token: _Refreshing) -> Grant:
        return refresh_token.grant

    def revoke_old_credential(self, refresh_token: _Refreshing) -> None:
        """It was replaced when the new one was made."""


class _ClientGrant(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTHENTICATION


class _AlwaysChallenged(CodeChallenge):  # type: ignore[misc]
    """PKCE for every partner, with S256 alone (RFC 9700, section 2.1.1)."""

    SUPPORTED_CODE_CHALLENGE_METHOD = [_CODE_CHALLENGE]  # noqa: RUF012 - Authlib's own name and type

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        parameters = grant.request.payload.data
        if not parameters.get("code_challenge") or parameters.get("code_challenge_method") != _CODE_CHALLENGE:
            raise InvalidRequestError("A code_challenge with code_challenge_method S256 is required.")
        super().validate_code_challenge(grant, redirect_uri)


class _IdToken(OpenIDCode):  # type: ignore[misc]
    def __init__(self, provider: Provider, service: Mapping[str, Any]) -> None:
        super().__init__(require_nonce=False)
        self._provider, self._service = provider, service

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        return False  # a code is good once, and so is the nonce that goes with it

    def encode_id_token(self, token: dict[str, Any], request: OAuth2Request) -> str:
        authority, base_url = self._provider.authority, self._provider.base_url
        code: AuthorisationCode = request.authorization_code.code
        now = int(authority.clock().timestamp())
        at_hash = create_half_hash(token["access_token"], ALGORITHM)
        claims = {
            "iss": authority_url(base_url),
            "aud": code.partner_id,
            "iat": now,
            "exp": now + int(authority.lifetimes.access_token.total_seconds()),
            "at_hash": at_hash.decode() if at_hash else None,
            **self.get_authorization_code_claims(request.authorization_code),
            **authority.seller_claims(base_url, code.seller_id, code.scopes, self._service),
        }
        return authority.ring.signer().sign(claims, ID_TOKEN)


class _Registration(ClientRegistrationEndpoint):  # type: ignore[misc]
    server: "_Server"

    def get_server_metadata(self) -> dict[str, Any]:
        return {
            "grant_types_supported": list(GRANT_TYPES),
            "response_types_supported": ["code"],
            "token_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        }

    def authenticate_token(self, request: JsonRequest) -> Invitation:
        scheme, _, token = str(request.headers.get("Authorization", "")).partition(" ")
        invitation = None
        if scheme.lower() == "bearer":
            invitation = self.server.authority.invitation(token.strip())
        if invitation is None:
            raise _InvalidToken("The initial access token is missing, unknown, used up or has ended.")
        return invitation

    def extract_client_metadata(self, request: JsonRequest) -> dict[str, Any]:
        _check_types(request.payload.data)
        metadata: dict[str, Any] = super().extract_client_metadata(request)
        metadata.setdefault("grant_types", ["authorization_code"])
        metadata.setdefault("response_types", ["code"])
        uris = metadata.get("redirect_uris", [])
        if not metadata.get("client_name"):
            raise InvalidClientMetadataError("client_name is required.")
        if "authorization_code" in metadata["grant_types"] and not uris:
            raise InvalidClientMetadataError("redirect_uris are required for authorization_code.")
        if not all(may_be_redirected_to(uri) for uri in uris):
            raise InvalidClientMetadataError("redirect_uris must be https, or http on localhost.")
        # What we do not know is left out, and said so in the answer (RFC 7591, section 3.2.1).
        asked = str(metadata.get("scope") or " ".join(SCOPES)).split()
        metadata["scope"] = " ".join(each for each in SCOPES if each in asked or each == OFFLINE)
        return metadata

    def generate_client_info(self, request: JsonRequest) -> dict[str, Any]:
        authority = self.server.authority
        return {
            "client_id": authority.new_id(),
            "client_secret": authority.new_secret(),
            "client_id_issued_at": int(authority.clock().timestamp()),
            "client_secret_expires_at": 0,
        }

    def save_client(
        self, client_info: dict[str, Any], client_metadata: dict[str, Any], request: JsonRequest
    ) -> None:
        authority, invitation = self.server.authority, request.credential
        if not authority.use(invitation):
            raise _InvalidToken("The initial access token is used up.")
        authority.add_partner(
            client_metadata["client_name"],
            client_info["client_secret"],
            partner_id=client_info["client_id"],
            redirect_uris=client_metadata.get("redirect_uris", ()),
            grant_types=client_metadata["grant_types"],
            scopes=client_metadata["scope"].split(),
            url=client_metadata.get("client_uri"),
            invited_with=invitation.digest,
        )


class _InvalidToken(OAuth2Error):  # type: ignore[misc]
    error = "invalid_token"
    status_code = 401

    def get_headers(self) -> list[tuple[str, str]]:
        return [*super().get_headers(), ("WWW-Authenticate", 'Bearer error="invalid_token"')]


def _check_types(metadata: Mapping[str, Any]) -> None:
    for name, value in metadata.items():
        if name in _LISTS and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
            raise InvalidClientMetadataError(f"{name} must be a list of strings.")
        if name in _TEXTS and not isinstance(value, str):
            raise InvalidClientMetadataError(f"{name} must be a string.")


def may_be_redirected_to(uri: str) -> bool:
    """Whether a code may be sent there: https, or http on the partner's own machine.

    Without a fragment (RFC 6749, section 3.1.2), a password or anything that would leave its header.
    """
    if not _VISIBLE.fullmatch(uri) or " " in uri or "#" in uri:
        return False
    try:
        parts = urlsplit(uri)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        _ = parts.port
    except ValueError:
        return False
    if not _HOST.fullmatch(parts.netloc):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and local)


class _Revocation(RevocationEndpoint):  # type: ignore[misc]
    CLIENT_AUTH_METHODS = CLIENT_AUTHENTICATION
    server: "_Server"

    def query_token(self, token_string: str, token_type_hint: str | None) -> _Refreshing | None:
        found = self.server.authority.grant(token_string)
        return None if found is None else _Refreshing(found)

    def revoke_token(self, token: _Refreshing, request: OAuth2Request) -> None:
        self.server.authority.end_grant(token.grant.id)


def _not_just_used(refresh_token: str | None) -> str:
    if refresh_token is None:
        raise InvalidGrantError("It has just been used by somebody else.")
    return refresh_token


class _Server(_AuthorizationServer):  # type: ignore[misc]
    def __init__(self, provider: Provider, service: Mapping[str, Any]) -> None:
        super().__init__()
        self.authority = provider.authority
        self._base_url = provider.base_url
        self._client_auth = _ClientAuthentication(self.query_client)
        self.register_token_generator("default", self._tokens)
        self.register_grant(_CodeGrant, [_AlwaysChallenged(), _IdToken(provider, service)])
        self.register_grant(_RefreshGrant)
        self.register_grant(_ClientGrant)
        self.register_endpoint(_Registration)
        self.register_endpoint(_Revocation)

    def authenticate_client(
        self, request: OAuth2Request, methods: list[str], endpoint: str = "token"
    ) -> _Client:
        try:
            client: _Client = super().authenticate_client(request, methods, endpoint)
        except (InvalidClientError, ValueError) as error:  # ValueError: a Basic header that is none
            # The same whether there is such a partner or not.
            raise InvalidClientError(status_code=401) from error
        return client

    def query_client(self, client_id: str) -> _Client | None:
        partner = self.authority.partner(client_id)
        return None if partner is None else _Client(partner, self.authority)

    def _tokens(
        self,
        grant_type: str,
        client: _Client,
        user: AuthorisationCode | Grant | None,
        scope: str | None,
        expires_in: int | None,
        include_refresh_token: bool,
    ) -> dict[str, Any]:
        if user is None:
            seller_id, scopes = self._for_itself(client, scope)
        else:
            seller_id, scopes = user.seller_id, tuple(scope.split()) if scope else user.scopes
        token = {
            "token_type": "Bearer",
            "access_token": self.authority.access_token(self._base_url, client.partner.id, seller_id, scopes),
            "expires_in": int(self.authority.lifetimes.access_token.total_seconds()),
            "scope": " ".join(scopes),
        }
        if isinstance(user, AuthorisationCode) and include_refresh_token and OFFLINE in user.scopes:
            token["refresh_token"] = _not_just_used(self.authority.open_grant(user))
        if isinstance(user, Grant):
            token["refresh_token"] = _not_just_used(self.authority.renew(user))
        return token

    def _for_itself(self, client: _Client, scope: str | None) -> tuple[str | None, tuple[str, ...]]:
        """What a partner may do without anybody's login: read its feeds, and act for the only Seller."""
        partner = client.partner
        seller_id = partner.seller_id
        if seller_id is not None:
            standing = self.authority.authorisation(partner.id, seller_id)
            seller_id = seller_id if standing is not None and BOOKING in standing.scopes else None
        allowed = (client.get_allowed_scope(scope) or "").split()
        possible = {ORDERS_FEED, BOOKING} if seller_id is not None else {ORDERS_FEED}
        scopes = tuple(each for each in allowed if each in possible)
        if not scopes:
            raise InvalidScopeError("Without a login there is openactive-ordersfeed alone.")
        return (seller_id if BOOKING in scopes else None), scopes

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        """Access tokens are not kept; a refresh token was when it was made."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: Asked) -> _Request:
        return _Request(request)

    def create_json_request(self, request: Asked) -> JsonRequest:
        made = JsonRequest(request.method, _SECURE_URI, _titled(request.headers))
        made.payload = _Document(request.body)
        return made

    def handle_response(self, status: int, body: Any, headers: Any) -> Answered:
        # Nothing that the provider says may be kept (RFC 6749, section 5.1).
        told = {"Cache-Control": "no-store", **dict(headers)}
        told.pop("Content-Type", None)
        document = dict(body) if body and not isinstance(body, str) else None
        return Answered(int(status), document, told)
