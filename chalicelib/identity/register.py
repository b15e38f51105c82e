"""The register: reads and writes entries as rows. It does not know what they mean."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from chalicelib.identity.entries import Authorisation, Entry, JournalEntry, Key
from chalicelib.storage import codec
from chalicelib.storage.identities import IdentityStore, Record
from chalicelib.storage.pending import PendingWork
from chalicelib.values import replace

E = TypeVar("E", bound=Entry)


class Register:
    """Entries by their keys. Each kind of entry defines its key."""

    def __init__(self, store: IdentityStore) -> None:
        self.store = store

    def find(self, kind: type[E], key: Key) -> E | None:
        """The current entry. Keys contain what callers send; a key that is invalid in DynamoDB returns None."""
        record = self.store.get(*key) if _can_be(key) else None
        return None if record is None else _entry(record, kind)

    def save(self, entry: E, *others: Entry, pending: Sequence[PendingWork] = ()) -> E:
        """Write an entry as the next version of the one that was read, with other entries and pending work.

        All are written in one transaction. Raises RecordChanged; AppendOnly for a journal entry that is stored.
        """
        together: list[Entry] = [entry, *others]
        for each in together:
            _check_append_only(each, is_new=not each.version)
        saved = self.store.save(_record(entry), *map(_record, others), pending=pending)
        return _entry(saved, type(entry))

    def remove(self, entry: Entry) -> None:
        """Delete an entry. Raises AppendOnly for one of the journal."""
        _check_append_only(entry, is_new=False)
        self.store.delete(Record(*entry.key, document="", version=entry.version))

    def all(self, kind: type[E]) -> Iterator[E]:
        """All entries of a kind. Reads the whole table, so it is for commands only."""
        for record in self.store.all(kind.KIND):
            yield _entry(record, kind)

    def of(self, kind: type[E], principal: str) -> list[E]:
        """All entries of a kind under one principal, in the order of their parts."""
        return [_entry(record, kind) for record in self.store.parts(principal)]

    def authorisations_of(self, partner_id: str) -> list[Authorisation]:
        """What Sellers have allowed a partner, revoked ones included."""
        return [_entry(record, Authorisation) for record in self.store.parts(f"authorisation#{partner_id}")]

    def journal(self, month: str) -> list[JournalEntry]:
        """What was done in a month such as 2026-07, oldest first."""
        return [_entry(record, JournalEntry) for record in self.store.parts(f"journal#{month}")]

    def entries_before(self, kind: type[E], principal: str, before: str, limit: int) -> list[E]:
        """The last entries of a kind under one principal before the part `before` ("": the end), the last first."""
        return [_entry(record, kind) for record in self.store.parts_before(principal, before, limit)]


class AppendOnly(Exception):
    """An entry of the journal is neither changed nor removed."""


def _check_append_only(entry: Entry, *, is_new: bool) -> None:
    if isinstance(entry, JournalEntry) and not is_new:
        raise AppendOnly(entry.id)


def _record(entry: Entry) -> Record:
    principal, part = entry.key
    return Record(principal, part, codec.to_json(entry), entry.version, entry.ends_at)


def _can_be(key: Key) -> bool:
    """Whether DynamoDB accepts the key: at most 2048 bytes for the partition key, 1024 for the sort key."""
    try:
        return len(key[0].encode()) <= 2048 and 0 < len(key[1].encode()) <= 1024
    except UnicodeEncodeError:  # an unpaired surrogate
        return False


def _entry(record: Record, kind: type[E]) -> E:
    entry = codec.from_json(record.document, kind)
    return replace(entry, version=record.version)
