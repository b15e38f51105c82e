"""What runs without a caller: the two streams and the sweep of leases."""

from typing import Any

from chalicelib.feeds.streams import Record, publish_inventory, publish_orders
from chalicelib.runtime.system import System, installed
from chalicelib.services import reviews
from chalicelib.services.clearing import clear
from chalicelib.services.following import follow_all
from chalicelib.services.leases import sweep


def orders_changed(records: list[Record]) -> dict[str, Any]:
    """Records of the Orders stream; the answer tells the stream where to try again."""
    system = installed()
    failures = publish_orders(
        records, system.ledger, system.clock(), _noting(system), system.authority.is_revoked
    )
    return _batch_answer(system, failures)


def inventory_changed(records: list[Record]) -> dict[str, Any]:
    """Records of the Inventory stream; the answer tells the stream where to try again."""
    system = installed()
    failures = publish_inventory(records, system.store, system.ledger, system.clock(), _noting(system))
    return _batch_answer(system, failures)


def sweep_leases() -> dict[str, int]:
    """Give back the spaces of leases that have ended."""
    system = installed()
    ended = sweep(system.store, system.clock())
    if ended:
        system.telemetry.info("leases ended", count=ended)
        system.telemetry.count("LeasesEnded", ended)
    system.telemetry.flush()
    return {"leases_ended": ended}


def follow_changes() -> dict[str, int]:
    """Go on with changes of Opportunities that not everyone has followed yet."""
    system = installed()
    seen = follow_all(system.store, system.moment(), system.retry)
    system.telemetry.flush()
    return {"orders_seen": seen}


def clear_datasets() -> dict[str, int]:
    """Go on with deleting test datasets (TESTIF-01). Without the Test Interface there are none."""
    system = installed()
    if not system.settings.test_interface:
        return {"opportunities_cleared": 0}
    seen = clear(system.store, system.clock(), system.retry)
    system.telemetry.flush()
    return {"opportunities_cleared": seen}


def review_feeds() -> dict[str, int]:
    """Go on with feeds that have yet to follow what a Seller allows a partner."""
    system = installed()
    seen = reviews.review_feeds(
        system.authority.register, system.feeds, system.store, system.clock(), system.retry
    )
    system.telemetry.flush()
    return {"orders_reviewed": seen}


def _noting(system: System) -> Any:
    def note(sequence_number: str, error: BaseException) -> None:
        system.telemetry.failure("stream record", error, sequence_number=sequence_number)

    return note


def _batch_answer(system: System, failures: list[str]) -> dict[str, Any]:
    system.telemetry.flush()
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failures]}
