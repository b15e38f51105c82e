"""One installation, put together: settings, stores, clock and ids, behind the few verbs that the API uses."""

import os
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from chalicelib.booking.decisions import Decision, Moment, Policy, Snapshot, Wanted
from chalicelib.domain.orders import OrderKey
from chalicelib.domain.parties import Json
from chalicelib.feeds.ledger import Ledger
from chalicelib.identity.callers import Authenticator, DevelopmentHeaders, NobodyIsKnown
from chalicelib.runtime.settings import Settings, read_settings
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.storage.attempts import Patience, carry_out, carry_out_on_order
from chalicelib.storage.dynamo import DynamoStore
from chalicelib.storage.feed_store import DynamoFeeds, FeedStore
from chalicelib.storage.port import Store
from chalicelib.storage.tables import Engine, Tables
from chalicelib.wire.dataset import DatasetDetails
from chalicelib.wire.links import BASE

T = TypeVar("T")


@dataclass
class System:
    """Everything a handler needs. Clock and ids are here so that nobody else makes them up."""

    settings: Settings
    store: Store
    feeds: FeedStore
    telemetry: Telemetry
    authenticator: Authenticator
    patience: Patience
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.feeds, self.patience)

    def moment(self) -> Moment:
        """The present, as a decision needs it."""
        settings = self.settings
        policy = Policy(
            anonymous_leases=settings.anonymous_leasing,
            named_leases=settings.named_leasing,
            lease_for=settings.lease_for,
            prepayment_supported=settings.prepayment,
            business_tax_calculated=settings.business_tax,
            reconciliation=settings.reconciliation,
            pass_url=f"{settings.pass_base_url or BASE}/api/passes",
        )
        return Moment(self.clock(), self.new_id, policy)

    def carry_out(self, wanted: Wanted, decide: Callable[[Snapshot], Decision[T]], now: datetime) -> T:
        """Read, decide, commit. Raises what `decide` raises, and StillBusy."""
        return carry_out(
            self.store,
            wanted,
            decide,
            now=now,
            patience=self.patience,
            on_refusal=self.telemetry.refused,
        )

    def carry_out_on_order(
        self,
        key: OrderKey,
        decide: Callable[[Snapshot], Decision[T]],
        now: datetime,
        *,
        also: tuple[str, ...] = (),
    ) -> T:
        """The same where only the key of the Order is known; `also` are further Opportunities to read."""
        return carry_out_on_order(
            self.store,
            key,
            decide,
            now=now,
            patience=self.patience,
            also=also,
            on_refusal=self.telemetry.refused,
        )

    def booking_service(self) -> Json:
        """The `bookingService` of every answer (MODEL-03)."""
        settings = self.settings
        service: Json = {"@type": "BookingService", "name": settings.service_name}
        if settings.service_url:
            service["url"] = settings.service_url
        if settings.service_terms_url:
            service["termsOfService"] = [
                {
                    "@type": "TermsOfUse",
                    "name": "Terms of use",
                    "url": settings.service_terms_url,
                    "requiresExplicitConsent": False,
                }
            ]
        return service

    def dataset_details(self) -> DatasetDetails:
        """What the dataset site says of itself."""
        settings = self.settings
        return DatasetDetails(
            name=settings.dataset_name,
            description=settings.dataset_description,
            publisher_name=settings.publisher_name,
            publisher_legal_name=settings.publisher_legal_name,
            publisher_url=settings.publisher_url,
            publisher_logo_url=settings.publisher_logo_url,
            publisher_email=settings.publisher_email or None,
            discussion_url=settings.discussion_url,
            booking_service_name=settings.service_name,
            booking_service_url=settings.service_url or None,
            booking_terms_url=settings.service_terms_url or None,
        )


def from_environment() -> System:
    """The installation that the environment describes. Raises SettingsError."""
    settings = read_settings(os.environ)
    tables = Tables(
        Engine(
            prefix=settings.table_prefix,
            region=settings.aws_region,
            endpoint=settings.dynamodb_url or None,
        )
    )
    return System(
        settings=settings,
        store=DynamoStore(tables),
        feeds=DynamoFeeds(tables),
        telemetry=Telemetry(level=settings.log_level, metrics=settings.metrics),
        authenticator=DevelopmentHeaders() if settings.development_headers else NobodyIsKnown(),
        patience=Patience(pause=time.sleep, jitter=random.random),
        clock=lambda: datetime.now(UTC),
        new_id=lambda: str(uuid.uuid4()),
    )


_installed: System | None = None


def install(system: System | None) -> None:
    """Use this installation from now on; None: read the environment when one is next needed."""
    global _installed  # noqa: PLW0603 - a process serves one installation
    _installed = system


def installed() -> System:
    """The installation this process serves; put together when it is first needed."""
    if _installed is None:
        install(from_environment())
    assert _installed is not None
    return _installed
