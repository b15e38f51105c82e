"""The journal: who did what, to what, and from where, and what has changed. It is only ever added to.

It contains ids, no names of people, and nothing that they wrote.

An id of a user stands for a JournalName, which can be erased. Services write the entries, not the commands and pages
that call them; a test tries every command that writes.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from chalicelib.domain.parties import Json
from chalicelib.identity.entries import JOURNAL_KEPT_DAYS, JournalEntry, JournalName
from chalicelib.services.actors import Actor, Via
from chalicelib.services.entries import Entries
from chalicelib.services.errors import AdministrationError, AlreadyExists, InvalidValue
from chalicelib.services.seller_ids import SHORTEST_UUID, SellerIds
from chalicelib.storage.errors import StillBusy
from chalicelib.values import dataclass, field

# An address says more about a person than an id does, so it is kept for the time in which it may explain an attack.
_ADDRESSES_KEPT_FOR = timedelta(days=90)

# Kinds of ids that are called otherwise in entries of release 0.1.0.
_EARLIER = {"order": ("order", "proposal"), "session": ("session", "opportunity")}

_MONTH = "%Y-%m"
_TOGETHER = 200


@dataclass(frozen=True)
class Wanted:
    """Which entries to show: each value that is given must fit. `what` is a part of the action's name."""

    month: str | None = None
    order: str | None = None
    session: str | None = None
    partner: str | None = None
    seller: str | None = None
    login: str | None = None
    by: str | None = None
    what: str | None = None
    sessions: Mapping[str, datetime] = field(default_factory=dict)
    """Sessions that `order` books, by their stored ids: also what was done to these from then on."""


