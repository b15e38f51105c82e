"""What is known of those who call: booking partners, the Sellers' logins, what they have agreed to, and secrets.

No secret is here as it was given out: of a random one there is its SHA-256, of a password its scrypt hash.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, Protocol, TypeAlias, TypeVar

from chalicelib.storage import codec
from chalicelib.storage.errors import RecordChanged
from chalicelib.storage.identities import IdentityStore, Record
from chalicelib.storage.pending import PendingWork

__all__ = [
    "ApiKey",
    "Authorisation",
    "AuthorisationCode",
    "Entry",
    "FeedReview",
    "Grant",
    "Invitation",
    "JournalEntry",
    "Login",
    "Partner",
    "RecordChanged",
    "Register",
    "SellerStanding",
]

Key: TypeAlias = tuple[str, str]


class Entry(Protocol):
    """One thing that is known. `version` is that of the row it was read from, 0 for none."""

    KIND: ClassVar[str]

    @property
    def version(self) -> int: ...

    @property
    def key(self) -> Key:
        """Principal, which begins with the kind and a #, and part."""

    @property
    def ends_at(self) -> datetime | None:
        """When it stops being of use to anyone and may be removed."""


@dataclass(frozen=True)
class Secret:
    """A client secret by its digest. Two may be good at once while a partner changes over."""

    digest: str
    made_at: datetime
    ends_at: datetime | None = None

    def is_good(self, now: datetime) -> bool:
        return self.ends_at is None or now < self.ends_at


@dataclass(frozen=True)
class Partner:
    """A booking partner: one set of credentials, under whose id its Orders are kept (AUTH-05).

    `seller_id` is the Seller it acts for without anybody's login, where there is only one Seller.
    `invited_with` is the digest of the initial access token it registered with.
    """

    KIND: ClassVar[str] = "partner"

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
    version: int = 0

    @classmethod
    def key_of(cls, partner_id: str) -> Key:
        return f"partner#{partner_id}", "partner"

    @property
    def key(self) -> Key:
        return self.key_of(self.id)

    @property
    def ends_at(self) -> datetime | None:
        return None


@dataclass(frozen=True)
class Authorisation:
    """What a Seller allows a booking partner: given at a login, or by the operator (AUTH-06).

    `id` is new each time it is given, so that what hung on an earlier one stays ended. A suspended one may
    come back; one that was revoked may only be given anew.
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
    version: int = 0

    @classmethod
    def key_of(cls, partner_id: str, seller_id: str) -> Key:
        return f"authorisation#{partner_id}", seller_id

    @property
    def key(self) -> Key:
        return self.key_of(self.partner_id, self.seller_id)

    @property
    def ends_at(self) -> datetime | None:
        return None

    @property
    def stands(self) -> bool:
        return not self.suspended and self.revoked_at is None


@dataclass(frozen=True)
class SellerStanding:
    """Whether a Seller may be acted for at all."""

    KIND: ClassVar[str] = "standing"

    seller_id: str
    suspended: bool = False
    version: int = 0

    @classmethod
    def key_of(cls, seller_id: str) -> Key:
        return f"standing#{seller_id}", "standing"

    @property
    def key(self) -> Key:
        return self.key_of(self.seller_id)

    @property
    def ends_at(self) -> datetime | None:
        return None


@dataclass(frozen=True)
class ApiKey:
    """A partner's API key by its digest: the plain way for an installation with one Seller (AUTH-10).

    It is good for the Seller as long as the authorisation stands that it was made with, if it names one.
    """

    KIND: ClassVar[str] = "api-key"

    digest: str
    partner_id: str
    seller_id: str | None
    made_at: datetime
    note: str = ""
    ends_at: datetime | None = None
    authorisation_id: str | None = None
    version: int = 0

    @classmethod
    def key_of(cls, digest: str) -> Key:
        return f"api-key#{digest}", "api-key"

    @property
    def key(self) -> Key:
        return self.key_of(self.digest)


@dataclass(frozen=True)
class Login:
    """Somebody who may speak for Sellers. `id` stands for the user name in logs."""

    KIND: ClassVar[str] = "login"

    id: str
    username: str
    password: str
    seller_ids: tuple[str, ...]
    made_at: datetime
    suspended: bool = False
    version: int = 0

    @classmethod
    def key_of(cls, username: str) -> Key:
        return f"login#{username.casefold()}", "login"

    @property
    def key(self) -> Key:
        return self.key_of(self.username)

    @property
    def ends_at(self) -> datetime | None:
        return None


@dataclass(frozen=True)
class Invitation:
    """An initial access token by its digest: whoever has it may register as a booking partner."""

    KIND: ClassVar[str] = "invitation"

    digest: str
    note: str
    made_at: datetime
    ends_at: datetime | None
    uses_left: int | None = 1
    version: int = 0

    @classmethod
    def key_of(cls, digest: str) -> Key:
        return f"invitation#{digest}", "invitation"

    @property
    def key(self) -> Key:
        return self.key_of(self.digest)


@dataclass(frozen=True)
class AuthorisationCode:
    """A code on its way from the login to the partner, by its digest. It is good once."""

    KIND: ClassVar[str] = "code"

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
    version: int = 0

    @classmethod
    def key_of(cls, digest: str) -> Key:
        return f"code#{digest}", "code"

    @property
    def key(self) -> Key:
        return self.key_of(self.digest)


@dataclass(frozen=True)
class Grant:
    """A line of refresh tokens, each made from the one before.

    `current` is the digest of the newest, `earlier` that of the one before, which is taken once more until
    `leeway_ends_at`: an answer may be lost on its way.
    """

    KIND: ClassVar[str] = "grant"

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
    version: int = 0

    @classmethod
    def key_of(cls, grant_id: str) -> Key:
        return f"grant#{grant_id}", "grant"

    @property
    def key(self) -> Key:
        return self.key_of(self.id)


@dataclass(frozen=True)
class FeedReview:
    """A partner's feeds have yet to follow that a Seller has allowed it, or does so no more (OFEED-15)."""

    KIND: ClassVar[str] = "feed-review"

    partner_id: str
    seller_id: str

    def pending(self, review_id: str) -> PendingWork:
        """The entry that has to be followed; `review_id` tells it from a later one of the same."""
        entry_id = f"{self.partner_id}#{self.seller_id}#{review_id}"
        return PendingWork(self.KIND, entry_id, codec.to_json(self))


