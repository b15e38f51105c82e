"""The part of an installation that does the work without a caller: pending work, daily work, the sandbox. Wiring only."""

from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.runtime.installation import Installation
from chalicelib.runtime.settings import SettingsError
from chalicelib.storage.pending import (
    CLEARING,
    FEED_REVIEW,
    HOLDER_CHANGE,
    HOLDER_MESSAGE,
    OPPORTUNITY_CHANGE,
    PROPOSAL_END,
    REPORTS,
    RETENTION,
    TIMETABLE,
    PendingWork,
)

# A kind of work is imported when there is such work.
if TYPE_CHECKING:
    from chalicelib.sandbox.keeping import Sandbox
    from chalicelib.services.following import Follower
    from chalicelib.services.informing import Informer
    from chalicelib.services.pending import Step, TakeStep, Worker
    from chalicelib.services.reports.kept import DailyReports
    from chalicelib.services.retention import Retention
    from chalicelib.services.seller_actions import SellerActions
    from chalicelib.services.timetables.extending import Extender


class Work(Installation):
    """What the sweep needs. The Seller's actions are here because they begin such work, and the sandbox takes them."""

    @property
    def worker(self) -> "Worker":
        """The worker for pending work."""
        from chalicelib.services.pending import Worker

        steps: dict[str, TakeStep] = {
            OPPORTUNITY_CHANGE: lambda entry: self._follower().take_step(entry),
            HOLDER_CHANGE: lambda entry: self._follower().take_holders_step(entry),
            PROPOSAL_END: self._end_proposal,
            FEED_REVIEW: self._review_feeds,
            TIMETABLE: lambda entry: self._extender().take_step(entry),
            HOLDER_MESSAGE: lambda entry: self._informer().take_step(entry),
        }
        settings = self.settings
        if settings.people_days:
            steps[RETENTION] = lambda entry: self._retention().take_step(entry)
        if settings.report_days:
            steps[REPORTS] = lambda entry: self.daily_reports.take_step(entry, self.now())
        if settings.test_interface:  # elsewhere nothing may delete a booking
            steps[CLEARING] = self._clear_dataset
        return Worker(self.pending, steps, self.retry, self.now, self.telemetry)

    def _end_proposal(self, entry: PendingWork) -> "Step":
        from chalicelib.services import proposals

        return proposals.take_step(entry, self.store, self.now(), self.retry)

    def _review_feeds(self, entry: PendingWork) -> "Step":
        from chalicelib.services import reviews

        return reviews.take_step(entry, self.feeds, self.store, self.now(), self.retry)

    def _clear_dataset(self, entry: PendingWork) -> "Step":
        from chalicelib.services import clearing

        return clearing.take_step(entry, self.store, self.now(), self.retry)

    def _retention(self) -> "Retention":
        from chalicelib.services.entries import Entries
        from chalicelib.services.journal import Journal
        from chalicelib.services.retention import Retention

        entries = Entries(self.register, self.retry, self.now)
        kept_for = timedelta(days=self.settings.people_days)
        journal = Journal.of_schedule(entries, self.new_id, self.settings.journal_days)
        return Retention(self.store, self.pending, self.attempts, journal, self.moment, kept_for)

    @property
    def daily_reports(self) -> "DailyReports":
        """What each Seller sold on a day. Raises SettingsError."""
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        from chalicelib.services.reports.kept import DailyReports

        settings = self.settings
        try:
            zone = ZoneInfo(settings.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise SettingsError(f"TIME_ZONE {settings.time_zone!r} is not a time zone.") from None
        kept_for = timedelta(days=settings.report_days)
        return DailyReports(self.register, self.store, self.pending, self.retry, zone, kept_for)

    def _plan_daily(self, seconds: float) -> int:
        """Plan the work that is done once a day, unless it is planned already."""
        from chalicelib.services import daily

        chosen = {RETENTION: self.settings.people_days, REPORTS: self.settings.report_days}
        return daily.start(self.pending, self.now(), [kind for kind, days in chosen.items() if days])

    def _follower(self) -> "Follower":
        from chalicelib.services.following import Follower

        return Follower(self.store, self.pending, self.moment(), self.retry, self.telemetry)

    def _informer(self) -> "Informer":
        from chalicelib.services.informing import Informer

        return Informer(self.store, self.pending, self.moment(), self.retry, self.telemetry)

    def _extender(self) -> "Extender":
        from chalicelib.services.timetables.extending import Extender

        return Extender(self.register, self.inventory, self.retry, self.now)

    @property
    def seller_actions(self) -> "SellerActions":
        """The Seller's actions on bookings."""
        from chalicelib.services.seller_actions import SellerActions

        return SellerActions(self.attempts, self.inventory, self.worker, self.moment)

    def sweep(self) -> dict[str, int]:
        """One run of the schedule; returns how many things were handled, by kind of work."""
        from chalicelib.services.sweep import run_sweep

        chores = {"daily": self._plan_daily}
        if not self.settings.production:
            chores["sandbox"] = self._keep_sandbox
        return run_sweep(self.worker, self.store, self.now(), self.retry, self.telemetry, chores)

    def _keep_sandbox(self, seconds: float) -> int:
        """One run of the sandbox's work, where there is a sandbox."""
        if not any(self.pending.entries(kind, 1) for kind in ("sandbox", "sandbox-answers")):
            return 0
        return self.sandbox.run(seconds)

    @property
    def sandbox(self) -> "Sandbox":
        """Opportunities for tests that are kept filled. Raises SettingsError in production."""
        from chalicelib.sandbox.keeping import Sandbox

        if self.settings.production:
            raise SettingsError("A sandbox is never in production.")
        return Sandbox(self.store, self.pending, self.seller_actions, self.retry, self.now, self.new_id)
