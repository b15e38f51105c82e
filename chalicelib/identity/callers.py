"""Finds the caller from the headers of a request. All requests are authenticated here."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from chalicelib.domain.errors import (
    InvalidAPITokenError,
    InvalidAuthorizationDetailsError,
    NoAPITokenError,
    SellerNotFoundError,
    UnauthenticatedError,
)
from chalicelib.identity.entries import ApiKey, Authorisation, Partner, SellerStanding
from chalicelib.identity.hashing import digest
from chalicelib.identity.register import Register
from chalicelib.identity.scopes import BOOKING, ORDERS_FEED
from chalicelib.values import dataclass, field

CLIENT_HEADER = "x-openactive-test-client-id"
SELLER_HEADER = "x-openactive-test-seller-id"
API_KEY_HEADER = "x-api-key"

# Ids of booking partners are part of keys and logs.
_PARTNER_ID = re.compile(r"[A-Za-z0-9._~-]{1,100}")


@dataclass(frozen=True)
class Caller:
    """A booking partner, the Seller for whom it may act, if any, and what it may do."""

    partner_id: str
    seller_id: str | None = None
    scopes: frozenset[str] = frozenset({BOOKING, ORDERS_FEED})

    def acting_for(self, seller_id: str | None) -> str:
        """The Seller named in a request, if the caller may act for it (AUTH-12).

        Raises SellerNotFoundError if none is named, InvalidAuthorizationDetailsError if it is another one.
        """
        authorised = self.authorised_seller()
        if seller_id is None:
            raise SellerNotFoundError("The seller is missing.")
        if seller_id != authorised:
            raise InvalidAuthorizationDetailsError("The authorisation is for another seller.")
        return seller_id

    def authorised_seller(self) -> str:
        """The Seller for whom the caller may act. Raises InvalidAuthorizationDetailsError (AUTH-06)."""
        self.needs(BOOKING)
        if self.seller_id is None:
            raise InvalidAuthorizationDetailsError("The authorisation names no seller.")
        return self.seller_id

    def needs(self, scope: str) -> None:
        """Raises InvalidAuthorizationDetailsError if the caller does not have the scope (AUTH-08)."""
        if scope not in self.scopes:
            raise InvalidAuthorizationDetailsError(
                f"The authorisation lacks the scope {scope}.", missing_scope=scope
            )


class Authenticator(Protocol):
    """One way to authenticate a request."""

    def identify(self, headers: Mapping[str, str], base_url: str) -> Caller | None:
        """The caller; None if the headers have no credentials of this kind. Header names are in lower case.

        `base_url` is the base URL of the request. Raises InvalidAuthorizationDetailsError,
        NoAPITokenError, InvalidAPITokenError (AUTH-11).
        """


def partner_id(text: str) -> str:
    """The text, if it is a valid id of a booking partner. Raises InvalidAuthorizationDetailsError."""
    if not _PARTNER_ID.fullmatch(text):
        raise InvalidAuthorizationDetailsError("That is not the id of a booking partner.")
    return text


class DevelopmentHeaders:
    """Accepts any caller named in two headers, without a check. For development and tests only."""

    def identify(self, headers: Mapping[str, str], base_url: str) -> Caller | None:
        client_id = headers.get(CLIENT_HEADER)
        if not client_id:
            return None
        return Caller(partner_id(client_id), headers.get(SELLER_HEADER) or None)


class TokenReader(Protocol):
    """An issuer of access tokens."""

    def caller(self, token: str, base_url: str) -> Caller:
        """The caller that a token was issued to. Raises InvalidAuthorizationDetailsError."""


@dataclass(frozen=True)
class BearerTokens:
    """Access tokens in the Authorization header (RFC 6750), of any of the issuers."""

    readers: Sequence[TokenReader]

    def identify(self, headers: Mapping[str, str], base_url: str) -> Caller | None:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        refusals = []
        for reader in self.readers:
            try:
                return reader.caller(token.strip(), base_url)
            except InvalidAuthorizationDetailsError as refusal:
                refusals.append(refusal)
        raise refusals[0]


# How long a key that was found is accepted without another read. A revoked key may still work for this time.
_ACCEPTED_FOR = timedelta(minutes=5)
_CHECK = 6


def make_api_key(secret: str) -> str:
    """The secret with its check digits, so that most invalid keys are refused without a read of the register."""
    return f"{secret}{digest(secret)[:_CHECK]}"


@dataclass
class ApiKeys:
    """API keys of partners, in the header X-API-Key. A key in use is looked up every five minutes."""

    register: Register
    clock: Callable[[], datetime]
    _known: dict[str, tuple[datetime, Caller]] = field(default_factory=dict)

    def identify(self, headers: Mapping[str, str], base_url: str) -> Caller | None:
        key = headers.get(API_KEY_HEADER)
        if key is None:
            return None
        if not key:
            raise NoAPITokenError
        hashed, now = digest(key), self.clock()
        until, caller = self._known.get(hashed, (now, None))
        if caller is None or now >= until:
            self._known.pop(hashed, None)
            until, caller = self._known[hashed] = self._look_up(key, hashed, now)
        return caller

    def _look_up(self, key: str, hashed: str, now: datetime) -> tuple[datetime, Caller]:
        """The caller, and until when it is accepted without another read."""
        if key != make_api_key(key[:-_CHECK]):
            raise InvalidAPITokenError
        entry = self.register.find(ApiKey, ApiKey.key_of(hashed))
        if entry is None or (entry.ends_at is not None and entry.ends_at <= now):
            raise InvalidAPITokenError
        partner = self.register.find(Partner, Partner.key_of(entry.partner_id))
        if partner is None or partner.suspended:
            raise InvalidAPITokenError
        until = now + _ACCEPTED_FOR
        return min(until, entry.ends_at or until), Caller(entry.partner_id, self._seller_of(entry))

    def _seller_of(self, key: ApiKey) -> str | None:
        """The Seller the key is for, unless it is suspended or has ended the key's authorisation (AUTH-03).

        Without a Seller the key still reads the Orders feed, in which the partner sees what has ended.
        """
        if key.seller_id is None:
            return None
        seller = self.register.find(SellerStanding, SellerStanding.key_of(key.seller_id))
        if seller is not None and seller.suspended:
            return None
        given = self.register.find(Authorisation, Authorisation.key_of(key.partner_id, key.seller_id))
        if given is None:
            ended = key.authorisation_id is not None
        else:
            ended = not given.stands or key.authorisation_id not in (None, given.id)
        return None if ended else key.seller_id


@dataclass(frozen=True)
class Ways:
    """All ways to authenticate that this installation accepts, in the order in which they are tried."""

    ways: Sequence[Authenticator]

    @property
    def reads_tokens(self) -> bool:
        return any(isinstance(way, BearerTokens) for way in self.ways)

    def caller(self, headers: Mapping[str, str], base_url: str) -> Caller:
        """The caller. Raises the errors of AUTH-11; UnauthenticatedError if there are no credentials."""
        for way in self.ways:
            caller = way.identify(headers, base_url)
            if caller is not None:
                return caller
        if headers.get("authorization"):
            raise InvalidAuthorizationDetailsError("These credentials are not accepted here.")
        if [type(way) for way in self.ways] == [ApiKeys]:
            raise NoAPITokenError
        raise UnauthenticatedError
