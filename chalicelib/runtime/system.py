"""One installation, assembled: settings, stores, clock and ids, and the services that the API uses."""

import os
import random
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from chalicelib.domain import identifiers
from chalicelib.domain.parties import Json
from chalicelib.runtime.settings import Settings, SettingsError, read_settings
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.storage import codec
from chalicelib.storage.dynamodb.feeds import DynamoFeeds
from chalicelib.storage.dynamodb.identities import DynamoIdentities
from chalicelib.storage.dynamodb.pending import DynamoPending
from chalicelib.storage.dynamodb.store import DynamoStore
from chalicelib.storage.dynamodb.tables import Engine, Tables
from chalicelib.storage.feeds import FeedStore
from chalicelib.storage.identities import IdentityStore
from chalicelib.storage.pending import (
    CLEARING,
    FEED_REVIEW,
    HOLDER_CHANGE,
    HOLDER_MESSAGE,
    IMPORT,
    OPPORTUNITY_CHANGE,
    PROPOSAL_END,
    REPORTS,
    RETENTION,
    TIMETABLE,
    PendingStore,
    PendingWork,
)
from chalicelib.storage.records import Record
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store
from chalicelib.values import dataclass

# A function loads only what it uses: a booking needs no streams and no pending work, a stream no tokens.
if TYPE_CHECKING:
    from chalicelib.booking.decisions import Moment
    from chalicelib.feeds.ledger import Ledger
    from chalicelib.feeds.parked import ParkedRecords
    from chalicelib.feeds.streams import Stream
    from chalicelib.identity.callers import Ways
    from chalicelib.identity.consent import Consent
    from chalicelib.identity.credentials import Credentials
    from chalicelib.identity.fingerprints import Fingerprints
    from chalicelib.identity.grants import Grants
    from chalicelib.identity.issuing import TokenIssuer
    from chalicelib.identity.keys import KeyRing
    from chalicelib.identity.limits import RateLimiter
    from chalicelib.identity.logins import Logins
    from chalicelib.identity.passwords import Passwords
    from chalicelib.identity.register import Register
    from chalicelib.importing.sources import Sources
    from chalicelib.sandbox.keeping import Sandbox
    from chalicelib.services.attempts import Attempts
    from chalicelib.services.bookings import Bookings
    from chalicelib.services.following import Follower
    from chalicelib.services.informing import Informer
    from chalicelib.services.inventory import Inventory
    from chalicelib.services.pending import Step, TakeStep, Worker
    from chalicelib.services.reports.kept import DailyReports
    from chalicelib.services.retention import Retention
    from chalicelib.services.seller_actions import SellerActions
    from chalicelib.services.timetables.extending import Extender
    from chalicelib.wire.dataset import DatasetDetails

T = TypeVar("T")


