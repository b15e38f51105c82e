"""The authorization code grant, always with PKCE (RFC 6749, section 4.1; RFC 7636)."""

import re
from datetime import datetime
from typing import Any

from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import AuthorizationCodeMixin

from chalicelib.identity.entries import Authorisation, AuthorisationCode
from chalicelib.identity.hashing import new_secret
from chalicelib.identity.oauth.backend import HasBackend
from chalicelib.identity.oauth.clients import Client
from chalicelib.identity.oauth.metadata import CLIENT_AUTHENTICATION, CODE_CHALLENGE
from chalicelib.values import dataclass

# A SHA-256 digest in base64url, and the code verifier it is made from (RFC 7636, sections 4.1 and 4.2).
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_CODE_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True)
class Allowed:
    """What a Seller has agreed to, and when the person who agreed logged in."""

    authorisation: Authorisation
    signed_in_at: datetime


class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """A code that was redeemed."""

    code_challenge_method = CODE_CHALLENGE

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


class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = CLIENT_AUTHENTICATION
    server: HasBackend

    def generate_authorization_code(self) -> str:
        return new_secret()

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        parameters, allowed = request.payload.data, request.user
        self.server.backend.grants.keep_code(
            code,
            request.client.partner.id,
            allowed.authorisation,
            tuple(request.scope.split()),
            request.payload.redirect_uri or request.client.get_default_redirect_uri(),
            parameters["code_challenge"],
            parameters.get("nonce"),
            allowed.signed_in_at,
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        redeemed = self.server.backend.grants.redeem(code, client.partner.id)
        return None if redeemed is None else Code(redeemed)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Nothing to do: `redeem` has marked it as used."""

    def authenticate_user(self, authorization_code: Code) -> AuthorisationCode:
        return authorization_code.code


class AlwaysChallenged(CodeChallenge):  # type: ignore[misc]
    """PKCE is required for every partner, with S256 only (RFC 9700, section 2.1.1)."""

    SUPPORTED_CODE_CHALLENGE_METHOD = [CODE_CHALLENGE]  # noqa: RUF012 - Authlib's own name and type

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        parameters = grant.request.payload.data
        if not parameters.get("code_challenge") or parameters.get("code_challenge_method") != CODE_CHALLENGE:
            raise InvalidRequestError("A code_challenge with code_challenge_method S256 is required.")
        if not _CHALLENGE.fullmatch(parameters["code_challenge"]):
            raise InvalidRequestError("The code_challenge is not a SHA-256 digest in base64url.")

    def validate_code_verifier(self, grant: Any, result: Any) -> None:
        if not _CODE_VERIFIER.fullmatch(grant.request.form.get("code_verifier", "")):
            raise InvalidGrantError("The code_verifier is missing or invalid.")
        super().validate_code_verifier(grant, result)
