"""What the provider says that it supports is what it does."""

from chalicelib.identity.claims import SELLER_ID
from chalicelib.identity.oauth import metadata
from chalicelib.identity.scopes import GRANT_TYPES, SCOPES


def test_discovery_and_registration_say_the_same() -> None:
    document = metadata.discovery("https://booking.example")
    for name, value in metadata.for_registration().items():
        assert document[name] == value
    assert document["scopes_supported"] == list(SCOPES)
    assert document["grant_types_supported"] == list(GRANT_TYPES)


def test_claims_are_named_as_tokens_spell_them() -> None:
    """AUTH-09."""
    claims = metadata.discovery("https://booking.example")["claims_supported"]
    assert SELLER_ID in claims and len(set(claims)) == len(claims)
    assert {"iss", "aud", "sub", "exp", "iat"} <= set(claims)
