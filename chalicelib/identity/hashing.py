"""Random secrets, and their digests, which are stored instead."""

import base64
import hashlib
import hmac
import secrets


def new_secret() -> str:
    """256 random bits, in characters that are safe in URLs and headers."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """The stored form of a random secret. A fast hash is enough: 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def mark(marker: str, text: str) -> str:
    """An HMAC that proves knowledge of `marker`: 192 bits, in characters that are safe in URLs."""
    made = hmac.digest(marker.encode(), text.encode(), "sha256")[:24]
    return base64.urlsafe_b64encode(made).decode()


def same(left: str, right: str) -> bool:
    """Whether two digests are equal, compared in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())
