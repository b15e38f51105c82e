"""From the headers of a request to the caller: the one place where a request is authenticated."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from chalicelib.domain.errors import (
    InvalidAuthorizationDetailsError,
    SellerNotFoundError,
    UnauthenticatedError,
)

CLIENT_HEADER = "x-openactive-test-client-id"
SELLER_HEADER = "x-openactive-test-seller-id"

# Ids of booking partners are part of keys and logs.
_PARTNER_ID = re.compile(r"[A-Za-z0-9._~-]{1,100}")


@dataclass(frozen=True)
class Caller:
    """A booking partner, and the Seller for whom it may act; without one only its feeds are open to it."""

    partner_id: str
    seller_id: str | None = None

    def acting_for(self, seller_id: str | None) -> str:
        """The Seller named in a request, if the caller may act for it (AUTH-12).

        Raises SellerNotFoundError where none is named, InvalidAuthorizationDetailsError.
        """
        if seller_id is None:
            raise SellerNotFoundError("The seller is missing.")
        if seller_id != self.authorised_seller():
            raise InvalidAuthorizationDetailsError("The authorisation is for another seller.")
        return seller_id

    def authorised_seller(self) -> str:
        """The Seller for whom the caller may act. Raises InvalidAuthorizationDetailsError (AUTH-06)."""
        if self.seller_id is None:
            raise InvalidAuthorizationDetailsError("The authorisation names no seller.")
        return self.seller_id


class Authenticator(Protocol):
    """A way to tell who calls."""

    def identify(self, headers: Mapping[str, str]) -> Caller:
        """The caller, from headers with names in lower case.

        Raises UnauthenticatedError, InvalidAuthorizationDetailsError (AUTH-11).
        """


class NobodyIsKnown:
    """The way until a real one is set up: everyone is refused."""

    def identify(self, headers: Mapping[str, str]) -> Caller:
        if headers.get("authorization"):
            raise InvalidAuthorizationDetailsError("These credentials are not accepted here.")
        raise UnauthenticatedError


class DevelopmentHeaders:
    """Believes what two headers say. For development and tests only."""

    def identify(self, headers: Mapping[str, str]) -> Caller:
        partner_id = headers.get(CLIENT_HEADER)
        if not partner_id:
            return NobodyIsKnown().identify(headers)
        if not _PARTNER_ID.fullmatch(partner_id):
            raise InvalidAuthorizationDetailsError("That is not the id of a booking partner.")
        return Caller(partner_id, headers.get(SELLER_HEADER) or None)
