"""What runs without a caller: the two streams and the sweep of leases."""

from typing import Any

from chalicelib.feeds.streams import Record, publish_inventory, publish_orders
from chalicelib.runtime.system import System, installed
from chalicelib.services.leases import KIND as LEASES


def orders_changed(records: list[Record]) -> dict[str, Any]:
    """Records of the Orders stream; the answer tells the stream where to try again."""
    system = installed()
    failures = publish_orders(
        records, system.ledger, system.clock(), _noting(system), system.consent.is_revoked
    )
    return _batch_answer(system, failures)


def inventory_changed(records: list[Record]) -> dict[str, Any]:
    """Records of the Inventory stream; the answer tells the stream where to try again."""
    system = installed()
    failures = publish_inventory(records, system.store, system.ledger, system.clock(), _noting(system))
    return _batch_answer(system, failures)


def sweep() -> dict[str, int]:
    """Once a minute: leases that have ended, and all unfinished work."""
    system = installed()
    handled = system.sweep()
    if handled[LEASES]:
        system.telemetry.info("leases ended", count=handled[LEASES])
        system.telemetry.count("LeasesEnded", handled[LEASES])
    system.telemetry.flush()
    return handled


def _noting(system: System) -> Any:
    def note(sequence_number: str, error: BaseException) -> None:
        system.telemetry.failure("stream record", error, sequence_number=sequence_number)

    return note


def _batch_answer(system: System, failures: list[str]) -> dict[str, Any]:
    system.telemetry.flush()
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failures]}
