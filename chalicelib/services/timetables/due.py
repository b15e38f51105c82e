"""When each plan is extended next: an entry of work, scheduled for that instant. A plan has one, unless it has ended."""

import hashlib
from datetime import datetime

from chalicelib.storage.pending import TIMETABLE, PendingWork, due_at

KIND = TIMETABLE


def due_row(seller_id: str, plan_id: str, due: datetime) -> PendingWork:
    """The entry that extends a plan at `due`."""
    seller = hashlib.sha256(seller_id.encode()).hexdigest()[:16]
    document = f"{len(seller_id)}:{seller_id}{plan_id}"
    return PendingWork(KIND, f"{due_at(due)} {seller} {plan_id}", document)


def named_in(row: PendingWork) -> tuple[str, str]:
    """The Seller's id and the plan's id in an entry. Raises ValueError."""
    length, _, text = row.document.partition(":")
    return text[: int(length)], text[int(length) :]
