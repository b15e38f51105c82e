"""The worker for all work that continues later.

Each kind of work has a share of the time and is isolated from the others; each entry is worked on in bounded
steps that may be repeated. An entry that keeps failing is set aside with its content, so that it neither
blocks the other entries nor is lost.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from chalicelib.storage.codec import Undecodable
from chalicelib.storage.errors import CommitRefused, StillBusy, StoreBusy
from chalicelib.storage.pending import SET_ASIDE, PendingStore, PendingWork, due_before
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass, replace

# Failed runs after which an entry is set aside: some minutes, with a run each minute.
MAX_ATTEMPTS = 5

# Entries that take turns, a step each, so that a long one does not delay those behind it.
_IN_TURN = 25

# Entries are counted up to this number: beyond it, the exact number does not matter.
_COUNTED = 5_000

# Another worker has the same entry, or the store is busy: the next run retries, without a limit.
_PASSING = (CommitRefused, StillBusy, StoreBusy)


@dataclass(frozen=True)
class Step:
    """The result of a step: how many items it handled, and where the next one continues (None: finished)."""

    handled: int
    progress: str | None = None


class Observer(Protocol):
    """Receives the worker's reports for operators: ids and types of errors only, no personal data."""

    def work_failed(self, kind: str, entry_id: str, error: BaseException) -> None:
        """An entry, or a whole kind of work (with an empty id), has failed; it is retried."""

    def work_set_aside(self, kind: str, entry_id: str, error: BaseException) -> None:
        """An entry is not retried until an operator replays it."""


TakeStep = Callable[[PendingWork], Step]
Chore = Callable[[float], int]


@dataclass(frozen=True)
class Worker:
    """Works on entries of every kind in `steps`.

    `now` is the current time for what is written; the retry policy's clock measures the time used.
    """

    store: PendingStore
    steps: Mapping[str, TakeStep]
    retry: RetryPolicy
    now: Callable[[], datetime]
    observer: Observer

    def run(self, shares: Mapping[str, float], chores: Mapping[str, Chore] | None = None) -> dict[str, int]:
        """Work on each kind for about its share of seconds; how many items were handled, by kind.

        `chores` are further kinds of work with their own rows; each is called with its seconds.
        Kinds that used all of their time share what the others left.
        The first kind changes from minute to minute, so that the same kind is not always cut off.
        """
        work: dict[str, Chore] = {kind: self._of(kind) for kind in self.steps}
        work |= chores or {}
        kinds = [kind for kind in work if kind in shares]
        first = self.now().minute % len(kinds) if kinds else 0
        handled = dict.fromkeys(kinds, 0)
        began, left_over = self.retry.clock(), 0.0
        waiting: list[str] = []
        for kind in (*kinds[first:], *kinds[:first]):
            used = self._run_one(kind, work[kind], shares[kind], handled)
            left_over += max(shares[kind] - used, 0)
            if used >= shares[kind]:
                waiting.append(kind)
        ends_at = began + sum(shares[kind] for kind in kinds)
        for number, kind in enumerate(waiting):
            spare = min(left_over, ends_at - self.retry.clock()) / (len(waiting) - number)
            if spare > 0:
                left_over -= self._run_one(kind, work[kind], spare, handled)
        return handled

    def _run_one(self, kind: str, work: Chore, seconds: float, handled: dict[str, int]) -> float:
        """Work on one kind, and add its items to `handled`; how many seconds it took."""
        began = self.retry.clock()
        try:
            handled[kind] += work(seconds)
        except _PASSING:
            pass
        except Exception as error:  # any error: the other kinds continue
            self.observer.work_failed(kind, "", error)
        return self.retry.clock() - began

    def waiting(self) -> dict[str, int]:
        """How many entries each kind has that are due, counted up to some thousands. Raises StoreBusy."""
        return {kind: self.store.count(kind, _COUNTED, before=self._due(kind)) for kind in self.steps}

    def run_kind(self, kind: str, seconds: float) -> int:
        """Work on the entries of one kind that are due, for about `seconds`, at least one step; how many items
        were handled.

        Raises StoreBusy.
        """
        ends_at = self.retry.clock() + seconds
        handled, after, before = 0, "", self._due(kind)
        while entries := self.store.entries(kind, _IN_TURN, after, before=before):
            after = entries[-1].id
            waiting = self._rotated(entries)
            while waiting:
                more: list[PendingWork] = []
                for entry in waiting:
                    done, continued = self._step(entry)
                    handled += done
                    if continued is not None:
                        more.append(continued)
                    if self.retry.clock() > ends_at:
                        return handled
                waiting = more
        return handled

    def finish(self, kind: str, entry_id: str, on_step: Callable[[int], None] = lambda handled: None) -> int:
        """Work on one entry until it is finished; how many items were handled. Raises what a step raises.

        `on_step` gets their number after each step.
        """
        handled = 0
        while (entry := self.store.entry(kind, entry_id)) is not None:
            step = self.steps[kind](entry)
            handled += step.handled
            self._save(entry, step)
            on_step(handled)
        return handled

    def _due(self, kind: str) -> str:
        return due_before(kind, self.now())

    def _of(self, kind: str) -> Chore:
        return lambda seconds: self.run_kind(kind, seconds)

    def _rotated(self, entries: Sequence[PendingWork]) -> list[PendingWork]:
        """The entries from a random start, so that two workers seldom take the same one."""
        first = int(self.retry.jitter() * len(entries)) % len(entries)
        return [*entries[first:], *entries[:first]]

    def _step(self, entry: PendingWork) -> tuple[int, PendingWork | None]:
        """One step: how many items it handled, and the entry to continue with in this run."""
        try:
            step = self.steps[entry.kind](entry)
            return step.handled, self._save(entry, step)
        except _PASSING:
            return 0, None
        except Undecodable as error:
            self._set_aside(entry, error)
        except Exception as error:  # any error: the other entries continue
            self._failed(entry, error)
        return 0, None

    def _save(self, entry: PendingWork, step: Step) -> PendingWork | None:
        if step.progress is None:
            self.store.finish(entry)
            return None
        continued = replace(entry, progress=step.progress, attempts=0)
        self.store.save(continued)
        return continued

    def _failed(self, entry: PendingWork, error: Exception) -> None:
        attempts = entry.attempts + 1
        if attempts >= MAX_ATTEMPTS:
            self._set_aside(replace(entry, attempts=attempts), error)
            return
        self.observer.work_failed(entry.kind, entry.id, error)
        with suppress(*_PASSING):
            self.store.save(replace(entry, attempts=attempts))

    def _set_aside(self, entry: PendingWork, error: Exception) -> None:
        aside = replace(
            entry,
            kind=SET_ASIDE + entry.kind,
            revision=entry.revision or 0,
            error=repr(error),
            failed_at=self.now(),
        )
        with suppress(*_PASSING):
            self.store.exchange([entry], [aside])
            self.observer.work_set_aside(entry.kind, entry.id, error)


def replay(store: PendingStore, kind: str, entry_id: str) -> bool:
    """Queue an entry that was set aside again; False if there is none. Raises CommitRefused."""
    aside = store.entry(SET_ASIDE + kind, entry_id)
    if aside is None:
        return False
    # Start from the beginning: this entry replaces a later one of the same id, which may have made progress.
    store.exchange([aside], [replace(aside, kind=kind, progress="", attempts=0, error=None, failed_at=None)])
    return True
