"""What is known of those who call: booking partners, logins, what Sellers allow, and secrets; one class a kind.

No secret is here as it was given out: of a random one there is its SHA-256, of a password its scrypt hash.
The names of fields are those in the rows.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, TypeAlias

Key: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class Entry:
    """One row. `version` is that of the row it was read from, 0 for none."""

    KIND: ClassVar[str]

    version: int = field(default=0, kw_only=True)

    @property
    def key(self) -> Key:
        """Principal, which begins with the kind and a #, and part."""
        raise NotImplementedError

    # Every kind has it, as a field or as a property. A property here would become the default of the field.
    if TYPE_CHECKING:

        @property
        def ends_at(self) -> datetime | None:
            """When it stops being of use to anyone and may be removed."""


class Lasting(Entry):
    """An entry that stays until it is removed."""

    @property
    def ends_at(self) -> datetime | None:
        return None


class Single(Entry):
    """An entry that is alone under its principal, found by the field `NAMED_BY`."""

    NAMED_BY: ClassVar[str]

    @classmethod
    def key_of(cls, name: str) -> Key:
        return f"{cls.KIND}#{name}", cls.KIND

    @property
    def key(self) -> Key:
        return self.key_of(getattr(self, self.NAMED_BY))


@dataclass(frozen=True)
class Secret:
    """A client secret by its digest. Two may be good at once while a partner changes over."""

    digest: str
    made_at: datetime
    ends_at: datetime | None = None

    def is_good(self, now: datetime) -> bool:
        return self.ends_at is None or now < self.ends_at


@dataclass(frozen=True)
class Partner(Single, Lasting):
    """A booking partner: one set of credentials, under whose id its Orders are kept (AUTH-05).

    `seller_id` is the Seller it acts for without anybody's login, where there is only one Seller.
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

    `id` is new each time it is given, so that what hung on an earlier one stays ended. A suspended one may
    be resumed; one that was revoked can only be given again, with a new id.
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
    """Whether a Seller may be acted for at all."""

    KIND: ClassVar[str] = "standing"
    NAMED_BY: ClassVar[str] = "seller_id"

    seller_id: str
    suspended: bool = False


@dataclass(frozen=True)
class ApiKey(Single):
    """A partner's API key by its digest: the plain way for an installation with one Seller (AUTH-10).

    It is good for the Seller as long as the authorisation stands that it was made with, if it names one.
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
    """Somebody who may speak for Sellers. `id` stands for the user name in logs."""

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
    """An initial access token by its digest: its holder may register as a booking partner."""

    KIND: ClassVar[str] = "invitation"
    NAMED_BY: ClassVar[str] = "digest"

    digest: str
    note: str
    made_at: datetime
    ends_at: datetime | None
    uses_left: int | None = 1


@dataclass(frozen=True)
class AuthorisationCode(Single):
    """A code on its way from the login to the partner, by its digest. It is good once."""

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
    """A line of refresh tokens, each made from the one before.

    `current` is the digest of the newest, `earlier` that of the one before, which is taken once more until
    `leeway_ends_at`: an answer may be lost on its way. With `marker` every token of the line is recognised, also
    long after it was replaced; a row of release 0.1.0 gets one with its next token.
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
    """The ticket of a consent form that was sent, which is good once. Kept until the ticket itself has ended."""

    KIND: ClassVar[str] = "used-ticket"
    NAMED_BY: ClassVar[str] = "id"

    id: str
    ends_at: datetime


_JOURNAL_KEPT_FOR = timedelta(days=400)


@dataclass(frozen=True)
class JournalEntry(Entry):
    """What an operator has done to any of the others, by ids alone: no secret, no user name.

    `ids` says of which kind each is: {"partner": ..., "seller": ...}.
    """

    KIND: ClassVar[str] = "journal"

    id: str
    at: datetime
    what: str
    by: str
    ids: dict[str, str]

    @property
    def key(self) -> Key:
        return f"journal#{self.at:%Y-%m}", f"{self.at.isoformat(timespec='milliseconds')}#{self.id}"

    @property
    def ends_at(self) -> datetime | None:
        return self.at + _JOURNAL_KEPT_FOR
