"""Booking partners, logins, what Sellers allow, and secrets: one class for each kind of entry.

No secret is stored in plain text: random secrets are stored as SHA-256, passwords as scrypt hashes.
Field names are the names in the rows.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from chalicelib.values import dataclass, field

Key: TypeAlias = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row. `version` is the version of the row it was read from; 0 if it is new."""

    KIND: ClassVar[str]

    version: int = 0

    @property
    def key(self) -> Key:
        """The principal, which begins with the kind and a #, and the part."""
        raise NotImplementedError

    # Each kind defines this as a field or a property. A property here would become the default of the field.
    if TYPE_CHECKING:

        @property
        def ends_at(self) -> datetime | None:
            """When the entry is no longer needed and may be removed."""


class Lasting(Entry):
    """An entry that stays until it is removed."""

    @property
    def ends_at(self) -> datetime | None:
        return None


class Single(Entry):
    """The only entry under its principal, found by the field `NAMED_BY`."""

    NAMED_BY: ClassVar[str]

    @classmethod
    def key_of(cls, name: str) -> Key:
        return f"{cls.KIND}#{name}", cls.KIND

    @property
    def key(self) -> Key:
        return self.key_of(getattr(self, self.NAMED_BY))


@dataclass(frozen=True)
class Secret:
    """The digest of a client secret. Two may be valid at once while a partner changes its secret."""

    digest: str
    made_at: datetime
    ends_at: datetime | None = None

    def is_good(self, now: datetime) -> bool:
        return self.ends_at is None or now < self.ends_at


