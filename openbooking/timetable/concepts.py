"""The lists of OpenActive: activities and types of facility, by the labels that people use.

The lists are files in this package, with their licence and attribution in the first line. `write_list` replaces
one by a newer publication of OpenActive.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from chalicelib.domain.parties import Json
from chalicelib.values import dataclass

LISTS = Path(__file__).parent / "lists"
ACTIVITIES = "activity-list"
FACILITY_TYPES = "facility-types"
TITLES = {ACTIVITIES: "OpenActive Activity List", FACILITY_TYPES: "OpenActive Facility Type List"}

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SUGGESTIONS = 3


class InvalidList(ValueError):
    """The document is not a list of OpenActive; the message gives the reason."""


@dataclass(frozen=True)
class Concept:
    """An entry of a list: its UUID, its label, and other names of it."""

    id: str
    label: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConceptList:
    """One list of OpenActive."""

    name: str
    concepts: tuple[Concept, ...]

    def find(self, text: str) -> Concept | None:
        """The concept with this label, other name, UUID or URL; capitals and spaces do not matter."""
        return _by_names(self.name).get(_plain(text.rpartition("#")[2]))

    def like(self, text: str) -> list[str]:
        """Labels that are written like `text`, or contain it; the most similar first."""
        plain = _plain(text)
        labels = {_plain(concept.label): concept.label for concept in self.concepts}
        similar = difflib.get_close_matches(plain, labels, n=_SUGGESTIONS, cutoff=0.75)
        containing = [label for label in labels if plain and (plain in label or f" {label} " in f" {plain} ")]
        found = dict.fromkeys([*similar, *sorted(containing, key=len)])
        return [labels[label] for label in found][:_SUGGESTIONS]

    def document(self, concept: Concept) -> Json:
        """The concept as feeds show it."""
        scheme = f"https://openactive.io/{self.name}"
        return {
            "@type": "Concept",
            "@id": f"{scheme}#{concept.id}",
            "inScheme": scheme,
            "prefLabel": concept.label,
        }


@cache
def concept_list(name: str) -> ConceptList:
    """The list as it is kept in this package."""
    lines = (LISTS / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return ConceptList(name, tuple(_concept(line) for line in lines if not line.startswith("#")))


def read_published(name: str, text: bytes | str) -> ConceptList:
    """A list as OpenActive publishes it, in JSON-LD. Raises InvalidList."""
    try:
        document: Any = json.loads(text)
        concepts = [
            Concept(
                str(each.get("identifier") or each["id"].rpartition("#")[2]),
                str(each["prefLabel"]).strip(),
                tuple(sorted(str(other).strip() for other in _listed(each.get("altLabel")))),
            )
            for each in document["concept"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidList("It is not a list of concepts in JSON-LD, as OpenActive publishes it.") from None
    scheme = document.get("id") or document.get("@id")
    if scheme != f"https://openactive.io/{name}":
        raise InvalidList(f"It is the list {scheme}, not https://openactive.io/{name}.")
    wrong = [each for each in concepts if not _ID.fullmatch(each.id) or not each.label or "\t" in each.label]
    if wrong or not concepts:
        raise InvalidList("It has no concepts, or one without a UUID or a label.")
    return ConceptList(name, tuple(sorted(concepts, key=lambda each: (each.label.casefold(), each.id))))


def write_list(concepts: ConceptList, folder: Path = LISTS) -> None:
    """Replace the list in this package. Raises OSError."""
    title = TITLES[concepts.name]
    head = (
        f"# {title} by OpenActive, https://openactive.io/{concepts.name}, licensed under CC BY 4.0 "
        "(https://creativecommons.org/licenses/by/4.0/). Changed: only ids, labels and other names are kept."
    )
    lines = ["\t".join([each.id, each.label, *each.others]) for each in concepts.concepts]
    (folder / f"{concepts.name}.tsv").write_text("\n".join([head, *lines, ""]), encoding="utf-8")
    concept_list.cache_clear()
    _by_names.cache_clear()


def changes(before: ConceptList, after: ConceptList) -> tuple[list[str], list[str]]:
    """The labels that a newer list adds, and those that it lacks."""
    old, new = _labels(before.concepts), _labels(after.concepts)
    return sorted(new - old), sorted(old - new)


@cache
def _by_names(name: str) -> dict[str, Concept]:
    concepts = concept_list(name).concepts
    named = {_plain(other): concept for concept in concepts for other in concept.others}
    return named | {key: each for each in concepts for key in (_plain(each.label), each.id)}


def _labels(concepts: Iterable[Concept]) -> set[str]:
    return {concept.label for concept in concepts}


def _concept(line: str) -> Concept:
    concept_id, label, *others = line.split("\t")
    return Concept(concept_id, label, tuple(others))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []
