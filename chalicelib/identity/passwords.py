"""Hashes and checks passwords."""

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode

from chalicelib.values import dataclass


@dataclass(frozen=True)
class Passwords:
    """Password hashes by scrypt (RFC 7914), which needs 32 MB of memory and about 0.2 s for each guess.

    Each hash contains its cost parameters, so that they can be raised later and old passwords still work. The
    defaults are OWASP's recommendation for scrypt.
    """

    log2_n: int = 15
    r: int = 8
    p: int = 3

    def hash(self, password: str) -> str:
        """A salted hash, with the salt and parameters that a check needs."""
        salt = secrets.token_bytes(16)
        made = _scrypt(password, salt, self.log2_n, self.r, self.p)
        return f"scrypt${self.log2_n}${self.r}${self.p}${_text(salt)}${_text(made)}"

    def check(self, password: str, hashed: str | None) -> bool:
        """Whether the password is correct. Takes the same time if there is no login (`hashed` is None)."""
        if hashed is None:
            _scrypt(password, bytes(16), self.log2_n, self.r, self.p)
            return False
        _, log2_n, r, p, salt, made = hashed.split("$")
        tried = _scrypt(password, b64decode(salt), int(log2_n), int(r), int(p))
        return hmac.compare_digest(tried, b64decode(made))


def _scrypt(password: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    n = 2**log2_n
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
