"""Which errors the answers of a test have held, and where: what docs/errors.md says is held against it."""

from collections.abc import Iterator, Sequence
from typing import Any

from chalicelib.domain import errors
from chalicelib.domain.errors import OpenBookingError
from openbooking.reference.pages import OCCASIONS, endpoint_of, error_classes

_CLASSES = {(kind.term, kind.status): kind for kind in error_classes()}
# By `@type` and status, which together are one class's own, also where a `@type` is borrowed.
_seen: set[tuple[str, int]] = set()


def forget() -> None:
    """A new test begins."""
    _seen.clear()


def note(status: int, document: Any, verb: str = "", path: str = "") -> None:
    """Take down the errors of an answer: its own, and those of its OrderItems.

    Fails where docs/errors.md does not name this endpoint with one of them.
    """
    found = {(str(error.get("@type")), status) for error in _errors_in(document)}
    _seen.update(found)
    endpoint = endpoint_of(verb, path.partition("?")[0])
    for each in found & _CLASSES.keys():
        kind = _CLASSES[each]
        told = endpoint is None or endpoint in OCCASIONS[kind][0]
        assert told, f"docs/errors.md does not say that {endpoint} may answer with {kind.__name__}"


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
