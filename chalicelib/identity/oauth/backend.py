"""What the protocol needs from this system: partners, what Sellers allow, and what may be issued."""

from collections.abc import Sequence
from typing import Protocol

from chalicelib.identity.consent import Consent
from chalicelib.identity.credentials import Credentials
from chalicelib.identity.entries import Invitation, Partner
from chalicelib.identity.grants import Grants
from chalicelib.identity.issuing import TokenIssuer
from chalicelib.values import dataclass


class Registration(Protocol):
    """Registers a booking partner that has an invitation."""

    def register(
        self,
        invitation: Invitation,
        name: str,
        *,
        redirect_uris: Sequence[str],
        grant_types: Sequence[str],
        scopes: Sequence[str],
        url: str | None,
    ) -> tuple[Partner, str] | None:
        """The new partner and its secret; None if the invitation is used up."""


@dataclass(frozen=True)
class Backend:
    """The decisions that the protocol needs, independent of HTTP."""

    credentials: Credentials
    consent: Consent
    grants: Grants
    issuer: TokenIssuer
    registration: Registration


class HasBackend(Protocol):
    """What grants and endpoints need of the server."""

    backend: Backend
