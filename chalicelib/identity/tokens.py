"""JSON Web Tokens: signing ours, and verifying ours and those of other issuers.

Signing is joserfc's. Verifying takes `cryptography` alone: joserfc loads every algorithm and X.509 certificates, which
would be a tenth of a cold start, for one algorithm and keys that are two numbers. joserfc is loaded with the first
signature. The stream handlers, and installations that use only API keys, do not load this module.
"""

import binascii
import json
import math
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from chalicelib.domain.errors import InvalidAuthorizationDetailsError
from chalicelib.identity.claims import Claims

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

ALGORITHM = "RS256"  # required by OpenID Connect
_KEY_BITS = 2048
# Limits for keys that others publish: bits of the modulus in base64url (6 bits a character, the last may be padded),
# and characters of the exponent.
_LEAST_KEY_BITS, _MOST_KEY_BITS, _MOST_EXPONENT = 2048, 8192 + 5, 11

ACCESS_TOKEN = "at+jwt"  # noqa: S105 - RFC 9068; so that an ID token is never accepted as one
ID_TOKEN = "JWT"  # noqa: S105

# Clocks of two machines differ slightly.
LEEWAY_SECONDS = 30

# The last second of the year 9999. Python's datetime has no later one; a time such as 10**400 is invalid.
_LAST_SECOND = 253402300799

# base64url without padding (RFC 7515, section 2).
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")
_MOST_HEADER = 512


class UnknownKey(Exception):
    """No known key has this id; the issuer may have added a new one."""


def make_key(kid: str) -> tuple[dict[str, Any], bytes]:
    """A new RSA key: the public key as a JWK, the private key as PEM."""
    from joserfc.jwk import RSAKey

    key = RSAKey.generate_key(_KEY_BITS, parameters={"kid": kid, "use": "sig", "alg": ALGORITHM})
    return dict(key.as_dict(private=False)), key.as_pem(private=True)


@dataclass(frozen=True)
class Signer:
    """A private key with its id."""

    kid: str
    pem: bytes

    def sign(self, claims: Claims, kind: str) -> str:
        """A signed token with these claims. `kind` is its `typ`."""
        from joserfc import jwt

        header = {"alg": ALGORITHM, "kid": self.kid, "typ": kind}
        return jwt.encode(header, claims, self._key, [ALGORITHM])

    @cached_property
    def _key(self) -> "RSAKey":
        from joserfc.jwk import RSAKey

        return RSAKey.import_key(self.pem)  # cached, because reading the key takes longer than signing


class Keys:
    """The public keys of one issuer."""

    def __init__(self, jwks: Sequence[Mapping[str, Any]]) -> None:
        # Keys of other types and uses are ignored, and an unreadable key does not make the others unusable.
        usable = [
            dict(key)
            for key in jwks
            if isinstance(key, Mapping)
            and key.get("kty") == "RSA"
            and key.get("use", "sig") == "sig"
            and _is_of_size(key)
        ]
        read = {str(key.get("kid", "")): _readable(key) for key in usable}
        self._by_id = {kid: key for kid, key in read.items() if key is not None}

    def read(self, token: str) -> tuple[dict[str, Any], Claims]:
        """Header and claims of a token that one of these keys has signed (RFC 7515). Only the signature is checked.

        Raises UnknownKey, InvalidAuthorizationDetailsError.
        """
        header, claims, signature = _parts(token)
        read = _header(header)
        kid = str(read.get("kid", ""))
        if kid not in self._by_id:
            raise UnknownKey(kid)
        try:
            _verify(self._by_id[kid], f"{header}.{claims}".encode("ascii"), _decoded(signature))
            return read, _object(claims)
        except (ValueError, RecursionError) as error:
            raise InvalidAuthorizationDetailsError("The token is not valid.") from error


def _parts(token: str) -> tuple[str, str, str]:
    """Header, claims and signature, not decoded yet (RFC 7515, section 7.1)."""
    parts = token.split(".", 3)
    if len(parts) != 3 or len(parts[0]) > _MOST_HEADER:
        raise InvalidAuthorizationDetailsError("The token cannot be read.")
    return parts[0], parts[1], parts[2]


