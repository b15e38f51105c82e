"""Read and write entries of the register; retry if the store is busy or another caller was faster."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from chalicelib.identity.entries import ApiKey, Entry, Invitation, Key, Partner
from chalicelib.identity.register import Register
from chalicelib.services.errors import AlreadyExists, ChangedMeanwhile, InvalidValue, NotFound
from chalicelib.storage.errors import RecordChanged, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass, replace

E = TypeVar("E", bound=Entry)
P = TypeVar("P", ApiKey, Invitation)
T = TypeVar("T")

# Entries of secrets are shown and found by the prefix of a digest.
SHOWN_OF_A_DIGEST = 12
_SHORTEST_PREFIX = 6


@dataclass(frozen=True)
class Entries:
    """The entries of an installation. Every method may raise StillBusy."""

    register: Register
    retry: RetryPolicy
    clock: Callable[[], datetime]

    def find(self, kind: type[E], key: Key) -> E | None:
        return self.patiently(lambda: self.register.find(kind, key))

    def all(self, kind: type[E]) -> list[E]:
        """Every entry of a kind, including those that have ended. Reads the whole table."""
        return self.patiently(lambda: list(self.register.all(kind)))

    def all_live(self, kind: type[E]) -> list[E]:
        """The entries that have not ended: DynamoDB removes ended ones with a delay."""
        now = self.clock()
        return [entry for entry in self.all(kind) if entry.ends_at is None or entry.ends_at > now]

    def partner(self, partner_id: str) -> Partner:
        """A booking partner, suspended or not. Raises NotFound."""
        found = self.find(Partner, Partner.key_of(partner_id))
        if found is None:
            raise NotFound("booking partner", partner_id)
        return found

    def by_prefix(self, kind: type[P], prefix: str, what: str) -> P:
        """The only entry whose digest begins with `prefix`. Raises InvalidValue."""
        if len(prefix) < _SHORTEST_PREFIX:
            raise InvalidValue(f"Give at least {_SHORTEST_PREFIX} characters of the {what}.")
        fitting = [entry for entry in self.all(kind) if entry.digest.startswith(prefix.lower())]
        if len(fitting) != 1:
            raise InvalidValue(f"{len(fitting) or 'No'} {what}s begin with {prefix}; exactly one must.")
        return fitting[0]

    def add(self, entry: E, taken: str) -> E:
        """Save a new entry. Raises AlreadyExists with `taken` if there is one with this key."""

        def put() -> E:
            try:
                return self.register.save(entry)
            except RecordChanged:
                found = self.find(type(entry), entry.key)
                if found is not None and replace(found, version=0) == entry:
                    return found  # written by an earlier attempt whose answer was lost
                raise AlreadyExists(taken) from None

        return self.retry.run(put, on=(StoreBusy,))

    def change(self, entry: E, decide: Callable[[E], E]) -> E:
        """Write what `decide` returns for the current entry, or for a new one.

        `decide` may be applied twice. Raises ChangedMeanwhile if the entry was removed, and what `decide` raises.
        """

        def write() -> E:
            found = self.register.find(type(entry), entry.key)
            if found is None and entry.version:
                raise ChangedMeanwhile("Another operator has just removed it.")
            current = found or entry
            wanted = decide(current)
            return current if wanted == current else self.register.save(wanted)

        return self.patiently(write)

    def remove(self, entry: Entry) -> None:
        self.patiently(lambda: self.register.remove(entry))

    def patiently(self, work: Callable[[], T]) -> T:
        """What `work` returns, retried if the store is busy or another caller was faster."""
        return self.retry.run(work, on=(RecordChanged, StoreBusy))
