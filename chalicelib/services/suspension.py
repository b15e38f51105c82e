"""Suspend and resume booking partners, Sellers and logins."""

from typing import ClassVar, Generic, TypeVar

from chalicelib.identity.entries import Login, Partner, SellerStanding
from chalicelib.services.entries import Entries
from chalicelib.services.errors import NotPossible
from chalicelib.services.journal import Journal
from chalicelib.values import replace

S = TypeVar("S", Partner, SellerStanding, Login)


class Suspendable(Generic[S]):
    """A service whose entries can be suspended. `kind` is the word for an entry in the journal."""

    kind: ClassVar[str]
    entries: Entries
    journal: Journal

    def _suspendable(self, known_as: str) -> tuple[S, str, str]:
        """The entry, its name for messages, and its id for the journal. Raises NotFound."""
        raise NotImplementedError

    def suspend(self, known_as: str) -> S:
        """Suspend an entry until it is resumed. Raises NotFound; NotPossible if it is suspended already."""
        return self._set_suspended(known_as, True)

    def resume(self, known_as: str) -> S:
        """Resume a suspended entry. Raises NotFound; NotPossible if it is not suspended."""
        return self._set_suspended(known_as, False)

    def _set_suspended(self, known_as: str, suspended: bool) -> S:
        entry, called, entry_id = self._suspendable(known_as)
        if entry.suspended is suspended:
            raise NotPossible(f"{called} is {'' if suspended else 'not '}suspended.")
        changed = self.entries.change(entry, lambda found: replace(found, suspended=suspended))
        what = f"{self.kind} {'suspended' if suspended else 'resumed'}"
        self.journal.note(what, **{self.kind: entry_id})
        return changed
