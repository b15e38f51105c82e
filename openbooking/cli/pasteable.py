"""Commands as they are printed: they can be pasted into the shell in which this program was started."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

# The options that choose the installation on which the current command works.
_installation: ContextVar[tuple[str, ...]] = ContextVar("installation", default=())

# A command in a sentence. Sentences are also made where it is not known how the program was started.
_IN_A_SENTENCE = re.compile(r"`openbooking ([^`]+)`")
# What works on no installation.
_WITHOUT_INSTALLATION = re.compile(r"(serve|demo|stage|certify|suite-config|timetable template)\b")


@contextmanager
def on_installation(stage: str | None, dynamodb_url: str | None) -> Iterator[None]:
    """Inside the block, printed commands work on the same installation as the current one."""
    chosen: tuple[str, ...] = ()
    if stage:
        chosen = ("--stage", stage)
    elif dynamodb_url:
        chosen = ("--dynamodb-url", dynamodb_url)
    token = _installation.set(chosen)
    try:
        yield
    finally:
        _installation.reset(token)


def command(*words: str) -> str:
    """A command such as `sessions cancel ID`, quoted for the shell, with the program and the installation."""
    return shlex.join([*program(sys.argv[0], sys.executable), *words, *_installation.get()])


def as_started(text: str) -> str:
    """A text in which each `openbooking ...` between backticks is a command that can be pasted."""

    def pasteable(found: re.Match[str]) -> str:
        words = found[1]
        chosen = () if _WITHOUT_INSTALLATION.match(words) else _installation.get()
        started = program(sys.argv[0], sys.executable)
        return f"`{shlex.join(started)} {' '.join([words, *map(shlex.quote, chosen)])}`"

    return _IN_A_SENTENCE.sub(pasteable, text)


def program(started_as: str, python: str) -> Sequence[str]:
    """The words that start this program again; `started_as` is the first argument of the process."""
    path = Path(started_as)
    if path.parts[-2:] == ("openbooking", "__main__.py"):
        return python, "-m", "openbooking"
    if path.name != "openbooking":  # another program has called it
        return ("openbooking",)
    on_path = shutil.which("openbooking")
    if on_path is not None and path.exists() and Path(on_path).resolve() == path.resolve():
        return ("openbooking",)
    return (started_as,)
