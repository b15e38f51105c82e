"""Daily reports: what each Seller sold on a day, made by the schedule after the day and kept with the Seller."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

from chalicelib.domain.parties import Json
from chalicelib.identity.entries import Entry, Key
from chalicelib.identity.register import Register
from chalicelib.services import daily
from chalicelib.services.actors import Actor, Via
from chalicelib.services.pending import Step
from chalicelib.services.reports.figures import By
from chalicelib.services.reports.reading import Period, Reports
from chalicelib.storage.errors import RecordChanged
from chalicelib.storage.pending import REPORTS, PendingStore, PendingWork
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store
from chalicelib.values import dataclass

KIND = REPORTS

# Sellers in one step, and the days that are reported later if the schedule did not run.
STEP = 10
_DAYS = 7

# The groups of a daily report, from fine to coarse: the finest whose rows fit into one stored row.
_GROUPS: tuple[tuple[By, ...], ...] = (
    (By.broker, By.activity, By.site),
    (By.broker, By.activity),
    (By.broker,),
)
_MOST_ROWS = 1_000


@dataclass(frozen=True)
class DailyReport(Entry):
    """The sales of one Seller on one day, as they were when the day had ended. Amounts are texts."""

    KIND: ClassVar[str] = "daily-report"

    seller_id: str
    day: date
    made_at: datetime
    rows: tuple[Json, ...]
    unreadable: int
    ends_at: datetime | None

    @classmethod
    def principal_of(cls, seller_id: str) -> str:
        return f"{cls.KIND}#{seller_id}"

    @property
    def key(self) -> Key:
        return self.principal_of(self.seller_id), self.day.isoformat()


@dataclass(frozen=True)
class DailyReports:
    """Makes and reads the reports; they are kept for `kept_for`."""

    register: Register
    store: Store
    pending: PendingStore
    retry: RetryPolicy
    zone: ZoneInfo
    kept_for: timedelta

    def take_step(self, entry: PendingWork, now: datetime) -> Step:
        """Make the reports of the next Sellers; progress is the last one's id. A step may be repeated.

        Raises StillBusy, StoreBusy.
        """
        waiting = sorted(seller.id for seller in self.store.sellers() if seller.id > entry.progress)
        made = sum(self._make_all(seller_id, now) for seller_id in waiting[:STEP])
        if len(waiting) > STEP:
            return Step(made, waiting[STEP - 1])
        daily.plan_next(self.pending, KIND, now)
        return Step(made)

    def of(
        self, seller_id: str, since: date | None = None, until: date | None = None
    ) -> Iterator[DailyReport]:
        """The kept reports of a Seller, the newest first; until the day before `until`."""
        before = until.isoformat() if until else ""
        while page := self.register.entries_before(
            DailyReport, DailyReport.principal_of(seller_id), before, 50
        ):
            for each in page:
                if since is not None and each.day < since:
                    return
                yield each
            before = page[-1].key[1]

    def _make_all(self, seller_id: str, now: datetime) -> int:
        """The reports of the days that have ended and have none yet."""
        yesterday = now.astimezone(self.zone).date() - timedelta(days=1)
        last = next(self.of(seller_id), None)
        first = (
            max(last.day + timedelta(days=1), yesterday - timedelta(days=_DAYS - 1)) if last else yesterday
        )
        days = [first + timedelta(days=number) for number in range((yesterday - first).days + 1)]
        return sum(self._make(seller_id, day, now) for day in days)

    def _make(self, seller_id: str, day: date, now: datetime) -> int:
        reports = Reports(self.store, self.retry, Actor("schedule", Via.schedule, seller_id))
        rows: list[Json] = []
        for by in _GROUPS:
            rows = reports.sales(period_of(day, day, self.zone), by, self.zone).rows()
            if len(rows) <= _MOST_ROWS:
                break
        if not rows:
            return 0  # nothing was booked
        ends_at = now + self.kept_for
        unreadable = len(set(reports.unreadable))
        report = DailyReport(seller_id, day, now, tuple(rows), unreadable, ends_at)
        try:
            self.register.save(report)
        except RecordChanged:
            return 0  # by another run
        return 1


def period_of(first: date | None, last: date | None, zone: ZoneInfo) -> Period:
    """The time from the first to the last of these days, both included, in this time zone."""
    return Period(
        datetime.combine(first, time(), zone) if first else None,
        datetime.combine(last + timedelta(days=1), time(), zone) if last else None,
    )
