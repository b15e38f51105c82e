"""Processes that start each task at the same moment, and can wait for each other within it."""

import multiprocessing
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any, TypeVar

T = TypeVar("T")

# A process that has not arrived after this many seconds has failed; a slow machine does not take so long.
_COMES_WITHIN = 60

# The barrier within a task; set in each process of a crew.
_meeting: Barrier | None = None


class CrewFailed(Exception):
    """A process of the crew failed; the message has its error."""


def meet(within: float = _COMES_WITHIN) -> None:
    """Wait until every process of the crew has called this, at most `within` seconds."""
    assert _meeting is not None
    _meeting.wait(within)


class Crew:
    """Some processes that are reused from one task to the next."""

    def __init__(self, size: int) -> None:
        # Each process is a fork of one that has imported everything and done nothing else.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["bench.installation"])
        start, meeting = context.Barrier(size), context.Barrier(size)
        self.size = size
        self._start, self._meeting = start, meeting
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(size):
            mine, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, start, meeting), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(mine)
            self._processes.append(process)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for barrier in (self._start, self._meeting):
            barrier.abort()  # so that no process waits any more, also after a failure
        for pipe in self._pipes:
            pipe.close()  # which ends the process
        for process in self._processes:
            process.join(_COMES_WITHIN)
            process.close()

    def run(self, function: Callable[..., T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
        """Call the function in each process with its own arguments, all at once; their results.

        Raises CrewFailed.
        """
        for pipe, each in zip(self._pipes, arguments, strict=True):
            pipe.send((function, each))
        answers = [pipe.recv() for pipe in self._pipes]
        failed = [error for error, _ in answers if error]
        if failed:
            self._meeting.reset()
            raise CrewFailed(failed[0])
        return [result for _, result in answers]


def _work(pipe: Connection, start: Barrier, meeting: Barrier) -> None:
    global _meeting  # noqa: PLW0603 - a process belongs to one crew
    _meeting = meeting
    while True:
        try:
            function, arguments = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            start.wait(_COMES_WITHIN)
            answer: tuple[str | None, Any] = (None, function(*arguments))
        except Exception as error:
            meeting.abort()
            answer = (repr(error), None)
        with suppress(BrokenPipeError):  # the crew has been closed
            pipe.send(answer)
