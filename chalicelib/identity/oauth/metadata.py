"""What the provider supports, for the discovery document and for registration."""

from typing import Any

from chalicelib.identity.claims import ID_TOKEN_CLAIMS, authority_url
from chalicelib.identity.scopes import GRANT_TYPES, SCOPES
from chalicelib.identity.tokens import ALGORITHM

CLIENT_AUTHENTICATION = ["client_secret_basic", "client_secret_post"]
CODE_CHALLENGE = "S256"
RESPONSE_TYPES = ["code"]
RESPONSE_MODES = ["query"]


def discovery(base_url: str) -> dict[str, Any]:
    """The OpenID Provider Configuration (OpenID Connect Discovery 1.0, section 3)."""
    here = authority_url(base_url)
    return {
        "issuer": here,
        "authorization_endpoint": f"{here}/authorize",
        "token_endpoint": f"{here}/token",
        "registration_endpoint": f"{here}/register",
        "revocation_endpoint": f"{here}/revoke",
        "jwks_uri": f"{here}/jwks",
        "scopes_supported": list(SCOPES),
        "response_types_supported": RESPONSE_TYPES,
        "response_modes_supported": RESPONSE_MODES,
        "grant_types_supported": list(GRANT_TYPES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "revocation_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "code_challenge_methods_supported": [CODE_CHALLENGE],
        "claims_supported": list(ID_TOKEN_CLAIMS),
        "claim_types_supported": ["normal"],
        "ui_locales_supported": ["en"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,  # the default is true
        "require_request_uri_registration": False,
        "authorization_response_iss_parameter_supported": True,  # RFC 9207, section 3
    }


def for_registration() -> dict[str, Any]:
    """What a client may ask for when it registers."""
    return {
        "grant_types_supported": list(GRANT_TYPES),
        "response_types_supported": RESPONSE_TYPES,
        "token_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
    }
