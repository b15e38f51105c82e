"""A login on its way: what a Seller was asked for, carried by the browser from form to form, signed by us.

Nothing is stored before somebody has logged in, so that nobody can fill a table by asking.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.errors import InvalidAuthorizationDetailsError
from chalicelib.identity.hashing import digest, same
from chalicelib.identity.keys import KeyRing
from chalicelib.identity.tokens import UnknownKey, check_claims

_TICKET = "sign-in+jwt"
_LIVES = timedelta(minutes=15)


class TicketRefused(Exception):
    """The form was not made for this browser, or too long ago."""


@dataclass(frozen=True)
class Ticket:
    """The parameters of the authorisation request and, once it is known, who has logged in."""

    parameters: dict[str, str]
    username: str | None = None


def write_ticket(ticket: Ticket, browser: str, ring: KeyRing, now: datetime) -> str:
    """The ticket as a field of a form. `browser` is the secret in the browser's cookie: another's is no good,
    which is what keeps a foreign page from sending the form (CSRF)."""
    claims = {
        "parameters": ticket.parameters,
        "username": ticket.username,
        "browser": digest(browser),
        "exp": int((now + _LIVES).timestamp()),
    }
    return ring.signer().sign(claims, _TICKET)


def read_ticket(text: str, browser: str, ring: KeyRing, now: datetime) -> Ticket:
    """The ticket again. Raises TicketRefused."""
    try:
        header, claims = ring.verify(text)
        check_claims(claims, now)
    except (InvalidAuthorizationDetailsError, UnknownKey) as error:
        raise TicketRefused from error
    if header.get("typ") != _TICKET or not same(digest(browser), str(claims.get("browser"))):
        raise TicketRefused
    return Ticket(claims["parameters"], claims["username"])
