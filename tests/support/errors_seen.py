"""Which errors the answers of a test have held: what the mark `shows` is held against."""

from collections.abc import Iterator, Sequence
from typing import Any

from chalicelib.domain import errors
from chalicelib.domain.errors import OpenBookingError

# By `@type` and status, which together are one class's own, also where a `@type` is borrowed.
_seen: set[tuple[str, int]] = set()


def forget() -> None:
    """A new test begins."""
    _seen.clear()


def note(status: int, document: Any) -> None:
    """Take down the errors of an answer: its own, and those of its OrderItems."""
    _seen.update((str(error.get("@type")), status) for error in _errors_in(document))


def not_seen(names: Sequence[str]) -> list[str]:
    """Those of these classes of which no answer had an error."""
    classes: list[type[OpenBookingError]] = [getattr(errors, name) for name in names]
    return [kind.__name__ for kind in classes if (kind.term, kind.status) not in _seen]


def _errors_in(document: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict):
        return
    yield document
    for item in document.get("orderedItem") or ():
        yield from item.get("error", ())
