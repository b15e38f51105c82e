"""List, replay and discard pending work that was set aside, for operators."""

import re
from collections.abc import Iterator

from chalicelib.domain.parties import Json
from chalicelib.services import leases, pending
from chalicelib.services.errors import ChangedMeanwhile, NotFound, NotPossible
from chalicelib.services.journal import Journal
from chalicelib.services.sweep import SHARES
from chalicelib.storage.errors import CommitRefused
from chalicelib.storage.pending import SET_ASIDE, PendingStore, PendingWork
from chalicelib.values import dataclass

_ON_ONE_PAGE = 100


@dataclass(frozen=True)
class SetAsideAdministration:
    """Entries of every kind that were set aside. Every method may raise StoreBusy."""

    store: PendingStore
    journal: Journal

    def all(self) -> Iterator[PendingWork]:
        """The entries of all kinds."""
        for kind in SHARES:
            after = ""
            while entries := self.store.entries(SET_ASIDE + kind, _ON_ONE_PAGE, after):
                yield from entries
                after = entries[-1].id

    def listed(self) -> list[Json]:
        """All entries as rows to show: of an error only the type, since a message may quote personal data."""
        return [
            {
                "entry": entry.id,
                "kind": _kind(entry),
                "error": (re.match(r"\w*", entry.error or "") or [""])[0],
                "set_aside": entry.failed_at,
            }
            for entry in self.all()
        ]

    def find(self, entry_id: str) -> PendingWork:
        """One entry. Raises NotFound."""
        for kind in SHARES:
            if entry := self.store.entry(SET_ASIDE + kind, entry_id):
                return entry
        raise NotFound("set-aside entry", entry_id)

    def replay(self, entry: PendingWork) -> None:
        """Let the sweep retry it. Raises NotPossible, ChangedMeanwhile."""
        kind = _kind(entry)
        if kind == leases.KIND:
            raise NotPossible(f"{entry.id} is not a lease: there is nothing to retry. Discard it.")
        try:
            replayed = pending.replay(self.store, kind, entry.id)
        except CommitRefused:
            replayed = False
        if not replayed:
            raise ChangedMeanwhile(f"Another operator has just replayed or discarded {entry.id}.")
        self.journal.note("pending work replayed", kind=kind, entry=entry.id)

    def discard(self, entry: PendingWork) -> None:
        """Remove it: its work is never done."""
        self.store.finish(entry)
        self.journal.note("pending work discarded", kind=_kind(entry), entry=entry.id)


def _kind(entry: PendingWork) -> str:
    return entry.kind.removeprefix(SET_ASIDE)
