"""The one worker for everything that has to continue later.

Each kind of work has its share of the time and is isolated from the others; each entry is worked on in
bounded steps that may be repeated. An entry that keeps failing is set aside with its content, so that it
neither blocks the rest nor is lost.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from chalicelib.storage.codec import Undecodable
from chalicelib.storage.errors import CommitRefused, StillBusy, StoreBusy
from chalicelib.storage.pending import SET_ASIDE, PendingStore, PendingWork
from chalicelib.storage.retry import RetryPolicy

# Runs in which an entry may fail before it is set aside: some minutes, with a run each minute.
MAX_ATTEMPTS = 5

# Entries that take turns, a step each, so that a long one does not hold up those behind it.
_IN_TURN = 25

# Beyond that, how many entries wait says no more than that too many do.
_COUNTED = 5_000

# Somebody else works on the same, or the store is busy: the next run tries again, however often.
_PASSING = (CommitRefused, StillBusy, StoreBusy)


@dataclass(frozen=True)
class Step:
    """What one step did: how many things it handled, and where the next one continues (None: finished)."""

    handled: int
    progress: str | None = None


class Observer(Protocol):
    """Where the worker reports what people have to know. Ids and types of errors only, nothing personal."""

    def work_failed(self, kind: str, entry_id: str, error: BaseException) -> None:
        """An entry, or a whole kind of work (with an empty id), has failed; it is tried again."""

    def work_set_aside(self, kind: str, entry_id: str, error: BaseException) -> None:
        """An entry will not be tried again until an operator replays it."""


TakeStep = Callable[[PendingWork], Step]
Chore = Callable[[float], int]


@dataclass(frozen=True)
class Worker:
    """Works on entries of every kind in `steps`.

    `now` is the present for what is written, the retry policy's clock measures the time that is used.
    """

    store: PendingStore
    steps: Mapping[str, TakeStep]
    retry: RetryPolicy
    now: Callable[[], datetime]
    observer: Observer

    def run(self, shares: Mapping[str, float], chores: Mapping[str, Chore] | None = None) -> dict[str, int]:
        """Work on each kind for about its share of seconds; how many things were handled, by kind.

        `chores` are further kinds of work that keep their own rows; each takes the seconds that it has.
        What some kinds leave of their shares goes to those that used all of theirs.
        Which kind comes first changes from minute to minute, so that none is always the one cut off.
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
        """Work on one kind, counting in `handled`; how many seconds it took."""
        began = self.retry.clock()
        try:
            handled[kind] += work(seconds)
        except _PASSING:
            pass
        except Exception as error:  # whatever it is, the other kinds go on
            self.observer.work_failed(kind, "", error)
        return self.retry.clock() - began

    def waiting(self) -> dict[str, int]:
        """How many entries each kind has, counted up to some thousands. Raises StoreBusy."""
        return {kind: self.store.count(kind, _COUNTED) for kind in self.steps}

    def run_kind(self, kind: str, seconds: float) -> int:
        """Work on one kind for about so many seconds, one step at least; how many things were handled.

        Raises StoreBusy.
        """
        ends_at = self.retry.clock() + seconds
        handled, after = 0, ""
        while entries := self.store.entries(kind, _IN_TURN, after):
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

    def finish(self, kind: str, entry_id: str) -> int:
        """Work on one entry to its end; how many things were handled. What a step raises passes through."""
        handled = 0
        while (entry := self.store.entry(kind, entry_id)) is not None:
            step = self.steps[kind](entry)
            handled += step.handled
            self._save(entry, step)
        return handled

    def _of(self, kind: str) -> Chore:
        return lambda seconds: self.run_kind(kind, seconds)

    def _rotated(self, entries: Sequence[PendingWork]) -> list[PendingWork]:
        """Begun anywhere, so that two workers seldom take the same."""
        first = int(self.retry.jitter() * len(entries)) % len(entries)
        return [*entries[first:], *entries[:first]]

    def _step(self, entry: PendingWork) -> tuple[int, PendingWork | None]:
        """One step: how many things it handled, and the entry as it is to be continued in this run."""
        try:
            step = self.steps[entry.kind](entry)
            return step.handled, self._save(entry, step)
        except _PASSING:
            return 0, None
        except Undecodable as error:
            self._set_aside(entry, error)
        except Exception as error:  # whatever it is, the other entries go on
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
    """Let an entry that was set aside be tried again; False where there is none. Raises CommitRefused."""
    aside = store.entry(SET_ASIDE + kind, entry_id)
    if aside is None:
        return False
    # From the beginning: a later entry of the same id may have been under way, and this one takes its place.
    store.exchange([aside], [replace(aside, kind=kind, progress="", attempts=0, error=None, failed_at=None)])
    return True
