"""Reading and writing entries of the register, tried again where the store is busy or others were faster."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from chalicelib.identity.entries import ApiKey, Entry, Invitation, Key, Partner
from chalicelib.identity.register import Register
from chalicelib.services.errors import AlreadyExists, ChangedMeanwhile, InvalidValue, NotFound
from chalicelib.storage.errors import RecordChanged, StoreBusy
from chalicelib.storage.retry import RetryPolicy

E = TypeVar("E", bound=Entry)
P = TypeVar("P", ApiKey, Invitation)
T = TypeVar("T")

# Entries of secrets are shown and named by the beginning of a digest.
SHOWN_OF_A_DIGEST = 12
_SHORTEST_PREFIX = 6


@dataclass(frozen=True)
class Entries:
    """The entries of one installation. Every method may raise StillBusy."""

    register: Register
    retry: RetryPolicy
    clock: Callable[[], datetime]

    def find(self, kind: type[E], key: Key) -> E | None:
        return self.patiently(lambda: self.register.find(kind, key))

    def all(self, kind: type[E]) -> list[E]:
        """Every entry of a kind, those that have ended included. Reads the whole table."""
        return self.patiently(lambda: list(self.register.all(kind)))

    def all_live(self, kind: type[E]) -> list[E]:
        """Those that have not ended: DynamoDB removes them in its own time."""
        now = self.clock()
        return [entry for entry in self.all(kind) if entry.ends_at is None or entry.ends_at > now]

    def partner(self, partner_id: str) -> Partner:
        """A booking partner, suspended or not. Raises NotFound."""
        found = self.find(Partner, Partner.key_of(partner_id))
        if found is None:
            raise NotFound("booking partner", partner_id)
        return found

    def by_prefix(self, kind: type[P], prefix: str, what: str) -> P:
        """The one entry that is known by a digest beginning so. Raises InvalidValue."""
        if len(prefix) < _SHORTEST_PREFIX:
            raise InvalidValue(f"Give at least {_SHORTEST_PREFIX} characters of the {what}.")
        fitting = [entry for entry in self.all(kind) if entry.digest.startswith(prefix.lower())]
        if len(fitting) != 1:
            raise InvalidValue(f"{len(fitting) or 'No'} {what}s begin with {prefix}; exactly one must.")
        return fitting[0]

    def add(self, entry: E, taken: str) -> E:
        """Put a new entry. Raises AlreadyExists with `taken` where there is one of this key."""

        def put() -> E:
            try:
                return self.register.save(entry)
            except RecordChanged:
                found = self.find(type(entry), entry.key)
                if found is not None and replace(found, version=0) == entry:
                    return found  # our own, written by a call whose answer was lost
                raise AlreadyExists(taken) from None

        return self.retry.run(put, on=(StoreBusy,))

    def change(self, entry: E, decide: Callable[[E], E]) -> E:
        """Write what `decide` makes of an entry as it stands now, or of a new one.

        Raises ChangedMeanwhile where it is gone by then, and what `decide` raises. Must do no harm done twice.
        """

        def write() -> E:
            found = self.register.find(type(entry), entry.key)
            if found is None and entry.version:
                raise ChangedMeanwhile("Somebody else has just removed it.")
            current = found or entry
            wanted = decide(current)
            return current if wanted == current else self.register.save(wanted)

        return self.patiently(write)

    def remove(self, entry: Entry) -> None:
        self.patiently(lambda: self.register.remove(entry))

    def patiently(self, work: Callable[[], T]) -> T:
        """What `work` gives, tried again where the store is busy or others were faster."""
        return self.retry.run(work, on=(RecordChanged, StoreBusy))
