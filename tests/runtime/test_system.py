"""An installation put together."""

import logging
from datetime import UTC
from typing import Any

import pytest

from chalicelib.api.sweep import sweep
from chalicelib.domain.partner_limits import LimitName, Usage
from chalicelib.feeds.parked import ParkedRecord, where
from chalicelib.identity.callers import BearerTokens, DevelopmentHeaders
from chalicelib.runtime import system
from chalicelib.runtime.settings import Settings, SettingsError
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.services import following
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.pending import PendingWork
from chalicelib.values import replace
from tests.support.memory import MemoryPending
from tests.support.world import World


@pytest.fixture(autouse=True)
def nothing_is_left_installed() -> Any:
    system.install(None)
    yield
    system.install(None)


def test_environment_is_read_when_it_is_first_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHENTICATION", "headers")
    monkeypatch.setenv("TABLE_PREFIX", "openbooking-late")
    first = system.installed()
    assert first.settings.table_prefix == "openbooking-late"
    assert [type(way) for way in first.callers.ways] == [DevelopmentHeaders]
    monkeypatch.setenv("TABLE_PREFIX", "openbooking-later")
    assert system.installed() is first


def test_no_caller_is_known_unless_development_headers_are_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """AUTH-11."""
    monkeypatch.delenv("AUTHENTICATION", raising=False)
    assert [type(way) for way in system.installed().callers.ways] == [BearerTokens]


def test_wrong_setting_keeps_the_installation_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEASE_SECONDS", "soon")
    with pytest.raises(SettingsError):
        system.installed()


def test_clock_and_ids_of_an_installation() -> None:
    built = system.from_environment()
    assert built.clock().tzinfo is UTC
    assert len({built.new_id() for _ in range(100)}) == 100


def test_policy_follows_the_settings() -> None:
    settings = Settings(
        anonymous_leasing=False,
        named_leasing=False,
        lease_seconds=60,
        prepayment=False,
        business_tax=False,
        reconciliation_name="AcmeBroker Points",
    )
    policy = World(settings=settings).system.moment().policy
    assert not policy.anonymous_leases
    assert not policy.named_leases
    assert policy.lease_for.total_seconds() == 60
    assert not policy.prepayment_supported
    assert not policy.business_tax_calculated
    assert policy.reconciliation == {"name": "AcmeBroker Points"}


def test_booking_service_is_complete() -> None:
    """MODEL-03, TERMS-01, TERMS-02."""
    bare = World().system.booking_service()
    assert bare == {"@type": "BookingService", "name": "Open Booking"}
    settings = Settings(service_url="https://a.example/", service_terms_url="https://a.example/terms")
    assert World(settings=settings).system.booking_service() == {
        "@type": "BookingService",
        "name": "Open Booking",
        "url": "https://a.example/",
        "termsOfService": [
            {
                "@type": "TermsOfUse",
                "name": "Terms of use",
                "url": "https://a.example/terms",
                "requiresExplicitConsent": False,
            }
        ],
    }


def test_terms_of_the_booking_service_may_need_consent() -> None:
    """TERMS-02."""
    settings = Settings(
        service_terms_url="https://a.example/terms",
        service_terms_date="2026-01-31",
        service_terms_consent=True,
    )
    assert World(settings=settings).system.booking_service()["termsOfService"] == [
        {
            "@type": "TermsOfUse",
            "name": "Terms of use",
            "url": "https://a.example/terms",
            "requiresExplicitConsent": True,
            "dateModified": "2026-01-31T00:00:00Z",
        }
    ]


