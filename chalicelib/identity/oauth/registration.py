"""Dynamic client registration with an initial access token (RFC 7591)."""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import JsonRequest
from authlib.oauth2.rfc7591 import ClientRegistrationEndpoint
from authlib.oauth2.rfc7591.errors import InvalidClientMetadataError

from chalicelib.identity.credentials import may_be_redirected_to
from chalicelib.identity.entries import Invitation, Partner
from chalicelib.identity.oauth import metadata
from chalicelib.identity.oauth.backend import HasBackend
from chalicelib.identity.oauth.requests import METADATA_LISTS, METADATA_TEXTS
from chalicelib.identity.scopes import OFFLINE, SCOPES


class RegistrationEndpoint(ClientRegistrationEndpoint):  # type: ignore[misc]
    server: HasBackend

    def get_server_metadata(self) -> dict[str, Any]:
        return metadata.for_registration()

    def authenticate_token(self, request: JsonRequest) -> Invitation:
        scheme, _, token = str(request.headers.get("Authorization", "")).partition(" ")
        invitation = None
        if scheme.lower() == "bearer":
            invitation = self.server.backend.credentials.invitation(token.strip())
        if invitation is None:
            raise InvalidToken("The initial access token is missing, unknown, used up or expired.")
        return invitation

    def extract_client_metadata(self, request: JsonRequest) -> dict[str, Any]:
        _check_types(request.payload.data)
        wanted: dict[str, Any] = super().extract_client_metadata(request)
        wanted.setdefault("grant_types", ["authorization_code"])
        wanted.setdefault("response_types", ["code"])
        uris = wanted.get("redirect_uris", [])
        if not wanted.get("client_name", "").strip():
            raise InvalidClientMetadataError("client_name is required.")
        if "authorization_code" in wanted["grant_types"] and not uris:
            raise InvalidClientMetadataError("redirect_uris are required for authorization_code.")
        if not all(may_be_redirected_to(uri) for uri in uris):
            raise InvalidClientMetadataError("redirect_uris must be https, or http on localhost.")
        # Unknown scopes are left out; the answer lists those that were registered (RFC 7591, section 3.2.1).
        asked = str(wanted.get("scope") or " ".join(SCOPES)).split()
        wanted["scope"] = " ".join(each for each in SCOPES if each in asked or each == OFFLINE)
        return wanted

    def generate_client_info(self, request: JsonRequest) -> dict[str, Any]:
        return {}  # id and secret are created when the partner is saved

    def save_client(
        self, client_info: dict[str, Any], client_metadata: dict[str, Any], request: JsonRequest
    ) -> tuple[Partner, str]:
        made = self.server.backend.registration.register(
            request.credential,
            client_metadata["client_name"],
            redirect_uris=client_metadata.get("redirect_uris", ()),
            grant_types=client_metadata["grant_types"],
            scopes=client_metadata["scope"].split(),
            url=client_metadata.get("client_uri"),
        )
        if made is None:
            raise InvalidToken("The initial access token is used up.")
        return made

    def generate_client_registration_info(
        self, client: tuple[Partner, str], request: JsonRequest
    ) -> dict[str, Any]:
        partner, secret = client
        return {
            "client_id": partner.id,
            "client_secret": secret,
            "client_id_issued_at": int(partner.made_at.timestamp()),
            "client_secret_expires_at": 0,
        }


class InvalidToken(OAuth2Error):  # type: ignore[misc]
    error = "invalid_token"
    status_code = 401

    def get_headers(self) -> list[tuple[str, str]]:
        return [*super().get_headers(), ("WWW-Authenticate", 'Bearer error="invalid_token"')]


def _check_types(wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
        if name in METADATA_LISTS and not is_list:
            raise InvalidClientMetadataError(f"{name} must be a list of strings.")
        if name in METADATA_TEXTS and not isinstance(value, str):
            raise InvalidClientMetadataError(f"{name} must be a string.")
