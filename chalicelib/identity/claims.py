"""The names of OpenActive's claims in tokens (AUTH-09), and the issuer and audience of our tokens."""

from typing import Any, TypeAlias

Claims: TypeAlias = dict[str, Any]

_NAMESPACE = "https://openactive.io/"

CLIENT_ID = f"{_NAMESPACE}clientId"
SELLER_ID = f"{_NAMESPACE}sellerId"
SELLER_NAME = f"{_NAMESPACE}sellerName"
SELLER_URL = f"{_NAMESPACE}sellerUrl"
SELLER_LOGO = f"{_NAMESPACE}sellerLogo"
SERVICE_NAME = f"{_NAMESPACE}bookingServiceName"
SERVICE_URL = f"{_NAMESPACE}bookingServiceUrl"

# The claims of an ID token, as the discovery document lists them.
ID_TOKEN_CLAIMS = (
    "iss",
    "aud",
    "sub",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "at_hash",
    SELLER_ID,
    SELLER_NAME,
    SELLER_URL,
    SELLER_LOGO,
    SERVICE_NAME,
    SERVICE_URL,
)


def authority_url(base_url: str) -> str:
    """The issuer of our tokens, for a system at `base_url`."""
    return f"{base_url}/auth"


def audience(base_url: str) -> str:
    """The audience of our access tokens: the booking API."""
    return f"{base_url}/api/openbooking"