@dataclass
class System:
    """Everything a handler needs. Clock and ids are created here only."""

    settings: Settings
    store: Store
    feeds: FeedStore
    telemetry: Telemetry
    identities: IdentityStore
    pending: PendingStore
    retry: RetryPolicy
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    # --- who calls ------------------------------------------------------------------------

    @cached_property
    def register(self) -> "Register":
        """Stored booking partners, logins, authorisations and secrets."""
        from chalicelib.identity.register import Register

        return Register(self.identities)

    @cached_property
    def consent(self) -> "Consent":
        """What Sellers allow booking partners."""
        from chalicelib.identity.consent import Consent

        return Consent(self.register, self.retry, self.now, self.new_id, self.telemetry.info)

    @cached_property
    def callers(self) -> "Ways":
        """How callers authenticate."""
        from chalicelib.identity.callers import (
            ApiKeys,
            Authenticator,
            BearerTokens,
            DevelopmentHeaders,
            TokenReader,
            Ways,
        )

        settings = self.settings
        ways: list[Authenticator] = []
        readers: list[TokenReader] = []
        if "openid" in settings.ways:
            from chalicelib.identity.issuers import OwnTokens

            readers.append(OwnTokens(self.keys, self.now))
        if "issuer" in settings.ways:
            from functools import partial

            from chalicelib.identity.fetching import fetch
            from chalicelib.identity.issuers import ExternalTokens

            readers.append(
                ExternalTokens(
                    settings.issuer,
                    settings.issuer_audience,
                    self.now,
                    fetch=partial(fetch, http_on_this_machine=not settings.production),
                    audience_claim=settings.issuer_audience_claim,
                    client_claim=settings.issuer_client_claim,
                    seller_claim=settings.issuer_seller_claim,
                    scope_claim=settings.issuer_scope_claim,
                )
            )
        if readers:
            ways.append(BearerTokens(readers))
        if "api-keys" in settings.ways:
            ways.append(ApiKeys(self.register, self.now))
        if "headers" in settings.ways:
            ways.append(DevelopmentHeaders())
        return Ways(ways)

    @cached_property
    def rates(self) -> "RateLimiter":
        """How many requests each booking partner may make."""
        from chalicelib.identity.limits import RateLimiter

        settings = self.settings
        return RateLimiter(self.identities, self.now, settings.rate_limit, settings.rate_exceptions)

    # --- our own OpenID provider, which the commands manage even if its tokens are not accepted ---

    @cached_property
    def keys(self) -> "KeyRing":
        """The signing keys of our tokens."""
        from chalicelib.identity.keys import KeyRing
        from chalicelib.storage.vault import KmsVault, OpenVault

        settings = self.settings
        sealed = bool(settings.signing_kms_key)
        return KeyRing(
            self.register,
            KmsVault(settings.signing_kms_key, settings.aws_region, self.telemetry.key_failed)
            if sealed
            else OpenVault(),
            self.now,
            self.new_id,
            timedelta(seconds=settings.access_token_seconds),
            self.retry,
        )

    @cached_property
    def issuer(self) -> "TokenIssuer":
        """Access tokens and ID tokens."""
        from chalicelib.identity.issuing import TokenIssuer

        live = timedelta(seconds=self.settings.access_token_seconds)
        return TokenIssuer(self.keys, live, self.now, self.new_id, self.store.seller)

    @cached_property
    def grants(self) -> "Grants":
        """Codes and refresh tokens."""
        from chalicelib.identity.grants import Grants

        live = timedelta(days=self.settings.refresh_token_days)
        return Grants(self.register, self.consent, live, self.now, self.new_id, self.telemetry.info)

    @cached_property
    def credentials(self) -> "Credentials":
        """Booking partners by their secrets."""
        from chalicelib.identity.credentials import Credentials

        return Credentials(self.register, self.now)

    @cached_property
    def passwords(self) -> "Passwords":
        from chalicelib.identity.passwords import Passwords

        return Passwords()

    @cached_property
    def logins(self) -> "Logins":
        """Logins of people who may act for Sellers."""
        from chalicelib.identity.limits import AttemptLimit
        from chalicelib.identity.logins import Logins, SignInLimits

        return Logins(
            self.register,
            self.consent,
            self.passwords,
            SignInLimits(
                per_place=AttemptLimit(self.identities, self.now, 10),
                per_network=AttemptLimit(self.identities, self.now, 50),
                per_name=AttemptLimit(self.identities, self.now, 100),
                per_browser=AttemptLimit(self.identities, self.now, 10),
            ),
            seller=self.store.seller,
            note=self.telemetry.info,
            now=self.now,
        )

    # --- time -----------------------------------------------------------------------------

    def now(self) -> datetime:
        """The current time."""
        return self.clock()

    @property
    def ledger(self) -> "Ledger":
        from chalicelib.feeds.ledger import Ledger

        return Ledger(self.feeds, self.retry)

    def moment(self) -> "Moment":
        """The current time, new ids and the policy, for a decision."""
        from chalicelib.booking.decisions import Moment, Policy

        settings = self.settings
        policy = Policy(
            anonymous_leases=settings.anonymous_leasing,
            named_leases=settings.named_leasing,
            lease_for=settings.lease_for,
            lease_longest=settings.lease_longest,
            limits=settings.partner_limits,
            answer_for=timedelta(seconds=settings.proposal_answer_seconds),
            book_for=timedelta(seconds=settings.proposal_booking_seconds),
            prepayment_supported=settings.prepayment,
            business_tax_calculated=settings.business_tax,
            reconciliation=settings.reconciliation,
            pass_url=f"{settings.pass_base_url or identifiers.BASE}/api/passes",
        )
        return Moment(self.clock(), self.new_id, policy, self._keyed)

    def _keyed(self, text: str) -> str:
        return self.fingerprints.digest(text)

    @cached_property
    def fingerprints(self) -> "Fingerprints":
        """Digests that only this installation can make."""
        from secrets import token_hex

        from chalicelib.identity.fingerprints import Fingerprints

        return Fingerprints(self.register, self.retry, lambda: token_hex(32))

    @property
    def attempts(self) -> "Attempts":
        """How decisions are carried out."""
        from chalicelib.services.attempts import Attempts

        return Attempts(self.store, self.retry, self.telemetry.refused)

    @property
    def bookings(self) -> "Bookings":
        """The Broker's actions."""
        from chalicelib.services.bookings import Bookings

        return Bookings(self.attempts, self.moment, self.telemetry.partner_usage)

    @property
    def inventory(self) -> "Inventory":
        """Opportunities and Sellers."""
        from chalicelib.services.inventory import Inventory

        return Inventory(self.store, self.pending, self.retry)

    @property
    def seller_actions(self) -> "SellerActions":
        """The Seller's actions on bookings."""
        from chalicelib.services.seller_actions import SellerActions

        return SellerActions(self.attempts, self.inventory, self.worker, self.moment)

    # --- work without a caller ------------------------------------------------------------

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
    def parked(self) -> "ParkedRecords":
        """Stream records that cannot be published."""
        from chalicelib.feeds.parked import ParkedRecords

        return ParkedRecords(self.pending, timedelta(days=self.settings.parked_days))

    @property
    def streams(self) -> "dict[str, Stream]":
        """The handlers of the tables' streams, by the stream's name."""
        from chalicelib.feeds.batches import Outlet
        from chalicelib.feeds.streams import InventoryStream, OrdersStream
        from chalicelib.storage.dynamodb.records import DynamoRecords

        outlet = Outlet(self.ledger, self.parked, DynamoRecords(), self.retry, self.now, self.telemetry)
        return {
            "orders": OrdersStream(outlet, self._is_revoked),
            "inventory": InventoryStream(outlet, self.store),
        }

    def _is_revoked(self, partner_id: str, seller_id: str) -> bool:
        # The inventory stream does not load what knows it.
        return self.consent.is_revoked(partner_id, seller_id)

    def seconds_since(self, record: Record) -> float | None:
        """The age of the change in a record of a stream, if the record contains its time."""
        from chalicelib.storage.dynamodb.records import DynamoRecords

        written_at = DynamoRecords().written_at(record)
        return None if written_at is None else (self.now() - written_at).total_seconds()

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

    @property
    def sources(self) -> "Sources":
        """Operators' sites that are imported again and again."""
        from chalicelib.importing.sources import Sources

        return Sources(
            self.register,
            self.pending,
            self.inventory,
            self.retry,
            self.now,
            self.new_id,
            self.settings.base_url or None,
        )

    def import_sources(self, seconds: float) -> dict[str, int]:
        """One run of the schedule of imports, of about so many seconds: how many items were handled, and how many sources are overdue."""
        from chalicelib.services.pending import Worker

        ends_at = self.retry.clock() + seconds
        sources = self.sources
        steps: dict[str, TakeStep] = {
            IMPORT: lambda work: sources.take_step(work, lambda: self.retry.clock() < ends_at)
        }
        worker = Worker(self.pending, steps, self.retry, self.now, self.telemetry)
        handled = worker.run({IMPORT: seconds})[IMPORT]
        overdue = sources.overdue()
        if overdue:
            self.telemetry.info("sources overdue", sources=overdue)
        self.telemetry.count("SourcesOverdue", len(overdue))
        return {"handled": handled, "overdue": len(overdue)}

    # --- how the installation presents itself ---------------------------------------------

    def booking_service(self) -> Json:
        """The `bookingService` of every answer (MODEL-03)."""
        from chalicelib.wire.orders import booking_service

        settings = self.settings
        return booking_service(
            settings.service_name,
            settings.service_url,
            settings.service_terms_url,
            terms_date=settings.service_terms_date,
            needs_consent=settings.service_terms_consent,
        )

    def dataset_details(self, base_url: str) -> "DatasetDetails":
        """The details of the dataset site, served at `base_url`."""
        from chalicelib.runtime.presentation import dataset_details

        return dataset_details(self.settings, base_url)


