"""Handlers of the streams of the orders and inventory tables."""

from collections.abc import Sequence
from typing import Any

from chalicelib.runtime import installation
from chalicelib.runtime.installation import installed
from chalicelib.runtime.publishing import Publishing
from chalicelib.storage.records import Record


def prepare() -> None:
    """Make what the first batch would otherwise wait for."""
    installation.prepare(Publishing)


def orders_changed(records: list[Record], request_id: str = "") -> dict[str, Any]:
    """Handle records of the Orders stream; the answer says from which record to retry."""
    return _changed("orders", records, request_id)


def inventory_changed(records: list[Record], request_id: str = "") -> dict[str, Any]:
    """Handle records of the inventory stream; the answer says from which record to retry."""
    return _changed("inventory", records, request_id)


def _changed(stream: str, records: Sequence[Record], request_id: str) -> dict[str, Any]:
    system = installed(Publishing)
    system.telemetry.begin(request_id)
    handled = system.streams[stream].handle(records)
    if records and handled.retry_from is None:
        system.telemetry.published(stream, system.seconds_since(records[0]))
    system.telemetry.flush()
    failed = [] if handled.retry_from is None else [handled.retry_from]
    return {"batchItemFailures": [{"itemIdentifier": position} for position in failed]}
