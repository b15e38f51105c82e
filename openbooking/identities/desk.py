"""Where the operator's functions stand: on one installation, in somebody's name, with a journal.

Each function checks first and writes then; where somebody else was faster it reads again. Whatever it
refuses is `Refused`, a sentence for a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from chalicelib.domain import identifiers
from chalicelib.domain.parties import Json, Seller
from chalicelib.identity.authority import Authority
from chalicelib.identity.register import (
    ApiKey,
    Entry,
    Invitation,
    JournalEntry,
    Login,
    Partner,
    RecordChanged,
    Register,
    SellerStanding,
)
from chalicelib.identity.register import Key as RegisterKey
from chalicelib.runtime.system import System
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.wire import links

E = TypeVar("E", bound=Entry)
P = TypeVar("P", ApiKey, Invitation)
T = TypeVar("T")

_SELLERS = f"{identifiers.IDENTIFIERS}/sellers/"
_IDENTIFIERS_PATH = identifiers.IDENTIFIERS.removeprefix(identifiers.BASE) + "/"
_SHORTEST_PREFIX = 6
SHOWN_OF_A_DIGEST = 12


class Refused(Exception):
    """It cannot be done; nothing was changed. The message says why, in a sentence."""


@dataclass
class Desk:
    """One installation, and who works on it. `own_url` is the base URL it is reached under, if known."""

    system: System
    by: str = ""
    own_url: str | None = None
    unnoted: str | None = None
    """What the journal could not take; the change itself was made."""

    @property
    def authority(self) -> Authority:
        return self.system.authority

    @property
    def register(self) -> Register:
        return self.system.authority.register

    def now(self) -> datetime:
        return self.system.now()

    def reach(self) -> None:
        """Says at once that there are no such tables, or no way to them. Raises Refused."""
        try:
            self.register.find(SellerStanding, SellerStanding.key_of("nobody"))
        except (StoreBusy, BotoCoreError, ClientError, PynamoDBException) as error:
            table = f"{self.system.settings.table_prefix}-identity"
            where = self.system.settings.dynamodb_url or self.system.settings.aws_region
            raise Refused(f"The table {table} at {where} cannot be read: {error}.") from None

    # --- reading --------------------------------------------------------------------------

    def find(self, kind: type[E], key: RegisterKey) -> E | None:
        return self.patiently(lambda: self.register.find(kind, key))

    def all(self, kind: type[E]) -> list[E]:
        """Every entry of a kind, those that have ended included."""
        return self.patiently(lambda: list(self.register.all(kind)))

    def all_live(self, kind: type[E]) -> list[E]:
        """Those that have not ended: DynamoDB removes them in its own time."""
        now = self.now()
        return [entry for entry in self.all(kind) if entry.ends_at is None or entry.ends_at > now]

    def partner(self, partner_id: str) -> Partner:
        """Raises Refused."""
        found = self.find(Partner, Partner.key_of(partner_id))
        if found is None:
            raise Refused(f"There is no booking partner {partner_id!r}: see `openbooking partners list`.")
        return found

    def seller(self, text: str) -> Seller:
        """The Seller with this id, as feeds or lists show it. Raises Refused."""
        for seller_id in filter(links.is_identifier, dict.fromkeys(self._meant(text.strip()))):
            found = self.patiently(partial(self.system.store.seller, seller_id))
            if found is not None:
                return found
        raise Refused(f"There is no Seller {text!r}: see `openbooking sellers list`.")

    def login(self, username: str) -> Login:
        """Raises Refused."""
        found = self.find(Login, Login.key_of(username.strip()))
        if found is None:
            raise Refused(f"There is no login {username!r}: see `openbooking logins list`.")
        return found

    def by_prefix(self, kind: type[P], prefix: str, what: str) -> P:
        """The one entry that is known by a digest beginning so. Raises Refused."""
        if len(prefix) < _SHORTEST_PREFIX:
            raise Refused(f"Give at least {_SHORTEST_PREFIX} characters of the {what}.")
        fitting = [entry for entry in self.all(kind) if entry.digest.startswith(prefix.lower())]
        if len(fitting) != 1:
            raise Refused(f"{len(fitting) or 'No'} {what}s begin with {prefix}; exactly one must.")
        return fitting[0]

    # --- ids as a person sees them --------------------------------------------------------

    def inward(self, text: str) -> str:
        """An id that is to be new. One of our own may be given by its last part."""
        if "/" not in text:
            return _SELLERS + text
        return identifiers.inward(text, self.own_url) if self.own_url else text

    def shown(self, seller_id: str) -> str:
        """The id as feeds show it; where our own URL is not known, the part that stands for the Seller."""
        if self.own_url:
            return identifiers.outward(seller_id, self.own_url)
        return seller_id.removeprefix(_SELLERS)

    def _meant(self, text: str) -> list[str]:
        _, ours, rest = text.partition(_IDENTIFIERS_PATH)
        return [text, self.inward(text), *([f"{identifiers.IDENTIFIERS}/{rest}"] if ours else [])]

    # --- writing --------------------------------------------------------------------------

    def add(self, entry: E, taken: str) -> E:
        """Put a new entry. Raises Refused with `taken` where there is one of this key."""
        for _ in self.system.retry.tries():
            try:
                return self.register.save(entry)
            except RecordChanged:
                found = self.find(type(entry), entry.key)
                if found is not None and replace(found, version=0) == entry:  # type: ignore[type-var]
                    return found  # our own, written by a call whose answer was lost
                raise Refused(taken) from None
            except StoreBusy:
                continue
        raise StillBusy

    def change(self, entry: E, decide: Callable[[E], E]) -> E:
        """Write what `decide` makes of an entry, or of what others have made of it meanwhile.

        Raises Refused where it is gone by then, and what `decide` raises. Must do no harm done twice.
        """
        found: E | None = entry
        for _ in self.system.retry.tries():
            try:
                if found is None:
                    found = self.register.find(type(entry), entry.key)
                if found is None and entry.version:
                    raise Refused("Somebody else has just removed it.")
                current = found or entry
                wanted = decide(current)
                return current if wanted == current else self.register.save(wanted)
            except (RecordChanged, StoreBusy):
                found = None
        raise StillBusy

    def remove(self, entry: Entry) -> None:
        self.patiently(lambda: self.register.remove(entry))

    def patiently(self, work: Callable[[], T]) -> T:
        """What `work` gives, tried again where the engine is busy or others were faster. Raises StillBusy."""
        for _ in self.system.retry.tries():
            try:
                return work()
            except (StoreBusy, RecordChanged):
                continue
        raise StillBusy

    # --- journal --------------------------------------------------------------------------

    def note(self, what: str, **ids: str) -> None:
        """Enter what was done, by ids alone. A journal that cannot be written undoes nothing."""
        entry = JournalEntry(self.system.new_id(), self.now(), what, self.by, ids)
        try:
            self.add(entry, taken="")
        except (StillBusy, Refused):
            told = ", ".join(f"{kind} {each}" for kind, each in ids.items())
            self.unnoted = f"This was done, but the journal could not be written: {what} ({told})."

    def journal(self, month: str | None = None) -> list[Json]:
        """What was done in a month such as 2026-07, by default this one. Raises Refused."""
        wanted = month or f"{self.now():%Y-%m}"
        try:
            datetime.strptime(wanted, "%Y-%m")  # noqa: DTZ007 - only its form is of interest
        except ValueError:
            raise Refused(f"{wanted!r} is no month such as 2026-07.") from None
        return [
            {
                "at": entry.at,
                "what": entry.what,
                "by": entry.by,
                "ids": [
                    f"{kind} {self.shown(each) if kind == 'seller' else each}"
                    for kind, each in entry.ids.items()
                ],
            }
            for entry in self.patiently(lambda: self.register.journal(wanted))
        ]
