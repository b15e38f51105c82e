"""The claims of tokens that OpenActive names (AUTH-09), and who issues our tokens for which audience."""

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

# What an ID token can contain, as the discovery document lists it.
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
    """Our own issuer, for a system reached at `base_url`."""
    return f"{base_url}/auth"


def audience(base_url: str) -> str:
    """What our access tokens are for: the booking API."""
    return f"{base_url}/api/openbooking"
