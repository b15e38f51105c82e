"""Unfinished work as release 0.1.0 kept it, in three places and shapes, read as entries of today.

Functions of both releases run side by side while a deployment replaces one with the other, so the old
places are looked at for as long as 0.1.0 may be upgraded from.
"""

import json
from dataclasses import dataclass
from typing import Any

from chalicelib.storage.dynamodb.calls import passing_faults, row_name
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.pending import PendingWork

# Partitions of the inventory table that were no Opportunity, and one of the identity table.
_CHANGES = "changes"
_CLEARINGS = "clearings"
_FEED_REVIEWS = "feed-reviews"


@dataclass(frozen=True)
class EarlierRow:
    """A row of an old shape, the condition that it is still as it was read, and the entry that replaces it."""

    row: Any
    unchanged: Any
    entry: PendingWork


def unfinished_work(tables: Tables, dataset: str | None = None, limit: int = 100) -> list[EarlierRow]:
    """Some rows of the old shapes: those of a test dataset, or else all others. Raises StoreBusy."""
    inventory, identity = tables.details, tables.identity
    if dataset is not None:
        return _rows(tables, inventory, f"{_CLEARINGS}#{dataset}", f"dataset#{dataset}", limit)
    return [
        *_rows(tables, inventory, _CHANGES, "opportunity-change", limit),
        *_rows(tables, inventory, _CLEARINGS, "clearing", limit),
        *_rows(tables, identity, _FEED_REVIEWS, "feed-review", limit),
    ]


def _rows(tables: Tables, model: Any, partition: str, kind: str, limit: int) -> list[EarlierRow]:
    with passing_faults(row_name(model.Meta.table_name, partition)):
        answer: dict[str, Any] = tables.connection.query(
            model.Meta.table_name, partition, consistent_read=True, limit=limit
        )
    return [
        EarlierRow(
            model(partition, raw["part"]["S"]),
            model.document == raw["document"]["S"] if "S" in raw.get("document", {}) else None,
            _entry(kind, raw["part"]["S"], raw),
        )
        for raw in answer["Items"]
    ]


def _entry(kind: str, entry_id: str, raw: dict[str, Any]) -> PendingWork:
    try:
        document = str(raw["document"]["S"])
        return PendingWork(
            kind,
            entry_id,
            document,
            progress=str(json.loads(document).get("done_up_to", "")),
            revision=int(raw["revision"]["N"]) if "revision" in raw else 0,
        )
    except (KeyError, ValueError, AttributeError):
        # What it was cannot be told; it is set aside under its kind with all it had.
        return PendingWork(kind, entry_id, json.dumps(raw, default=str))