class Heard(logging.Handler):
    """What was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def test_telemetry_logs_ids_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry, heard = Telemetry(level="INFO"), Heard()
    logger = logging.getLogger("open-booking")
    logger.addHandler(heard)
    telemetry.request(
        status=500, milliseconds=1.234, error="InternalApplicationError", order="u-1", seller=None
    )
    telemetry.refused((ValueError("x"),))
    telemetry.failure("broken", ValueError("reason"), order="u-1")
    telemetry.info("leases ended", count=3)
    telemetry.flush()
    telemetry.flush()
    logger.removeHandler(heard)
    request, refused, failure, _ = heard.records
    assert (request.order, request.milliseconds) == ("u-1", 1.2)  # type: ignore[attr-defined]
    assert not hasattr(request, "seller")
    assert refused.reasons == ["ValueError"]  # type: ignore[attr-defined]
    assert failure.exc_info
    # The counts of a request are in its own line; what is left is written by the first flush.
    assert (request.Requests, request.Faults) == (1, 1)  # type: ignore[attr-defined]
    assert request._aws["CloudWatchMetrics"][0]["Dimensions"] == [("service", "stage")]  # type: ignore[attr-defined]
    counted = capsys.readouterr().out
    for metric in ("CommitsRefused", "Failures"):
        assert counted.count(f'"Name":"{metric}"') == 1


def test_a_parked_record_is_counted_and_its_content_is_not_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    telemetry, heard = Telemetry(level="INFO"), Heard()
    logger = logging.getLogger("open-booking")
    logger.addHandler(heard)
    quoted = "@".join(("geoff", "example.com"))
    try:
        int(quoted)
    except ValueError as error:
        parked = ParkedRecord("orders", "7-a", "partner#uuid", where(error), None, None)
        telemetry.record_parked(parked, error)
    telemetry.batch_retried("orders", "8", StoreBusy("busy"), busy=True)
    telemetry.batch_retried("orders", "8", RuntimeError("denied"), busy=False)
    telemetry.work_waiting({"opportunity-change": 2, "feed-review": 1})
    telemetry.flush()
    logger.removeHandler(heard)
    line = heard.records[0]
    assert (line.record, line.row, line.error) == ("7-a", "partner#uuid", "ValueError")  # type: ignore[attr-defined]
    counted = capsys.readouterr().out
    assert quoted not in counted + repr(vars(line))
    for metric, number in (
        ("RecordsParked", 1),
        ("BatchesRetried", 1),
        ("Failures", 1),
        ("PendingWorkWaiting", 3),
    ):
        assert counted.count(f'"Name":"{metric}"') == 1
        assert f'"{metric}":{number}' in counted


def test_each_run_of_the_sweep_is_counted_and_what_is_left_after_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An alarm misses the heartbeat, and sees work that does not move."""
    pending = MemoryPending()
    entry = PendingWork(following.KIND, "a", "{}", attempts=0)

    class Stuck(MemoryPending):
        def entries(self, kind: str, limit: int, after: str = "", *, before: str = "") -> list[PendingWork]:
            raise StoreBusy("busy")

        def count(self, kind: str, at_most: int, *, before: str = "") -> int:
            return pending.count(kind, at_most, before=before)

    pending.exchange((), [entry])
    system.install(replace(World().system, telemetry=Telemetry(level="CRITICAL"), pending=Stuck()))
    sweep()
    counted = capsys.readouterr().out
    assert '"Sweeps":1' in counted
    assert '"PendingWorkWaiting":1' in counted


def test_partner_near_a_limit_is_logged_by_its_id_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Decision 21."""
    telemetry, heard = Telemetry(level="INFO"), Heard()
    logger = logging.getLogger("open-booking")
    logger.addHandler(heard)
    telemetry.partner_usage("partner-1", Usage(LimitName.partner_leases, 4, 5))
    telemetry.partner_usage("partner-1", Usage(LimitName.partner_proposals, 6, 5))
    telemetry.flush()
    logger.removeHandler(heard)
    lines = [(each.getMessage(), each.partner, each.limit, each.used, each.most) for each in heard.records]  # type: ignore[attr-defined]
    assert lines == [
        ("partner near limit", "partner-1", "PARTNER_LEASES", 4, 5),
        ("partner at limit", "partner-1", "PARTNER_PROPOSALS", 6, 5),
    ]
    counted = capsys.readouterr().out
    for metric in ("PartnerNearLimit", "PartnerAtLimit"):
        assert counted.count(f'"Name":"{metric}"') == 1