_JOURNAL_KEPT_FOR = timedelta(days=400)


@dataclass(frozen=True)
class JournalEntry:
    """What an operator has done to any of the others, told by ids alone: no secret, no user name.

    `ids` says of which kind each is: {"partner": ..., "seller": ...}.
    """

    KIND: ClassVar[str] = "journal"

    id: str
    at: datetime
    what: str
    by: str
    ids: dict[str, str]
    version: int = 0

    @property
    def key(self) -> Key:
        return f"journal#{self.at:%Y-%m}", f"{self.at.isoformat(timespec='milliseconds')}#{self.id}"

    @property
    def ends_at(self) -> datetime | None:
        return self.at + _JOURNAL_KEPT_FOR


E = TypeVar("E", bound=Entry)


class Register:
    """Entries, found by the key that their kind gives them."""

    def __init__(self, store: IdentityStore) -> None:
        self.store = store

    def find(self, kind: type[E], key: Key) -> E | None:
        """The entry as it stands. Keys are made of what callers send: what can be none is not there."""
        record = self.store.get(*key) if _can_be(key) else None
        return None if record is None else _entry(record, kind)

    def save(self, entry: E, *others: Entry, pending: Sequence[PendingWork] = ()) -> E:
        """Write an entry as the next version of what was read, and others with it; and what is to follow.

        Raises RecordChanged.
        """
        saved = self.store.save(_record(entry), *map(_record, others), pending=pending)
        return _entry(saved, type(entry))

    def remove(self, entry: Entry) -> None:
        """Take an entry out."""
        self.store.delete(Record(*entry.key, document="", version=entry.version))

    def all(self, kind: type[E]) -> Iterator[E]:
        """Every entry of a kind. Reads the whole table: for commands."""
        for record in self.store.all(kind.KIND):
            yield _entry(record, kind)

    def authorisations_of(self, partner_id: str) -> list[Authorisation]:
        """What Sellers have allowed a partner, revoked ones included."""
        return [_entry(record, Authorisation) for record in self.store.parts(f"authorisation#{partner_id}")]

    def journal(self, month: str) -> list[JournalEntry]:
        """What was done in a month such as 2026-07, in its order."""
        return [_entry(record, JournalEntry) for record in self.store.parts(f"journal#{month}")]


def _record(entry: Entry) -> Record:
    principal, part = entry.key
    return Record(principal, part, codec.to_json(entry), entry.version, entry.ends_at)


def _can_be(key: Key) -> bool:
    """Whether DynamoDB takes it: 2048 bytes for the one half, 1024 for the other."""
    try:
        return len(key[0].encode()) <= 2048 and 0 < len(key[1].encode()) <= 1024
    except UnicodeEncodeError:  # half a character
        return False


def _entry(record: Record, kind: type[E]) -> E:
    entry = codec.from_json(record.document, kind)
    return replace(entry, version=record.version)  # type: ignore[type-var]