@dataclass
class Journal:
    """The journal of one installation; its entries name `by` as the author."""

    entries: Entries
    ids: SellerIds
    new_id: Callable[[], str]
    by: str
    id_of: Callable[[str], str] = lambda text: text
    """The id that stands for a user name or an address: a digest that only this installation can make."""
    kept_days: int = JOURNAL_KEPT_DAYS
    via: Via = Via.command_line
    unwritten: str | None = None
    """Called with a sentence about an entry that could not be written; the change itself was made."""
    _named: set[str] = field(default_factory=set)

    @classmethod
    def of_schedule(cls, entries: Entries, new_id: Callable[[], str], kept_days: int) -> "Journal":
        """For work that is due, which no person has asked for."""
        return cls(entries, SellerIds(), new_id, Via.schedule, kept_days=kept_days, via=Via.schedule)

    def note(self, what: str, changed: Mapping[str, str] | None = None, /, **ids: str) -> None:
        """Write an entry. If the journal cannot be written, the change is kept.

        `changed` says by name what is different now, without secrets and people.
        """
        self._write(what, changed, ids, None)

    def note_as(
        self, actor: Actor, what: str, changed: Mapping[str, str] | None = None, /, **ids: str
    ) -> None:
        """The same in the name of an actor, for the actor's Seller."""
        self._write(what, changed, ids, actor)

    def _write(
        self, what: str, changed: Mapping[str, str] | None, ids: dict[str, str], actor: Actor | None
    ) -> None:
        try:
            name, via = (actor.name, actor.via) if actor else (self.by, self.via)
            # A person who signed in is known by the id of the login; no person has asked for what is due.
            by = name if via in (Via.page, Via.schedule) else self._named_id(name)
            address = self._named_id(actor.address, _ADDRESSES_KEPT_FOR) if actor and actor.address else None
            if actor:
                ids = {"seller": actor.seller_id, **ids}
            entry = JournalEntry(
                self.new_id(),
                self.entries.clock(),
                what,
                by,
                ids,
                via.value,
                address,
                self.kept_days,
                dict(changed or {}),
            )
            self.entries.add(entry, taken="")
        except (StillBusy, AdministrationError):
            named = ", ".join(f"{kind} {each}" for kind, each in ids.items())
            self.unwritten = f"This was done, but the journal could not be written: {what} ({named})."

    def page(self, wanted: Wanted, limit: int, after: str = "") -> tuple[list[Json], str | None]:
        """The newest entries that are wanted, as rows to show, and the cursor of the next page.

        `after` is the cursor of the page before. Raises InvalidValue.
        """
        found: list[JournalEntry] = []
        meant, by = self._meant(wanted), {wanted.by, self.id_of(wanted.by)} if wanted.by else None
        for entry in self._newest_first(wanted.month, after):
            if (by is None or entry.by in by) and self._fits(entry, wanted, meant):
                found.append(entry)
                if len(found) > limit:
                    break
        names = self._names(found[:limit])
        following = found[limit - 1].key[1] if len(found) > limit else None
        return [self._row(entry, names) for entry in found[:limit]], following

    def listed(self, month: str | None = None) -> list[Json]:
        """All that was done in a month such as 2026-07, by default this one (UTC), oldest first. Raises InvalidValue."""
        month = _month(month or f"{self.entries.clock():{_MONTH}}")
        found = self.entries.patiently(lambda: self.entries.register.journal(month))
        names = self._names(found)
        return [self._row(entry, names) for entry in found]

    def of_name(self, text: str) -> JournalName | None:
        """The stored name of a user of commands, as the journal knows it."""
        return self.entries.find(JournalName, JournalName.key_of(self.id_of(text)))

    def _newest_first(self, month: str | None, after: str) -> Iterator[JournalEntry]:
        now = self.entries.clock()
        if after and not _is_part(after):
            raise InvalidValue(f"{after!r} is not the cursor of a page.")
        last = after[:7] if after else f"{now:{_MONTH}}"
        months = [_month(month)] if month else list(_months_back(last, now, self.kept_days))
        for each in months:
            before = after if after.startswith(each) else ""
            while page := self.entries.patiently(
                lambda: self.entries.register.entries_before(
                    JournalEntry,
                    f"journal#{each}",  # noqa: B023 - it runs at once
                    before,  # noqa: B023
                    _TOGETHER,
                )
            ):
                yield from page
                before = page[-1].key[1]

    def _meant(self, wanted: Wanted) -> dict[str, set[str]]:
        """Our own ids may be given with any host, or by their last part."""
        given = {
            "order": wanted.order,
            "session": wanted.session,
            "partner": wanted.partner,
            "seller": wanted.seller,
            "login": wanted.login,
        }
        return {kind: {text, *self.ids.meant(text)} for kind, text in given.items() if text}

    def _fits(self, entry: JournalEntry, wanted: Wanted, ids: Mapping[str, set[str]]) -> bool:
        if wanted.what is not None and wanted.what.casefold() not in entry.what.casefold():
            return False
        session = next((entry.ids[kind] for kind in _EARLIER["session"] if kind in entry.ids), None)
        if session is not None and any(
            entry.at >= wanted.sessions[each] for each in self.ids.meant(session) if each in wanted.sessions
        ):
            return True
        return all(
            any(self._is_meant(entry, each, meant) for each in _EARLIER.get(kind, (kind,)))
            for kind, meant in ids.items()
        )

    def _is_meant(self, entry: JournalEntry, kind: str, meant: set[str]) -> bool:
        """Whether the entry has one of these ids; orders and sessions may be named by short ones."""
        known = entry.ids.get(kind)
        if known is None or known in meant:
            return known is not None
        if kind in _EARLIER["order"]:
            return any(len(each) >= SHORTEST_UUID and known.startswith(each) for each in meant)
        if kind not in _EARLIER["session"]:
            return False
        spellings = {*self.ids.meant(known), self.ids.short(known, entry.ids.get("seller", ""))}
        return not meant.isdisjoint(spellings)

    def _named_id(self, text: str, kept_for: timedelta | None = None) -> str:
        """The id for a text, which is stored once. Raises StillBusy."""
        name_id = self.id_of(text)
        if name_id not in self._named:
            ends_at = self.entries.clock() + kept_for if kept_for else None
            if self.entries.find(JournalName, JournalName.key_of(name_id)) is None:
                with suppress(AlreadyExists):  # by another command
                    self.entries.add(JournalName(name_id, text, ends_at), taken="")
            self._named.add(name_id)
        return name_id

    def _names(self, entries: list[JournalEntry]) -> dict[str, str]:
        ids = {each for entry in entries for each in (entry.by, entry.address) if each}
        found = (self.entries.find(JournalName, JournalName.key_of(each)) for each in sorted(ids))
        return {each.id: each.text for each in found if each is not None}

    def _row(self, entry: JournalEntry, names: Mapping[str, str]) -> Json:
        return {
            "at": entry.at,
            "what": entry.what,
            "by": names.get(entry.by, entry.by),
            "from": ", ".join(
                filter(None, [entry.via, names.get(entry.address, "") if entry.address else ""])
            ),
            "ids": [
                f"{kind} {self.ids.shown(each) if kind in ('seller', 'session') else each}"
                for kind, each in entry.ids.items()
            ],
            "changed": entry.changed,
        }


def _month(text: str) -> str:
    try:
        return datetime.strptime(text, _MONTH).strftime(_MONTH)  # noqa: DTZ007 - only the form is checked
    except ValueError:
        raise InvalidValue(f"{text!r} is not a month such as 2026-07.") from None


def _months_back(last: str, now: datetime, days: int) -> Iterator[str]:
    """The months from `last` back to the oldest that may still have an entry."""
    oldest = f"{now - timedelta(days=days + 31):{_MONTH}}"
    year, month = int(last[:4]), int(last[5:7])
    while (each := f"{year:04d}-{month:02d}") >= oldest:
        yield each
        year, month = (year - 1, 12) if month == 1 else (year, month - 1)


def _is_part(text: str) -> bool:
    """Whether this is the sort key of an entry: its time and its id."""
    try:
        return datetime.fromisoformat(text.partition("#")[0]).tzinfo is not None and "#" in text
    except ValueError:
        return False
