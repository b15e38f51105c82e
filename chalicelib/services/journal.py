"""The journal: what was done to partners, Sellers, logins and keys, by whom; by ids alone."""

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
    """The journal of one installation, written in the name `by`."""

    entries: Entries
    ids: SellerIds
    new_id: Callable[[], str]
    by: str
    unwritten: str | None = None
    """What the journal could not take, as a sentence; the change itself was made."""

    def note(self, what: str, **ids: str) -> None:
        """Enter what was done. A journal that cannot be written undoes nothing."""
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
            datetime.strptime(wanted, "%Y-%m")  # noqa: DTZ007 - only its form is of interest
        except ValueError:
            raise InvalidValue(f"{wanted!r} is no month such as 2026-07.") from None
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
