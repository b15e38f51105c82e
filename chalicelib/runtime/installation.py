"""What every function needs of one installation: settings, stores, clock and ids; and the one that a process serves.

Each function has its part, a class in its own module: `serving`, `publishing`, `work`, `imports`. A part imports what only
some invocations need when that is asked for, and nothing of a part that it does not inherit from: what a function can
reach is what its zip contains (docs/decisions/0030-how-calls-are-made.md).
"""

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
from chalicelib.storage.pending import PendingStore
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from chalicelib.booking.decisions import Moment
    from chalicelib.identity.consent import Consent
    from chalicelib.identity.fingerprints import Fingerprints
    from chalicelib.identity.register import Register
    from chalicelib.services.attempts import Attempts
    from chalicelib.services.inventory import Inventory


@dataclass
class Installation:
    """What the parts share. Clock and ids are created here only."""

    settings: Settings
    store: Store
    feeds: FeedStore
    telemetry: Telemetry
    identities: IdentityStore
    pending: PendingStore
    retry: RetryPolicy
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    def now(self) -> datetime:
        """The current time."""
        return self.clock()

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
    def inventory(self) -> "Inventory":
        """Opportunities and Sellers."""
        from chalicelib.services.inventory import Inventory

        return Inventory(self.store, self.pending, self.retry)


Part = TypeVar("Part", bound=Installation)


def from_environment(part: type[Part], *, connected: bool = False) -> Part:
    """A part of the installation that the environment describes. Raises SettingsError.

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
    return part(
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


_installed: Installation | None = None


def install(made: Installation | None) -> None:
    """Use this from now on; None: read the environment on the next use."""
    global _installed  # noqa: PLW0603 - a process serves one installation
    _installed = made


def prepare(part: type[Part]) -> Part | None:
    """Make what the first invocation would otherwise wait for; None if the settings are unusable.

    Lambda gives a function more processor while it starts than for its invocations. Unusable settings are reported by
    the first invocation.
    """
    with suppress(SettingsError):
        made = from_environment(part, connected=True)
        install(made)
        return made
    return None


def installed(part: type[Part]) -> Part:
    """This part of the installation of this process, assembled on first use. Raises SettingsError."""
    if not isinstance(_installed, part):
        install(from_environment(part))
    assert isinstance(_installed, part)
    return _installed
