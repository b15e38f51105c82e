"""When each plan is extended next: rows in the order of these instants, and the work that they become when due.

A plan has one such row, unless it has ended. The sweep reads the first rows only; the others are not due yet.
"""

import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from chalicelib.storage.errors import CommitRefused
from chalicelib.storage.pending import PendingStore, PendingWork

# The kind of the rows that wait until they are due, and of the work that they then become.
DUE = "timetable-due"
KIND = "timetable"

_INSTANT = "%Y-%m-%dT%H:%MZ"
_AT_ONCE = 25
_AT_MOST = 500


def due_row(seller_id: str, plan_id: str, due: datetime) -> PendingWork:
    """The row that says when a plan is extended next."""
    seller = hashlib.sha256(seller_id.encode()).hexdigest()[:16]
    document = f"{len(seller_id)}:{seller_id}{plan_id}"
    return PendingWork(DUE, f"{due.astimezone(UTC):{_INSTANT}}#{seller}#{plan_id}", document)


def named_in(row: PendingWork) -> tuple[str, str]:
    """The Seller's id and the plan's id in a row. Raises ValueError."""
    length, _, text = row.document.partition(":")
    return text[: int(length)], text[int(length) :]


def start_due(pending: PendingStore, now: datetime) -> int:
    """Turn the rows that are due into work; how many. Raises StoreBusy."""
    until = f"{now.astimezone(UTC):{_INSTANT}}~"
    started = 0
    while started < _AT_MOST and (rows := pending.entries(DUE, _AT_ONCE)):
        due = [row for row in rows if row.id < until]
        for row in due:
            with suppress(CommitRefused):  # another sweep was faster
                pending.exchange([row], [replace(row, kind=KIND)])
            started += 1
        if len(due) < _AT_ONCE:
            break
    return started
