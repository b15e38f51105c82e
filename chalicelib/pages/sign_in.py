"""The pages on which a Seller logs in and allows a booking partner to act for it, and their error pages.

Plain HTML forms that work without scripts, in any browser, on a phone and with a screen reader. They load
nothing from other hosts, and texts from partners are escaped.
"""

from collections.abc import Sequence
from enum import StrEnum

from chalicelib.domain.errors import OpenBookingError, TemporarilyUnavailableError
from chalicelib.pages.rendering import Page, Service, render
from chalicelib.values import dataclass

# Each scope in words for people who do not know scopes; scopes that need no explanation are not here.
_MEANINGS = {
    "openactive-openbooking": "See your availability, and make and cancel bookings with you",
    "openactive-identity": "See your name, website and logo",
    "openactive-ordersfeed": "Receive updates about the bookings it has made",
    "offline_access": "Keep this access until you or the operator ends it",
}


class Problem(StrEnum):
    """Why the login page is shown again."""

    wrong = "Wrong user name or password. Try again."
    too_many_attempts = "Too many attempts. Wait 15 minutes, then try again."


@dataclass(frozen=True)
class Message:
    """What went wrong, and what to do."""

    title: str
    advice: str


_BUSY = Message("The service is busy", "Wait a moment, then reload this page.")
_FAULT = Message(
    "Something went wrong",
    "The fault is on our side and has been recorded. Go back to the service that sent you here and try again.",
)


def login_page(
    service: Service,
    ticket: str,
    partner: str,
    *,
    back_to: str,
    username: str = "",
    problem: Problem | None = None,
) -> Page:
    """User name and password. `ticket` is a hidden field of the form; `problem` is shown above it.

    `back_to` is the origin of the partner, to which the browser is redirected in the end.
    """
    return render(
        "login",
        service,
        form_targets=("'self'", back_to),
        ticket=ticket,
        partner=partner,
        username=username,
        problem=problem,
    )


def consent_page(
    service: Service,
    ticket: str,
    *,
    back_to: str,
    partner: str,
    partner_url: str | None,
    username: str,
    sellers: Sequence[tuple[str, str]],
    scopes: Sequence[str],
) -> Page:
    """What the partner requests, and the choice among the login's `sellers` (id and name)."""
    return render(
        "consent",
        service,
        form_targets=("'self'", back_to),
        ticket=ticket,
        partner=partner,
        partner_url=partner_url,
        username=username,
        sellers=sellers,
        meanings=[_MEANINGS[scope] for scope in scopes if scope in _MEANINGS],
    )


def message_page(service: Service, message: Message) -> Page:
    """A page without a form, with advice on what to do."""
    return render("message", service, message=message)


def fault_page(service: Service, error: OpenBookingError) -> Page:
    """The page for an internal error, whose details would not help the reader."""
    return message_page(service, _BUSY if isinstance(error, TemporarilyUnavailableError) else _FAULT)
