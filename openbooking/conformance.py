"""The OpenActive Test Suite's configuration for this system, and the settings that this system then needs.

Puts `tests/suite/base.json` and the overlays asked for together. Refuses to know where the suite is or
how it is run: `docs/conformance.md` says that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

PROFILES = Path(__file__).resolve().parent.parent / "tests" / "suite"
BASE = "base"


class UnknownOverlayError(Exception):
    """There is no such file in tests/suite."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no overlay {name!r}, but these: {', '.join(overlays())}.")


@dataclass(frozen=True)
class Profile:
    """`server` are settings of this system, `suite` is the suite's configuration (its NODE_CONFIG)."""

    server: dict[str, str]
    suite: Json


def overlays() -> list[str]:
    """The names there are, without the base."""
    return sorted(path.stem for path in PROFILES.glob("*.json") if path.stem != BASE)


def profile(names: Sequence[str], *, url: str, output: Path) -> Profile:
    """The base with these overlays on it, for a system at `url`; the suite's reports go to `output`.

    The base may be named, and is there in any case. Raises UnknownOverlayError.
    """
    documents = [_read(name, url, output) for name in (BASE, *(name for name in names if name != BASE))]
    merged: Json = {}
    for document in documents:
        merged = _laid_over(merged, document)
    return Profile(merged["server"], merged["suite"])


def _read(name: str, url: str, output: Path) -> Json:
    if name not in (BASE, *overlays()):
        raise UnknownOverlayError(name)
    # The suite runs in a directory of its own, so a relative path would lead elsewhere.
    places = {"{url}": url.rstrip("/"), "{output}": output.resolve().as_posix()}
    document: Json = json.loads((PROFILES / f"{name}.json").read_text("utf-8"))
    return {part: _placed(document[part], places) for part in ("server", "suite")}


def _placed(value: Any, places: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {term: _placed(inner, places) for term, inner in value.items()}
    if isinstance(value, str):
        for mark, place in places.items():
            value = value.replace(mark, place)
    return value


def _laid_over(under: Json, over: Json) -> Json:
    """Objects are merged, anything else is replaced: as the suite merges this with its own defaults."""
    merged = dict(under)
    for term, value in over.items():
        below = merged.get(term)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[term] = _laid_over(below, value) if both else value
    return merged
