"""Random secrets, and what is kept in place of one."""

import base64
import hashlib
import hmac
import secrets


def new_secret() -> str:
    """256 random bits that can stand in a URL and a header."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a random secret. It needs no slow hash: nobody guesses 256 bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def mark(marker: str, text: str) -> str:
    """What shows that a text was made by whoever knows `marker`: 192 bits that can stand in a URL."""
    made = hmac.digest(marker.encode(), text.encode(), "sha256")[:24]
    return base64.urlsafe_b64encode(made).decode()


def same(left: str, right: str) -> bool:
    """Whether two digests are equal, in the same time wherever they differ."""
    return hmac.compare_digest(left.encode(), right.encode())