@dataclass(frozen=True)
class Partner(Single, Lasting):
    """A booking partner: one set of credentials. Its Orders are stored under its id (AUTH-05).

    `seller_id` is the Seller it may act for without a login, in an installation with one Seller.
    `invited_with` is the digest of the initial access token it registered with.
    """

    KIND: ClassVar[str] = "partner"
    NAMED_BY: ClassVar[str] = "id"

    id: str
    name: str
    made_at: datetime
    secrets: tuple[Secret, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    url: str | None = None
    seller_id: str | None = None
    suspended: bool = False
    invited_with: str | None = None


@dataclass(frozen=True)
class Authorisation(Lasting):
    """What a Seller allows a booking partner: given at a login, or by the operator (AUTH-06).

    `id` is new each time it is given, so that tokens and keys of an earlier one stay invalid. A suspended
    authorisation may be resumed; a revoked one can only be given again, with a new id.
    """

    KIND: ClassVar[str] = "authorisation"

    id: str
    partner_id: str
    seller_id: str
    scopes: tuple[str, ...]
    given_at: datetime
    given_by: str
    suspended: bool = False
    revoked_at: datetime | None = None

    @classmethod
    def key_of(cls, partner_id: str, seller_id: str) -> Key:
        return f"authorisation#{partner_id}", seller_id

    @property
    def key(self) -> Key:
        return self.key_of(self.partner_id, self.seller_id)

    @property
    def stands(self) -> bool:
        return not self.suspended and self.revoked_at is None


@dataclass(frozen=True)
class SellerStanding(Single, Lasting):
    """Whether partners may act for a Seller at all."""

    KIND: ClassVar[str] = "standing"
    NAMED_BY: ClassVar[str] = "seller_id"

    seller_id: str
    suspended: bool = False


@dataclass(frozen=True)
class ApiKey(Single):
    """The digest of a partner's API key: the simple way for an installation with one Seller (AUTH-10).

    If it names an authorisation, it is valid for the Seller as long as that authorisation is valid.
    """

    KIND: ClassVar[str] = "api-key"
    NAMED_BY: ClassVar[str] = "digest"

    digest: str
    partner_id: str
    seller_id: str | None
    made_at: datetime
    note: str = ""
    ends_at: datetime | None = None
    authorisation_id: str | None = None


@dataclass(frozen=True)
class Login(Single, Lasting):
    """The account of a person who may act for Sellers. Logs show `id` instead of the user name."""

    KIND: ClassVar[str] = "login"
    NAMED_BY: ClassVar[str] = "username"

    id: str
    username: str
    password: str
    seller_ids: tuple[str, ...]
    made_at: datetime
    suspended: bool = False

    @classmethod
    def key_of(cls, name: str) -> Key:
        return super().key_of(name.casefold())


@dataclass(frozen=True)
class Invitation(Single):
    """The digest of an initial access token, with which a booking partner may register."""

    KIND: ClassVar[str] = "invitation"
    NAMED_BY: ClassVar[str] = "digest"

    digest: str
    note: str
    made_at: datetime
    ends_at: datetime | None
    uses_left: int | None = 1


@dataclass(frozen=True)
class AuthorisationCode(Single):
    """The digest of an authorization code. A code can be used once."""

    KIND: ClassVar[str] = "code"
    NAMED_BY: ClassVar[str] = "digest"

    digest: str
    partner_id: str
    seller_id: str
    authorisation_id: str
    scopes: tuple[str, ...]
    redirect_uri: str
    code_challenge: str
    nonce: str | None
    signed_in_at: datetime
    ends_at: datetime
    grant_id: str | None = None  # set when it is used


@dataclass(frozen=True)
class Grant(Single):
    """A series of refresh tokens, each of which replaces the one before.

    `current` is the digest of the newest token, `earlier` that of the previous one, which is accepted until
    `leeway_ends_at` because an answer may be lost. `marker` identifies all tokens of the series, also those that
    were replaced long ago; a row of release 0.1.0 gets one with its next token.
    """

    KIND: ClassVar[str] = "grant"
    NAMED_BY: ClassVar[str] = "id"

    id: str
    partner_id: str
    seller_id: str
    authorisation_id: str
    scopes: tuple[str, ...]
    made_at: datetime
    ends_at: datetime
    current: str
    earlier: str | None = None
    leeway_ends_at: datetime | None = None
    renewed_at: datetime | None = None
    marker: str | None = None


@dataclass(frozen=True)
class UsedTicket(Single):
    """The ticket of a submitted consent form, so that it cannot be used twice. Kept until the ticket expires."""

    KIND: ClassVar[str] = "used-ticket"
    NAMED_BY: ClassVar[str] = "id"

    id: str
    ends_at: datetime


@dataclass(frozen=True)
class KnownBrowser(Entry):
    """A browser in which a login was used successfully: guesses from elsewhere do not close the login for it.

    Neither the user name nor the browser's secret is stored, only their digests.
    """

    KIND: ClassVar[str] = "known-browser"

    name: str
    browser: str
    ends_at: datetime

    @staticmethod
    def key_of(name: str, browser: str) -> Key:
        return f"{KnownBrowser.KIND}#{name}", browser

    @property
    def key(self) -> Key:
        return self.key_of(self.name, self.browser)


JOURNAL_KEPT_DAYS = 400


@dataclass(frozen=True)
class JournalEntry(Entry):
    """What was done, by ids: no secrets, no names of people. Written once, and removed by DynamoDB's TTL only.

    `by` is who did it: the id of a login or of a JournalName, or of entries of release 0.1.0 a user name. `via` is
    where it was done, `address` the id of a JournalName with where the request came from.
    `ids` maps kinds to ids: {"partner": ..., "seller": ..., "order": ..., "session": ...}. `changed` says what is
    different: {"start": "... → ..."}; entries of release 0.1.0 have nothing of this.
    """

    KIND: ClassVar[str] = "journal"

    id: str
    at: datetime
    what: str
    by: str
    ids: dict[str, str]
    via: str = ""
    address: str | None = None
    kept_days: int = JOURNAL_KEPT_DAYS
    changed: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return f"journal#{self.at:%Y-%m}", f"{self.at.isoformat(timespec='milliseconds')}#{self.id}"

    @property
    def ends_at(self) -> datetime | None:
        return self.at + timedelta(days=self.kept_days)


@dataclass(frozen=True)
class JournalName(Single):
    """What an id in the journal stands for: the name of a user, or an address. Erasing it leaves the id."""

    KIND: ClassVar[str] = "journal-name"
    NAMED_BY: ClassVar[str] = "id"

    id: str
    text: str
    ends_at: datetime | None = None
