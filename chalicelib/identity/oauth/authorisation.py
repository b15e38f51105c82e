"""The parameters of an authorisation request and their valid values (OpenID Connect Core 1.0, 3.1.2).

Other parameters are ignored (RFC 6749, section 3.1). Authlib checks client, redirect URI, scope and PKCE; this module
checks what OpenID Connect adds.
"""

import re
from collections.abc import Mapping
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oidc.core.errors import LoginRequiredError

from chalicelib.identity.credentials import VISIBLE
from chalicelib.identity.oauth import metadata

# `display`, `ui_locales`, `claims_locales`, `acr_values` and `claims` may be ignored: there is one page, in English;
# a password is the only way to log in; and an ID token always has all claims.
PARAMETERS = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "response_mode",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "request",
    "request_uri",
    "registration",
)

# Parameters that this provider does not support, with the error of each (section 3.1.2.6).
UNSUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}

# The total length in characters: the parameters must fit into a hidden form field and a row.
_LONGEST = 16 * 1024
_STATE = re.compile(r"[\x20-\x7e]*")  # RFC 6749, appendix A.5
_SECONDS = re.compile(r"[0-9]{1,12}")


def read_parameters(given: Mapping[str, str]) -> dict[str, str]:
    """The known parameters; one without a value is treated as missing (RFC 6749, section 3.1).

    Raises InvalidRequestError if not even an error may be sent to the partner, because Authlib's errors quote
    these parameters.
    """
    known = {name: given[name] for name in PARAMETERS if given.get(name)}
    if sum(map(len, known.values())) > _LONGEST:
        raise InvalidRequestError("The request of the service that sent you here is too long.")
    if not _STATE.fullmatch(known.get("state", "")):
        raise InvalidRequestError("The service that sent you here sent a state with invalid characters.")
    if not VISIBLE.fullmatch(known.get("redirect_uri", "")):
        raise InvalidRequestError(
            "The service that sent you here wants you sent back to an address that it has not registered."
        )
    if not VISIBLE.fullmatch(known.get("response_type", "")):
        known["response_type"] = "unknown"
    return known


class Refused(OAuth2Error):  # type: ignore[misc]
    """An error with its own code, sent to the partner."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description=description, error=error)


class OpenIdChecks:
    """An extension of the code grant: OpenID Connect's checks, for all scopes."""

    def __call__(self, grant: Any) -> None:
        grant.register_hook("before_validate_authorization_request_payload", self.check_parameters)
        grant.register_hook("after_validate_consent_request", self.check_prompt)

    def check_parameters(self, grant: Any, redirect_uri: str) -> None:
        """Raises Refused, InvalidRequestError; Authlib adds the redirect URI."""
        parameters = grant.request.payload.data
        for name, error in UNSUPPORTED.items():
            if name in parameters:
                raise Refused(error, f"The parameter {name} is not supported.")
        if parameters.get("response_mode", "query") not in metadata.RESPONSE_MODES:
            raise InvalidRequestError("The response_mode is not supported.")
        if not _SECONDS.fullmatch(parameters.get("max_age", "0")):
            raise InvalidRequestError("max_age must be a number of seconds.")

    def check_prompt(self, grant: Any, redirect_uri: str) -> None:
        """Raises LoginRequiredError for `none`: there are no login sessions, so every request needs a page."""
        prompts = set(grant.request.payload.data.get("prompt", "").split())
        if prompts == {"none"}:
            raise LoginRequiredError(redirect_uri=redirect_uri)
        if "none" in prompts:
            raise InvalidRequestError("prompt combines none with another value.", redirect_uri=redirect_uri)
