"""Work that is done once a day: its entry is due at a time, works in steps, and plans the next day when it is done."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from chalicelib.storage.errors import CommitRefused
from chalicelib.storage.pending import DAILY, PendingStore, PendingWork, due_at

# The chore that makes the entries, and its name in the sweep.
KIND = "daily"

# At night in Europe, a while after midnight: a day that is reported has ended in every time zone up to UTC-3.
_HOUR = 3


def start(store: PendingStore, now: datetime, kinds: Sequence[str]) -> int:
    """Plan each of these kinds, unless it is planned already; how many were."""
    started = 0
    for kind in kinds:
        if not store.entries(kind, 1):
            _plan(store, kind, next_time(now))
            started += 1
    return started


def plan_next(store: PendingStore, kind: str, now: datetime) -> None:
    """Plan the next day of a kind. For the last step of a day, which may be repeated."""
    _plan(store, kind, next_time(now))


def next_time(now: datetime) -> datetime:
    """The next time at which daily work is due."""
    today = now.astimezone(UTC).replace(hour=_HOUR, minute=0, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def _plan(store: PendingStore, kind: str, at: datetime) -> None:
    assert kind in DAILY
    with suppress(CommitRefused):
        store.exchange((), [PendingWork(kind, due_at(at), "{}")])
