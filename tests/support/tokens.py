"""Tokens as others might make them: forged, spoilt, or of an issuer of their own."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any

from joserfc.jwk import RSAKey

from chalicelib.domain.parties import Json
from chalicelib.identity.tokens import Signer, make_key


def encoded(part: Any) -> str:
    """One part of a token; text and bytes as they are, anything else as JSON."""
    raw = (
        part
        if isinstance(part, bytes)
        else part.encode()
        if isinstance(part, str)
        else json.dumps(part).encode()
    )
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def parts(token: str) -> tuple[Json, Json, str]:
    """Header, claims and signature, unverified."""
    header, claims, signature = token.split(".")
    return json.loads(decoded(header)), json.loads(decoded(claims)), signature


def with_header(token: str, **changes: Any) -> str:
    """The same with another header and the signature it had; `...` leaves a member out."""
    header, claims, signature = parts(token)
    return f"{encoded(_changed(header, changes))}.{encoded(claims)}.{signature}"


def with_claims(token: str, **changes: Any) -> str:
    """The same with other claims and the signature it had."""
    head, _, signature = token.split(".")
    return f"{head}.{encoded(_changed(parts(token)[1], changes))}.{signature}"


def with_signature_changed(token: str) -> str:
    head, claims, signature = token.split(".")
    raw = bytearray(decoded(signature))
    raw[-1] ^= 1
    return f"{head}.{claims}.{encoded(bytes(raw))}"


def unsigned(token: str, alg: str = "none") -> str:
    """What says that it needs no signature."""
    header, claims, _ = parts(token)
    return f"{encoded(header | {'alg': alg})}.{encoded(claims)}."


def signed_with_public_key(token: str, jwk: Json) -> str:
    """HS256 with what everyone knows, as a verifier takes it that looks only at `alg`."""
    header, claims, _ = parts(token)
    signed = f"{encoded(header | {'alg': 'HS256'})}.{encoded(claims)}"
    pem = RSAKey.import_key(jwk).as_pem(private=False)
    return f"{signed}.{encoded(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"


def signed_by_another(token: str) -> str:
    """The same words under the same key id, signed with a key that is not ours."""
    header, claims, _ = parts(token)
    return Signer(header["kid"], foreign_key()[1]).sign(claims, header["typ"])


def _changed(document: Json, changes: Json) -> Json:
    return {name: value for name, value in (document | changes).items() if value is not ...}


@cache
def foreign_key(number: int = 1) -> tuple[Json, bytes]:
    """A key of somebody else's: made once, because making one takes a while."""
    return make_key(f"foreign-{number}")


def quick_key(kid: str) -> tuple[Json, bytes]:
    """A signing key out of a handful, in place of one that is made: for rings of which no test has more."""
    jwk, pem = foreign_key(100 + next(_numbers) % 6)
    return jwk | {"kid": kid}, pem


_numbers = count()


@dataclass
class Provider:
    """Somebody else's OpenID provider. `fetched` are the URLs that were asked for; `down` ones answer not."""

    issuer: str = "https://login.example/pool"
    keys: list[Json] = field(default_factory=lambda: [foreign_key(1)[0]])
    says: Json = field(default_factory=dict)
    down: bool = False
    fetched: list[str] = field(default_factory=list)

    def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if self.down:
            raise OSError("out of reach")
        jwks_uri = f"{self.issuer.rstrip('/')}/keys"
        if url == f"{self.issuer.rstrip('/')}/.well-known/openid-configuration":
            return json.dumps({"issuer": self.issuer, "jwks_uri": jwks_uri, **self.says}).encode()
        if url == jwks_uri:
            return json.dumps({"keys": self.keys}).encode()
        raise OSError(url)

    def token(self, claims: Json, key: int = 1, typ: str = "JWT") -> str:
        jwk, pem = foreign_key(key)
        return Signer(jwk["kid"], pem).sign({"iss": self.issuer, **claims}, typ)
