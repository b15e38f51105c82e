"""Booking partners and the secrets that authenticate them (AUTH-05)."""

import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from chalicelib.identity.entries import Invitation, Partner
from chalicelib.identity.hashing import digest, same
from chalicelib.identity.register import Register
from chalicelib.values import dataclass

# The characters of a URI and of an OAuth parameter (RFC 6749, appendix A), with the space.
VISIBLE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")

# Host and port, with the characters that are safe in a Content-Security-Policy: a `;` would end the directive.
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


@dataclass(frozen=True)
class Credentials:
    """The booking partners and invitations of one installation."""

    register: Register
    clock: Callable[[], datetime]

    def partner(self, partner_id: str) -> Partner | None:
        """A booking partner that may get tokens."""
        found = self.register.find(Partner, Partner.key_of(partner_id))
        return None if found is None or found.suspended else found

    def has_secret(self, partner: Partner, secret: str) -> bool:
        """Whether this is one of the partner's valid secrets."""
        now, presented = self.clock(), digest(secret)
        # All are compared, so that the time taken does not show which one matched.
        matches = [same(presented, each.digest) and each.is_good(now) for each in partner.secrets]
        return any(matches)

    def invitation(self, initial_access_token: str) -> Invitation | None:
        """The invitation of an initial access token, if it may be used."""
        found = self.register.find(Invitation, Invitation.key_of(digest(initial_access_token)))
        if found is None or (found.ends_at is not None and found.ends_at <= self.clock()):
            return None
        return None if found.uses_left == 0 else found


def may_be_redirected_to(uri: str) -> bool:
    """Whether a code may be sent to a URI: https, or http on the partner's own machine.

    It must not have a fragment (RFC 6749, section 3.1.2), a password, or a character that could end the header.
    """
    if not VISIBLE.fullmatch(uri) or " " in uri or "#" in uri:
        return False
    try:
        parts = urlsplit(uri)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        _ = parts.port
    except ValueError:
        return False
    if not _HOST.fullmatch(parts.netloc):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and local)
