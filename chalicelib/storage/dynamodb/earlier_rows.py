"""Unfinished work in the rows of release 0.1.0, in three places and shapes, read as current entries.

Functions of both releases run at the same time while a deployment replaces one with the other, so the old
places are read as long as upgrades from 0.1.0 are supported.
"""

import json
from typing import Any

from pynamodb.expressions.operand import Path

from chalicelib.storage.dynamodb.calls import passing_faults, row_name
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.pending import PendingWork
from chalicelib.values import dataclass

# Partitions of the inventory table that did not belong to an Opportunity, and one of the identity table.
_CHANGES = "changes"
_CLEARINGS = "clearings"
_FEED_REVIEWS = "feed-reviews"


@dataclass(frozen=True)
class EarlierRow:
    """A row of an old shape, the condition that it is unchanged since it was read, and the entry to replace it."""

    row: Any
    unchanged: Any
    entry: PendingWork


def unfinished_work(tables: Tables, dataset: str | None = None, limit: int = 100) -> list[EarlierRow]:
    """Some rows of the old shapes: those of a test dataset, or all others. Raises StoreBusy."""
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
    document = Path("document")  # a text in these rows; other rows of the table have bytes under this name
    return [
        EarlierRow(
            model(partition, raw["part"]["S"]),
            document == raw["document"]["S"] if "S" in raw.get("document", {}) else None,
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
        # It cannot be read; it is set aside under its kind with its whole content.
        return PendingWork(kind, entry_id, json.dumps(raw, default=str))
