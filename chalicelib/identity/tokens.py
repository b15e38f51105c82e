"""JSON Web Tokens: signed by our keys, and read from us or from another issuer. The home of joserfc.

It is loaded with the first token: the functions that follow the streams, and installations where callers have
API keys, never need it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from chalicelib.domain.errors import InvalidAuthorizationDetailsError

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

Claims: TypeAlias = dict[str, Any]

ALGORITHM = "RS256"  # what OpenID Connect asks of everyone
_KEY_BITS = 2048

ACCESS_TOKEN = "at+jwt"  # noqa: S105 - RFC 9068; so that an ID token is never taken for one
ID_TOKEN = "JWT"  # noqa: S105

# Two clocks are never quite the same.
LEEWAY_SECONDS = 30


class UnknownKey(Exception):
    """No key of the set has this id: it may be a newer one."""


def make_key(kid: str) -> tuple[dict[str, Any], bytes]:
    """A new RSA key: its public half as a JWK, its private half as PEM."""
    from joserfc.jwk import RSAKey

    key = RSAKey.generate_key(_KEY_BITS, parameters={"kid": kid, "use": "sig", "alg": ALGORITHM})
    return dict(key.as_dict(private=False)), key.as_pem(private=True)


@dataclass(frozen=True)
class Signer:
    """A private key with its id."""

    kid: str
    pem: bytes

    def sign(self, claims: Claims, kind: str) -> str:
        """The claims as a token of `kind`, which is its `typ`."""
        from joserfc import jwt

        header = {"alg": ALGORITHM, "kid": self.kid, "typ": kind}
        return jwt.encode(header, claims, self._key, [ALGORITHM])

    @cached_property
    def _key(self) -> "RSAKey":
        return _rsa_key(self.pem)  # which takes longer than to sign


class Keys:
    """The public keys of one issuer."""

    def __init__(self, jwks: Sequence[Mapping[str, Any]]) -> None:
        # A set may hold keys of other kinds and uses, which are no business of ours, and one that nobody can
        # read does not spoil the others.
        usable = [
            dict(key)
            for key in jwks
            if isinstance(key, Mapping) and key.get("kty") == "RSA" and key.get("use", "sig") == "sig"
        ]
        read = {str(key.get("kid", "")): _readable(key) for key in usable}
        self._by_id = {kid: key for kid, key in read.items() if key is not None}

    def read(self, token: str) -> tuple[dict[str, Any], Claims]:
        """Header and claims of a token that one of these keys has signed; nothing else is checked.

        Raises UnknownKey, InvalidAuthorizationDetailsError.
        """
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        kid = key_id(token)
        if kid not in self._by_id:
            raise UnknownKey(kid)
        try:
            decoded = jwt.decode(token, KeySet([self._by_id[kid]]), algorithms=[ALGORITHM])
        except (JoseError, ValueError) as error:
            raise InvalidAuthorizationDetailsError("The token is not valid.") from error
        return dict(decoded.header), dict(decoded.claims)


def _readable(key: dict[str, Any]) -> "RSAKey | None":
    from joserfc.errors import JoseError

    try:
        return _rsa_key(key)
    except (JoseError, ValueError, TypeError):
        return None


def _rsa_key(key: bytes | dict[str, Any]) -> "RSAKey":
    from joserfc.jwk import RSAKey

    return RSAKey.import_key(key)


def key_id(token: str) -> str:
    """The id of the key that is said to have signed it. Raises InvalidAuthorizationDetailsError."""
    from joserfc.errors import JoseError
    from joserfc.jws import extract_compact

    try:
        header = extract_compact(token.encode("ascii")).headers()
    except (JoseError, ValueError) as error:
        raise InvalidAuthorizationDetailsError("The token cannot be read.") from error
    if header.get("alg") != ALGORITHM:
        raise InvalidAuthorizationDetailsError(f"The token is not signed with {ALGORITHM}.")
    return str(header.get("kid", ""))


def check_times(claims: Claims, now: datetime) -> None:
    """That the token has begun and has not ended. Raises InvalidAuthorizationDetailsError."""
    seconds = now.timestamp()
    ends, begins = _instant(claims, "exp"), _instant({"nbf": 0} | claims, "nbf")
    if seconds >= ends + LEEWAY_SECONDS or seconds < begins - LEEWAY_SECONDS:
        raise InvalidAuthorizationDetailsError("The token has expired.")


def _instant(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidAuthorizationDetailsError(f"The token has no {name}.")
    return value


def has_audience(claims: Claims, audience: str, claim: str = "aud") -> bool:
    """Whether the token was made for `audience`; the claim is one name or a list of them."""
    named = claims.get(claim)
    return audience in named if isinstance(named, list) else named == audience


def jwks_document(keys: Sequence[Mapping[str, Any]]) -> str:
    """A JWK Set (RFC 7517) of public keys."""
    return json.dumps({"keys": list(keys)})
