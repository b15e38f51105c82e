"""Booking partners and the secrets by which they are known (AUTH-05)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from chalicelib.identity.entries import Invitation, Partner
from chalicelib.identity.hashing import digest, same
from chalicelib.identity.register import Register

# The characters of a URI and of an OAuth parameter (RFC 6749, appendix A), with the space.
VISIBLE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]*")

# Host and port as they may stand in a Content-Security-Policy, which a `;` would end.
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


@dataclass(frozen=True)
class Credentials:
    """The booking partners and invitations of one installation."""

    register: Register
    clock: Callable[[], datetime]

    def partner(self, partner_id: str) -> Partner | None:
        """A booking partner that may be given tokens."""
        found = self.register.find(Partner, Partner.key_of(partner_id))
        return None if found is None or found.suspended else found

    def has_secret(self, partner: Partner, secret: str) -> bool:
        """Whether this is one of the partner's secrets that are good now."""
        now, presented = self.clock(), digest(secret)
        # All are compared, so that the time it takes does not say which one matched.
        matches = [same(presented, each.digest) and each.is_good(now) for each in partner.secrets]
        return any(matches)

    def invitation(self, initial_access_token: str) -> Invitation | None:
        """The invitation that an initial access token stands for, if it may be used."""
        found = self.register.find(Invitation, Invitation.key_of(digest(initial_access_token)))
        if found is None or (found.ends_at is not None and found.ends_at <= self.clock()):
            return None
        return None if found.uses_left == 0 else found


def may_be_redirected_to(uri: str) -> bool:
    """Whether a code may be sent there: https, or http on the partner's own machine.

    Without a fragment (RFC 6749, section 3.1.2), a password or anything that would leave its header.
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
