"""The OpenActive Test Suite's configuration for this system, and the settings that this system needs for it.

Merges `tests/suite/base.json` with the requested overlays. How the suite is run is described in
`docs/conformance.md`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib.domain.identifiers import inward
from chalicelib.domain.parties import Json
from chalicelib.identity.entries import Entry
from chalicelib.runtime.system import System
from chalicelib.services.invitations import new_invitation
from chalicelib.services.logins import new_login
from chalicelib.services.partners import new_partner
from chalicelib.storage.errors import RecordChanged

PROFILES = Path(__file__).resolve().parents[2] / "tests" / "suite"
BASE = "base"


class UnknownOverlayError(Exception):
    """There is no such file in tests/suite."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no overlay {name!r}. Choose from: {', '.join(overlays())}.")


@dataclass(frozen=True)
class Profile:
    """`server` are settings of this system, `suite` is the suite's configuration (its NODE_CONFIG).

    `identities` are the partners, logins and initial access tokens in the suite's configuration.
    """

    server: dict[str, str]
    suite: Json
    identities: Json
    url: str

    @property
    def types_in_scope(self) -> frozenset[str]:
        """The types that the suite books, by its own names."""
        in_scope: dict[str, bool] = self.suite["integrationTests"]["bookableOpportunityTypesInScope"]
        return frozenset(name for name, is_in_scope in in_scope.items() if is_in_scope)


def overlays() -> list[str]:
    """The names of all overlays, without the base."""
    return sorted(path.stem for path in PROFILES.glob("*.json") if path.stem != BASE)


def profile(names: Sequence[str], *, url: str, output: Path) -> Profile:
    """The base merged with these overlays, for a system at `url`; the suite's reports go to `output`.

    The base is always included, whether or not it is in `names`. Raises UnknownOverlayError.
    """
    documents = [_read(name, url, output) for name in (BASE, *(name for name in names if name != BASE))]
    merged: Json = {}
    for document in documents:
        merged = _merged(merged, document)
    return Profile(merged["server"], merged["suite"], merged["identities"], url.rstrip("/"))


def add_identities(profile: Profile, system: System) -> None:
    """Add the partners and logins that the suite uses. Their secrets and passwords are public."""
    known, now = profile.identities, system.now()
    entries: list[Entry] = [
        new_invitation(each["token"], "the test suite", now, uses=None)
        for each in known.get("invitations", ())
    ]
    entries += [
        new_partner(each["id"], "The test suite", each["secret"], now, redirect_uris=each["redirectUris"])
        for each in known.get("partners", ())
    ]
    entries += [
        new_login(
            system.new_id(),
            each["username"],
            system.passwords.hash(each["password"]),
            [inward(each["seller"], profile.url)],
            now,
        )
        for each in known.get("logins", ())
    ]
    for entry in entries:
        with suppress(RecordChanged):  # it exists already on an engine that keeps data
            system.register.save(entry)


def _read(name: str, url: str, output: Path) -> Json:
    if name not in (BASE, *overlays()):
        raise UnknownOverlayError(name)
    # The suite runs in its own directory, so the path must be absolute.
    places = {"{url}": url.rstrip("/"), "{output}": output.resolve().as_posix()}
    document: Json = json.loads((PROFILES / f"{name}.json").read_text("utf-8"))
    return {part: _placed(document.get(part, {}), places) for part in ("server", "suite", "identities")}


def _placed(value: Any, places: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {term: _placed(inner, places) for term, inner in value.items()}
    if isinstance(value, list):
        return [_placed(inner, places) for inner in value]
    if isinstance(value, str):
        for mark, place in places.items():
            value = value.replace(mark, place)
    return value


def _merged(under: Json, over: Json) -> Json:
    """Merge objects, replace anything else: the suite merges this with its own defaults in the same way."""
    merged = dict(under)
    for term, value in over.items():
        below = merged.get(term)
        merged[term] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
