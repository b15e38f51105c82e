"""Handlers that run without a caller: the two streams and the sweep."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from chalicelib.runtime.system import installed
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.records import Record

# Of the 15 minutes that the function has: a step may have to end its page, its comparison or its transactions.
_IMPORT_SECONDS = 600.0


def orders_changed(records: list[Record]) -> dict[str, Any]:
    """Handle records of the Orders stream; the answer says from which record to retry."""
    return _changed("orders", records)


def inventory_changed(records: list[Record]) -> dict[str, Any]:
    """Handle records of the inventory stream; the answer says from which record to retry."""
    return _changed("inventory", records)


def sweep() -> dict[str, int]:
    """Once a minute: end leases and continue pending work."""
    from chalicelib.services.leases import KIND as LEASES

    system = installed()
    handled = system.sweep()
    if handled[LEASES]:
        system.telemetry.info("leases ended", count=handled[LEASES])
        system.telemetry.count("LeasesEnded", handled[LEASES])
    with suppress(StoreBusy):  # the next run counts again
        system.telemetry.work_waiting(system.worker.waiting())
    system.telemetry.count("Sweeps")
    system.telemetry.flush()
    return handled


def import_sources() -> dict[str, int]:
    """Once a minute: import the sources that are due, and continue what an earlier run has not finished."""
    system = installed()
    try:
        return system.import_sources(_IMPORT_SECONDS)
    except StoreBusy:  # the next run starts them
        return {}
    finally:
        system.telemetry.flush()


def _changed(stream: str, records: Sequence[Record]) -> dict[str, Any]:
    system = installed()
    handled = system.streams[stream].handle(records)
    system.telemetry.flush()
    failed = [] if handled.retry_from is None else [handled.retry_from]
    return {"batchItemFailures": [{"itemIdentifier": position} for position in failed]}
