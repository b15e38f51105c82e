"""The state of a login in progress: a signed ticket that the browser carries from form to form.

Nothing is stored before a login, so that unauthenticated requests cannot fill a table.
"""

from datetime import UTC, datetime, timedelta

from chalicelib.domain.errors import InvalidAuthorizationDetailsError
from chalicelib.identity.entries import UsedTicket
from chalicelib.identity.hashing import digest, new_secret, same
from chalicelib.identity.keys import KeyRing
from chalicelib.identity.register import Register
from chalicelib.identity.tokens import LEEWAY_SECONDS, UnknownKey, check_claims
from chalicelib.storage.errors import RecordChanged
from chalicelib.values import dataclass, field

_TICKET = "sign-in+jwt"
_LIVES = timedelta(minutes=15)


class TicketRefused(Exception):
    """The form was made for another browser, or has expired."""


@dataclass(frozen=True)
class Ticket:
    """The parameters of the authorisation request; after the login, also the user name and the time."""

    parameters: dict[str, str]
    username: str | None = None
    signed_in_at: datetime | None = None
    id: str = field(default_factory=new_secret)


def write_ticket(ticket: Ticket, browser: str, ring: KeyRing, now: datetime) -> str:
    """The ticket as a form field, bound to `browser`, the secret in the browser's cookie (against CSRF)."""
    claims = {
        "parameters": ticket.parameters,
        "username": ticket.username,
        "auth_time": ticket.signed_in_at and int(ticket.signed_in_at.timestamp()),
        "jti": ticket.id,
        "browser": digest(browser),
        "exp": int((now + _LIVES).timestamp()),
    }
    return ring.signer().sign(claims, _TICKET)


def read_ticket(text: str, browser: str, ring: KeyRing, now: datetime) -> Ticket:
    """The ticket in a form field. Raises TicketRefused."""
    try:
        header, claims = ring.verify(text)
        check_claims(claims, now)
    except (InvalidAuthorizationDetailsError, UnknownKey) as error:
        raise TicketRefused from error
    if header.get("typ") != _TICKET or not same(digest(browser), str(claims.get("browser"))):
        raise TicketRefused
    try:
        at = claims["auth_time"]
        signed_in_at = None if at is None else datetime.fromtimestamp(at, UTC)
        return Ticket(claims["parameters"], claims["username"], signed_in_at, claims["jti"])
    except KeyError as error:  # a ticket of an earlier release
        raise TicketRefused from error


def use_up(ticket: Ticket, register: Register, now: datetime) -> bool:
    """Mark the ticket as used; False if it was used before.

    With a second use, an old form could allow again what was revoked since. Raises StoreBusy.
    """
    ends_at = now + _LIVES + timedelta(seconds=LEEWAY_SECONDS)
    try:
        register.save(UsedTicket(ticket.id, ends_at))
    except RecordChanged:
        return False
    return True
