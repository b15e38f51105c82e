"""What is set on a stage beside Chalice's own resources, as one value; and how two such values differ.

A difference between what the last deployment set and what is there now was made by another person: it is drift.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from openbooking.infra.templates import GatewayResponse, StreamMapping, Throttle


@dataclass(frozen=True)
class StageState:
    """Gateway responses by type, throttles by method, stream mappings and concurrency by function.

    A function without reserved concurrency has None.
    """

    responses: Mapping[str, GatewayResponse] = field(default_factory=dict)
    throttles: Mapping[str, Throttle] = field(default_factory=dict)
    mappings: Mapping[str, StreamMapping] = field(default_factory=dict)
    concurrency: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """One value that another person has set."""

    part: str
    """The field of StageState."""
    name: str
    set_to: Any
    """By the last deployment; None if it was absent."""
    found: Any

    def __str__(self) -> str:
        return f"{_PARTS[self.part]} {self.name}: {_change(self.set_to, self.found)}"


_PARTS = {
    "responses": "gateway response",
    "throttles": "throttle",
    "mappings": "stream mapping of",
    "concurrency": "reserved concurrency of",
}


def drift(applied: StageState, found: StageState) -> list[Difference]:
    """What was changed since `applied` was set."""
    return [
        difference
        for part in _PARTS
        for difference in _differences(part, getattr(applied, part), getattr(found, part))
    ]


# Chalice replaces the API's definition, and with it the gateway's responses; and it removes reserved concurrency before it
# sets another.
_RESET_BY_CHALICE = ("responses", "concurrency")


def by_others(differences: list[Difference], attempts: Sequence[StageState]) -> list[Difference]:
    """Those that no deployment has made which was cut off. `attempts` are what these wanted to set."""
    if not attempts:
        return differences
    return [
        each
        for each in differences
        if not (each.found is None and each.part in _RESET_BY_CHALICE)
        and all(getattr(attempt, each.part).get(each.name) != each.found for attempt in attempts)
    ]


def keeping(wanted: StageState, differences: list[Difference]) -> StageState:
    """`wanted`, but with the values that others have set."""
    for each in differences:
        values = dict(getattr(wanted, each.part))
        if each.found is None and each.part != "concurrency":
            values.pop(each.name, None)
        else:
            values[each.name] = each.found
        wanted = replace(wanted, **{each.part: values})
    return wanted


def _differences(part: str, applied: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    for name in applied.keys() | found.keys() if part == "responses" else applied.keys():
        before, now = applied.get(name), found.get(name)
        if before != now:
            yield Difference(part, name, before, now)


def _change(before: Any, now: Any) -> str:
    if before is None or now is None or not hasattr(before, "__dataclass_fields__"):
        return f"was {_shown(before)}, is {_shown(now)}"
    old, new = asdict(before), asdict(now)
    changed = [f"{name} was {old[name]}, is {new[name]}" for name in old if old[name] != new[name]]
    return "; ".join(changed)


def _shown(value: Any) -> str:
    return "not set" if value is None else f"{value}" if isinstance(value, int) else "set"


def state_to(state: StageState) -> dict[str, Any]:
    """As JSON."""
    document: dict[str, Any] = json.loads(json.dumps(asdict(state)))
    return document


def state_from(document: Mapping[str, Any]) -> StageState:
    """From JSON. Fields that an earlier release of this program did not write have their defaults."""
    mappings = {
        name: StreamMapping(**{**each, "filters": tuple(each.get("filters", ()))})
        for name, each in document.get("mappings", {}).items()
    }
    return StageState(
        {name: GatewayResponse(**each) for name, each in document.get("responses", {}).items()},
        {name: Throttle(**each) for name, each in document.get("throttles", {}).items()},
        mappings,
        dict(document.get("concurrency", {})),
    )
