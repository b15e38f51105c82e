"""The pages on which a Seller logs in and allows a booking partner to act for it, and what is shown instead.

Plain HTML forms that work without scripts, in any browser, on a phone and with a screen reader. Nothing on
them comes from anywhere else, and what partners say of themselves is shown as text alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.errors import OpenBookingError, TemporarilyUnavailableError
from chalicelib.pages.rendering import Page, Service, render

# What each scope means to somebody who has never heard of scopes; the others go without saying.
_MEANINGS = {
    "openactive-openbooking": "See your availability, and make and cancel bookings with you",
    "openactive-identity": "See your name, website and logo",
    "openactive-ordersfeed": "Receive updates about the bookings it has made",
    "offline_access": "Keep this access until you or the operator ends it",
}


class Problem(StrEnum):
    """Why somebody is shown the login page again."""

    wrong = "Wrong user name or password. Try again."
    too_many_attempts = "Too many attempts. Wait 15 minutes, then try again."


@dataclass(frozen=True)
class Message:
    """What has gone wrong, and what to do."""

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
    """User name and password. `ticket` goes with the form; `problem` is shown above it.

    `back_to` is the origin of the partner, to which the form leads in the end.
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
    """What the partner asks for, and for which of the login's `sellers` (id and name)."""
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
    """A dead end, with the way out."""
    return render("message", service, message=message)


def fault_page(service: Service, error: OpenBookingError) -> Page:
    """What is shown for an error of our own, whose details help nobody who reads it."""
    return message_page(service, _BUSY if isinstance(error, TemporarilyUnavailableError) else _FAULT)
