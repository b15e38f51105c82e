"""The journal: who changed partners, Sellers, logins and keys, and how. It contains only ids."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.parties import Json
from chalicelib.identity.entries import JournalEntry
from chalicelib.services.entries import Entries
from chalicelib.services.errors import AdministrationError, InvalidValue
from chalicelib.services.seller_ids import SellerIds
from chalicelib.storage.errors import StillBusy


@dataclass
class Journal:
    """The journal of one installation; its entries name `by` as the author."""

    entries: Entries
    ids: SellerIds
    new_id: Callable[[], str]
    by: str
    unwritten: str | None = None
    """Called with a sentence about an entry that could not be written; the change itself was made."""

    def note(self, what: str, **ids: str) -> None:
        """Write an entry. If the journal cannot be written, the change is kept."""
        entry = JournalEntry(self.new_id(), self.entries.clock(), what, self.by, ids)
        try:
            self.entries.add(entry, taken="")
        except (StillBusy, AdministrationError):
            named = ", ".join(f"{kind} {each}" for kind, each in ids.items())
            self.unwritten = f"This was done, but the journal could not be written: {what} ({named})."

    def listed(self, month: str | None = None) -> list[Json]:
        """What was done in a month such as 2026-07, by default this one (UTC), as rows to show.

        Raises InvalidValue.
        """
        wanted = month or f"{self.entries.clock():%Y-%m}"
        try:
            datetime.strptime(wanted, "%Y-%m")  # noqa: DTZ007 - only the form is checked
        except ValueError:
            raise InvalidValue(f"{wanted!r} is not a month such as 2026-07.") from None
        return [
            {
                "at": entry.at,
                "what": entry.what,
                "by": entry.by,
                "ids": [
                    f"{kind} {self.ids.shown(each) if kind == 'seller' else each}"
                    for kind, each in entry.ids.items()
                ],
            }
            for entry in self.entries.patiently(lambda: self.entries.register.journal(wanted))
        ]