def from_environment(*, connected: bool = False) -> System:
    """The installation that the environment describes. Raises SettingsError.

    `connected`: with its client for DynamoDB, which is otherwise made by the first call.
    """
    settings = read_settings(os.environ)
    codec.write_with_dictionary(settings.row_dictionary)
    tables = Tables(
        Engine(
            prefix=settings.table_prefix,
            region=settings.aws_region,
            endpoint=settings.dynamodb_url or None,
        )
    )
    if connected:
        _ = tables.connection.client
    return System(
        settings=settings,
        store=DynamoStore(tables),
        feeds=DynamoFeeds(tables),
        telemetry=Telemetry(level=settings.log_level, metrics=settings.metrics, stage=settings.stage),
        identities=DynamoIdentities(tables),
        pending=DynamoPending(tables),
        # Not random.random: instances that start from one snapshot would all wait for the same times.
        retry=RetryPolicy(pause=time.sleep, jitter=random.SystemRandom().random),
        clock=lambda: datetime.now(UTC),
        new_id=lambda: str(uuid.uuid4()),
    )


_installed: System | None = None


def install(system: System | None) -> None:
    """Use this installation from now on; None: read the environment on the next use."""
    global _installed  # noqa: PLW0603 - a process serves one installation
    _installed = system


def prepare(*, for_requests: bool) -> None:
    """Make what the first invocation would otherwise wait for; `for_requests` includes what authenticates callers.

    Lambda gives a function more processor while it starts than for its invocations. Unusable settings are reported by
    the first invocation.
    """
    with suppress(SettingsError):
        system = from_environment(connected=True)
        install(system)
        if for_requests and system.callers.reads_tokens:
            from chalicelib.identity import tokens

            tokens.load()


def installed() -> System:
    """The installation of this process, assembled on first use."""
    if _installed is None:
        install(from_environment())
    assert _installed is not None
    return _installed
