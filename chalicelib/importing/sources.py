"""Sources: operators' sites that are imported again and again, each with its settings, position and last report.

Decides when a source is due, that its runs never overlap, and how a run that exceeds its time continues. A run is
a step of scheduled work: a source has one entry, with the time of its next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime, timedelta
from typing import ClassVar

from chalicelib.domain.parties import Json
from chalicelib.identity.entries import Lasting, Single
from chalicelib.identity.register import Register
from chalicelib.importing.harvest import OutOfTime, Page, has_news, read_site
from chalicelib.importing.last_pages import LastPage, LastPages
from chalicelib.importing.page_log import PageLog
from chalicelib.importing.rpde import (
    Imported,
    ImportOptions,
    ImportRefused,
    Show,
    import_rpde,
    is_same_site,
    read_defaults_text,
    read_rate,
    source_name,
)
from chalicelib.importing.run_reports import RunReport, report_of
from chalicelib.importing.web import SiteError, Web
from chalicelib.services.inventory import Inventory
from chalicelib.services.pending import Step
from chalicelib.storage import codec
from chalicelib.storage.errors import RecordChanged, StillBusy, StoreBusy
from chalicelib.storage.pending import IMPORT, PendingStore, PendingWork, due_at
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass, replace

KIND = IMPORT

# A site may remove deleted items from its feeds after seven days (RPDE 1.0): a reading that continues from its position
# must be complete again before that.
COMPLETE_EVERY = timedelta(days=6)
# How long a run holds its source without a sign of life. It gives one whenever it shows its progress, which is before
# each pause for a busy site, too; the longest of these has 10 minutes.
_HELD_FOR = timedelta(minutes=16)
_EXTENDED_AFTER = timedelta(minutes=2)
_AT_ONCE = 100


@dataclass(frozen=True)
class Settings:
    """How a source is imported; `defaults` is the text of its file, `every` the minutes between two runs."""

    vat_rate: str = "0.20"
    defaults: str = ""
    seller_details: Json | None = None
    deleted_means_cancelled: bool = False
    allow_private_addresses: bool = False
    every: int = 15
    alarm_after: int = 24
    """Hours without a successful run after which there is an alarm."""


@dataclass(frozen=True)
class Source(Single, Lasting):
    """A site that is imported by schedule, or that a command follows.

    `generation` numbers the complete readings; the current one began at `complete_at`. `held_until` and `held_by` are
    those of the run that works on it. `follows` is the source of a command, without a schedule.
    """

    KIND: ClassVar[str] = "import-source"
    NAMED_BY: ClassVar[str] = "name"

    name: str
    url: str
    settings: Settings
    added_at: datetime
    follows: bool = False
    generation: int = 1
    complete_at: datetime | None = None
    earlier_feeds: tuple[str, ...] = ()
    """Feeds with pages of the generation before."""
    last_pages: tuple[LastPage, ...] = ()
    """As far as the pages that are kept reach, with what the site says of them."""
    due_at: datetime | None = None
    held_until: datetime | None = None
    held_by: str = ""
    succeeded_at: datetime | None = None
    report: RunReport | None = None
    confirmed: bool = False
    """Whether the next run may let any share leave sale."""

    @property
    def overdue_at(self) -> datetime:
        """From when on it has not succeeded for too long."""
        return (self.succeeded_at or self.added_at) + timedelta(hours=self.settings.alarm_after)

    @property
    def due_rows(self) -> tuple[PendingWork, ...]:
        """The entry of its next run; none if a command follows it."""
        if self.due_at is None:
            return ()
        document = codec.to_json({"name": self.name, "overdue_at": self.overdue_at.isoformat()})
        return (PendingWork(KIND, f"{due_at(self.due_at)} {self.name}", document),)


class Held(Exception):
    """Another run works on this source; the message says until when."""


@dataclass(frozen=True)
class Sources:
    """The sources of one installation, and their runs."""

    register: Register
    pending: PendingStore
    inventory: Inventory
    retry: RetryPolicy
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    own_url: str | None = None
    web: Callable[[bool], Web] = lambda allow_private: Web(allow_private=allow_private)

    # --- administration ----------------------------------------------------------------------

    def listed(self) -> list[Source]:
        """All sources with a schedule. Reads a whole table: for commands only."""
        return sorted(
            (each for each in self.register.all(Source) if not each.follows), key=lambda each: each.name
        )

    def find(self, name: str) -> Source | None:
        return self.register.find(Source, Source.key_of(name))

    def add(self, name: str, url: str, settings: Settings) -> Source:
        """Add a source, which is due at once, or give an existing one new settings. Reads a whole table.

        Raises StillBusy; ImportRefused, also for the site of another source.
        """
        source_name(url)
        read_defaults_text(settings.defaults)
        read_rate(settings.vat_rate)
        known = self.find(name)
        if known is not None and not is_same_site(known.url, url):
            raise ImportRefused(
                f"The source {name} has another URL: {known.url}. Choose another name, or remove it first with"
                f" `openbooking sources remove {name}`."
            )
        self._refuse_second(name, url)
        if known is None:
            new = Source(name, url, settings, self.now(), due_at=self.now())
            return self._save(new, *new.due_rows)
        return self._save(replace(known, settings=settings, complete_at=None))  # read again from the start

    def _refuse_second(self, name: str, url: str, *, follows: bool = False) -> None:
        """Refuse a site that another source imports: each would change what the other has brought in."""
        for other in self.register.all(Source):
            if other.name == name or not is_same_site(other.url, url):
                continue
            if not other.follows:
                instead = (
                    f"`openbooking sources run {other.name}` imports it now. To follow it instead,"
                    if follows
                    else "To give it new settings, add it again under that name. To give it another name,"
                )
                raise ImportRefused(
                    f"The source {other.name} imports this site already, as {other.url}. {instead} remove it first with"
                    f" `openbooking sources remove {other.name}`."
                )
            if self._is_held(other):
                raise ImportRefused(
                    f"`openbooking import rpde --follow` imports this site now, as {other.url}. Stop it first; if it was"
                    f" killed, wait until {other.held_until:%H:%M} UTC."
                )

    def _is_held(self, source: Source) -> bool:
        return source.held_until is not None and source.held_until > self.now()

    def follow(self, url: str, settings: Settings) -> Source:
        """The source of a command that follows a site without a schedule. Reads a whole table.

        Raises StillBusy; ImportRefused, also for the site of another source.
        """
        name = source_name(url)
        self._refuse_second(name, url, follows=True)
        known = self.find(name)
        if known is None:
            return self._save(Source(name, url, settings, self.now(), follows=True))
        if known.settings != settings:
            known = self._save(replace(known, settings=settings, complete_at=None))
        return known

    def confirm(self, name: str) -> Source:
        """Let the next run of a source take any share off sale."""
        return self._save(replace(self._known(name), confirmed=True))

    def remove(self, name: str) -> None:
        """Remove a source; what it has brought in stays. Raises ImportRefused, Held."""
        source = self._take(self._known(name))
        for url in source.earlier_feeds:
            self._log(source).clear(url)
        for row in source.due_rows:
            self.retry.run(lambda row=row: self.pending.finish(row), on=(StoreBusy,))  # type: ignore[misc]
        self.retry.run(lambda: self.register.remove(source), on=(StoreBusy,))

    def _known(self, name: str) -> Source:
        source = self.find(name)
        if source is None:
            raise ImportRefused(f"There is no source {name}: see `openbooking sources list`.")
        return source

    # --- the schedule --------------------------------------------------------------------------

    def overdue(self) -> list[str]:
        """The names of the sources that have not succeeded for too long. Raises StoreBusy."""
        now, found, after = self.now().isoformat(), set(), ""
        while rows := self.pending.entries(KIND, _AT_ONCE, after):
            found |= {_name_in(row) for row in rows if _document(row)["overdue_at"] <= now}
            after = rows[-1].id
        return sorted(found)

    def take_step(self, work: PendingWork, has_time: Callable[[], bool]) -> Step:
        """Import the source that `work` names, as far as there is time. Raises StoreBusy during another run of it."""
        source = self.find(_name_in(work))
        if source is None or work.id not in (row.id for row in source.due_rows):
            return Step(0)  # it was removed, or another run was faster
        try:
            imported = self.run(source, has_time=has_time)
        except Held as held:
            raise StoreBusy(str(held)) from None
        except OutOfTime:
            return Step(1, progress=self.now().isoformat())
        except ImportRefused:
            return Step(1)  # its report says why; it is due again
        return Step(1 if imported is None else max(sum(imported.changes.outcomes.values()), 1))

    # --- a run ---------------------------------------------------------------------------------

    def run(
        self,
        source: Source,
        *,
        has_time: Callable[[], bool] = lambda: True,
        show: Show = lambda what, done, total: None,
    ) -> Imported | None:
        """Import what has changed since the last run; None if nothing has. The source keeps the report.

        Raises Held during another run of it; ImportRefused; OutOfTime, where the next run continues.
        """
        now = self.now()
        source = self._take(source)
        if source.complete_at is None or now - source.complete_at >= COMPLETE_EVERY:
            source = self._begin_generation(source, now)
        last_pages = LastPages(self.now, source.last_pages)
        try:
            imported = self._import(source, last_pages, has_time, show)
        except ImportRefused as refused:
            self._end(source, RunReport(self.now(), problem=str(refused)), last_pages)
            raise
        except BaseException:
            self._release(source)
            raise
        self._end(source, report_of(self.now(), imported), last_pages)
        return imported

    def _import(
        self, source: Source, last_pages: LastPages, has_time: Callable[[], bool], show: Show
    ) -> Imported | None:
        settings = source.settings
        defaults = read_defaults_text(settings.defaults)
        options = ImportOptions(
            url=source.url,
            vat_rate=read_rate(settings.vat_rate),
            seller_details=settings.seller_details or {},
            own_url=self.own_url,
            deleted_means_cancelled=settings.deleted_means_cancelled,
            defaults=defaults,
            is_confirmed=source.confirmed,
        )
        log, hold = self._log(source), _Hold(self, source)

        def show_and_hold(what: str, done: int, total: int | None) -> None:
            hold.extend()
            show(what, done, total)

        if self._is_settled(source):
            if last_pages.are_fresh:
                return None
            try:
                with closing(self.web(settings.allow_private_addresses)) as web:
                    web.on_wait = lambda why, seconds: hold.extend()
                    if not has_news(web, read_site(web, source.url), log, last_pages):
                        return None
            except SiteError as error:
                raise ImportRefused(f"{error} Nothing was changed.") from None
        return import_rpde(
            self.inventory,
            options,
            retry=self.retry,
            show=show_and_hold,
            web=lambda: self.web(settings.allow_private_addresses),
            now=self.now,
            log=log,
            last_pages=last_pages,
            has_time=has_time,
        )

    def _is_settled(self, source: Source) -> bool:
        """Whether there is nothing to do unless the site has something new."""
        report = source.report
        return (
            report is not None
            and not report.problem
            and not report.unsettled
            and source.complete_at is not None
            and report.at >= source.complete_at
            and source.succeeded_at == report.at
        )

    def _begin_generation(self, source: Source, now: datetime) -> Source:
        """A complete reading from the start; the pages of the one before are no longer needed."""
        for url in source.earlier_feeds:
            self._log(source).clear(url)
        return self._save(
            replace(
                source, generation=source.generation + 1, complete_at=now, earlier_feeds=(), last_pages=()
            )
        )

    def _log(self, source: Source) -> _Log:
        return _Log(PageLog(self.pending, self.retry, source.name, source.generation), self, source)

    def progressed(self, source: Source, feed_url: str | None = None) -> None:
        """Hold the source for longer, and note that there are pages of this feed, so that they can be removed one day.

        A hold that has ended meanwhile, because the process was stopped for long, is taken again. Raises Held if
        another run has the source.
        """
        current, now = self._known(source.name), self.now()
        if current.held_by != source.held_by:
            raise Held(
                f"Another run has taken the source {source.name}, after this one had stopped for too long."
            )
        is_known = feed_url is None or feed_url in current.earlier_feeds
        if is_known and current.held_until is not None and current.held_until - now > _HELD_FOR / 2:
            return
        feeds = current.earlier_feeds if is_known else (*current.earlier_feeds, str(feed_url))
        self._save(replace(current, held_until=now + _HELD_FOR, earlier_feeds=feeds))

    def _take(self, source: Source) -> Source:
        """Hold the source. Raises Held, ImportRefused."""
        current, now = self._known(source.name), self.now()
        if self._is_held(current):
            raise Held(
                f"Another run has the source {current.name}; if it was killed, until {current.held_until:%H:%M} UTC."
            )
        try:
            return self._save(replace(current, held_until=now + _HELD_FOR, held_by=self.new_id()))
        except _ChangedByOther:
            raise Held(f"Another run has just taken the source {current.name}.") from None

    def _release(self, source: Source) -> None:
        with suppress(StillBusy, StoreBusy, ImportRefused):  # it ends after some minutes
            current = self._known(source.name)
            if current.held_by == source.held_by:
                self._save(replace(current, held_until=None, held_by=""))

    def _end(self, source: Source, report: RunReport, last_pages: LastPages) -> None:
        """Keep the report and the last pages, and say when the source is due again."""
        current = self._known(source.name)
        if current.held_by != source.held_by:
            return  # another run has taken it
        succeeded = current.succeeded_at if report.problem else report.at
        due_at = None if current.follows else self.now() + timedelta(minutes=current.settings.every)
        ended = replace(
            current,
            held_until=None,
            held_by="",
            report=report,
            last_pages=tuple(last_pages),
            succeeded_at=succeeded,
            due_at=due_at,
            confirmed=current.confirmed and bool(report.problem),
        )
        self._save(ended, *ended.due_rows)
        # After the next entry, or an end of the process between the two would end the schedule.
        for row in current.due_rows:
            if row.id not in [each.id for each in ended.due_rows]:
                self.retry.run(lambda row=row: self.pending.finish(row), on=(StoreBusy,))  # type: ignore[misc]

    def _save(self, source: Source, *rows: PendingWork) -> Source:
        """Raises _ChangedByOther if another run has changed it, StillBusy."""
        try:
            return self.retry.run(lambda: self.register.save(source, pending=rows), on=(StoreBusy,))
        except RecordChanged:
            # An attempt whose answer was lost may have written it: then the next one finds its own version.
            found = self.retry.run(lambda: self.find(source.name), on=(StoreBusy,))
            if found is not None and replace(found, version=source.version) == source:
                return found
            raise _ChangedByOther(f"the source {source.name} has been changed by another run") from None


class _ChangedByOther(StillBusy):
    """The source is no longer as it was read."""


@dataclass
class _Hold:
    """Extends the hold of a run while it progresses, with a look at the clock each time, and at the source seldom."""

    sources: Sources
    source: Source
    extended_at: datetime | None = None

    def extend(self) -> None:
        """Raises Held if another run has taken the source."""
        now = self.sources.now()
        if self.extended_at is None or now - self.extended_at >= _EXTENDED_AFTER:
            self.sources.progressed(self.source)
            self.extended_at = now


@dataclass(frozen=True)
class _Log:
    """The log of a source, which notes its feeds and holds the source while it grows."""

    pages_of: PageLog
    sources: Sources
    source: Source

    def pages(self, feed_url: str) -> Iterator[Page]:
        return self.pages_of.pages(feed_url)

    def add(self, feed_url: str, page: Page) -> None:
        self.sources.progressed(self.source, feed_url)
        self.pages_of.add(feed_url, page)

    def clear(self, feed_url: str) -> None:
        self.pages_of.clear(feed_url)


def _name_in(row: PendingWork) -> str:
    return str(_document(row)["name"])


def _document(row: PendingWork) -> Json:
    found: Json = codec.from_json(row.document, dict)
    return found
