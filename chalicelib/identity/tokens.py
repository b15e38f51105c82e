"""JSON Web Tokens: signing ours, and verifying ours and those of other issuers. The only module that uses joserfc.

joserfc is loaded with the first token, or by `load`. The stream handlers, and installations that use only API keys, never
load it.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from chalicelib.domain.errors import InvalidAuthorizationDetailsError
from chalicelib.identity.claims import Claims
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey
    from joserfc.jwt import ClaimsOption

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

_REFUSALS = {
    "iss": "The token is of another issuer.",
    "aud": "The token is for another audience.",
    "nbf": "The token is not valid yet.",
    "iat": "The token is not valid yet.",
}


def load() -> None:
    """Load the library before the first token needs it."""
    from joserfc import jwk, jwt  # noqa: F401


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
        return _rsa_key(self.pem)  # cached, because reading the key takes longer than signing


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
        """Header and claims of a token that one of these keys has signed. Only the signature is checked.

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
        except (JoseError, ValueError, RecursionError) as error:
            raise InvalidAuthorizationDetailsError("The token is not valid.") from error
        return dict(decoded.header), dict(decoded.claims)


def _is_of_size(key: Mapping[str, Any]) -> bool:
    """Whether a key is long enough to be safe (RFC 7518, section 3.3) and short enough to be fast."""
    n, e = (str(key.get(name, "")).rstrip("=") for name in ("n", "e"))
    return _LEAST_KEY_BITS <= len(n) * 6 <= _MOST_KEY_BITS and len(e) <= _MOST_EXPONENT


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
    """The key id in the token's header, which is not verified yet. Raises InvalidAuthorizationDetailsError."""
    from joserfc.errors import JoseError
    from joserfc.jws import extract_compact

    try:
        header = extract_compact(token.encode("ascii")).headers()
    except (JoseError, ValueError, RecursionError) as error:
        raise InvalidAuthorizationDetailsError("The token cannot be read.") from error
    if header.get("alg") != ALGORITHM:
        raise InvalidAuthorizationDetailsError(f"The token is not signed with {ALGORITHM}.")
    return str(header.get("kid", ""))


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
    from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError
    from joserfc.jwt import JWTClaimsRegistry

    wanted: dict[str, ClaimsOption] = {"exp": {"essential": True}}
    if issuer is not None:
        wanted["iss"] = {"essential": True, "value": issuer}
    if audience is not None:
        wanted[audience_claim] = {"essential": True, "value": audience}
    try:
        JWTClaimsRegistry(int(now.timestamp()), LEEWAY_SECONDS, **wanted).validate(claims)
    except ExpiredTokenError as error:
        raise InvalidAuthorizationDetailsError("The token has expired.") from error
    except InvalidClaimError as error:
        claim = "aud" if error.claim == audience_claim else error.claim
        raise InvalidAuthorizationDetailsError(_REFUSALS.get(claim, "The token is not valid.")) from error
    except JoseError as error:
        raise InvalidAuthorizationDetailsError("The token has no expiry time, issuer or audience.") from error
    if any(not 0 <= claims.get(name, 0) <= _LAST_SECOND for name in ("exp", "iat", "nbf")):
        raise InvalidAuthorizationDetailsError("The token is not valid.")


def jwks_document(keys: Sequence[Mapping[str, Any]]) -> str:
    """A JWK Set (RFC 7517) of public keys."""
    return json.dumps({"keys": list(keys)})