def _header(part: str) -> dict[str, Any]:
    """The header, which is not verified yet. No other algorithm is accepted (RFC 8725, section 3.1)."""
    try:
        header = _object(part)
    except (ValueError, RecursionError) as error:
        raise InvalidAuthorizationDetailsError("The token cannot be read.") from error
    if header.get("alg") != ALGORITHM:
        raise InvalidAuthorizationDetailsError(f"The token is not signed with {ALGORITHM}.")
    # Extensions that must be understood: none is (RFC 7515, section 4.1.11).
    if "crit" in header:
        raise InvalidAuthorizationDetailsError("The token is not valid.")
    return header


def _object(part: str) -> dict[str, Any]:
    """The JSON object in one part of a token. Raises ValueError, RecursionError."""
    document = json.loads(_decoded(part))
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document


def _decoded(part: str) -> bytes:
    """The bytes of one part of a token. Raises ValueError."""
    raw = part.encode("ascii")
    # Python's own decoding ignores characters that are not base64.
    if not _BASE64URL.fullmatch(raw):
        raise binascii.Error("not base64url")
    return urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))


def _verify(key: RSAPublicKey, signed: bytes, signature: bytes) -> None:
    """Check a signature with RS256 (RFC 7518, section 3.3). Raises ValueError."""
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except InvalidSignature as error:
        raise ValueError("The signature is not valid.") from error


def _is_of_size(key: Mapping[str, Any]) -> bool:
    """Whether a key is long enough to be safe (RFC 7518, section 3.3) and short enough to be fast."""
    n, e = (str(key.get(name, "")).rstrip("=") for name in ("n", "e"))
    return _LEAST_KEY_BITS <= len(n) * 6 <= _MOST_KEY_BITS and len(e) <= _MOST_EXPONENT


def _readable(key: dict[str, Any]) -> RSAPublicKey | None:
    """The key, if its two numbers are one (RFC 7518, section 6.3.1)."""
    try:
        e, n = (int.from_bytes(_decoded(key[name]), "big") for name in ("e", "n"))
        return RSAPublicNumbers(e, n).public_key()
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def check_claims(
    claims: Claims,
    now: datetime,
    *,
    issuer: str | None = None,
    audience: str | None = None,
    audience_claim: str = "aud",
) -> None:
    """Check that the token is valid at `now` and, if given, that it is from `issuer` and for `audience`.

    `exp` is required. The audience may be a string or a list of strings (RFC 7519, section 4.1.3). Raises
    InvalidAuthorizationDetailsError.
    """
    seconds = int(now.timestamp())
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    if claims.get("exp") is None:
        raise InvalidAuthorizationDetailsError("The token has no expiry time.")
    if not all(_is_time(each) for each in times.values()):
        raise InvalidAuthorizationDetailsError("The token is not valid.")
    if times["exp"] <= seconds - LEEWAY_SECONDS:
        raise InvalidAuthorizationDetailsError("The token has expired.")
    if any(times.get(name, 0) > seconds + LEEWAY_SECONDS for name in ("nbf", "iat")):
        raise InvalidAuthorizationDetailsError("The token is not valid yet.")
    if issuer is not None and claims.get("iss") != issuer:
        raise InvalidAuthorizationDetailsError("The token is of another issuer.")
    if audience is not None:
        stated = claims.get(audience_claim)
        if audience not in (stated if isinstance(stated, list) else [stated]):
            raise InvalidAuthorizationDetailsError("The token is for another audience.")


def _is_time(value: object) -> bool:
    """Whether it is a NumericDate (RFC 7519, section 2) that Python can represent.

    A comparison with NaN is always false, so an `exp` of NaN would never expire.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (isinstance(value, int) or math.isfinite(value)) and 0 <= value <= _LAST_SECOND


def jwks_document(keys: Sequence[Mapping[str, Any]]) -> str:
    """A JWK Set (RFC 7517) of public keys."""
    return json.dumps({"keys": list(keys)})
