"""The sites and rooms that a Seller has named in its timetable, and which of them a name means."""

from collections.abc import Iterable, Sequence
from typing import Any

from chalicelib.domain.parties import Json
from chalicelib.services.errors import InvalidValue


def places_in(documents: Iterable[Json]) -> list[Json]:
    """The Places of series and facilities, each with the site that contains it; each of them once."""
    found: dict[str, Json] = {}
    for document in documents:
        place: Any = document.get("location")
        while isinstance(place, dict):
            # The place itself says more of a site than what is a part of it.
            known_as = place.get("@id")
            if isinstance(known_as, str) and len(place) > len(found.get(known_as, {})):
                found[known_as] = place
            place = place.get("containedInPlace")
    return list(found.values())


def place_named(name: str, places: Sequence[Json], site: Json) -> Json | None:
    """The place with this name or own id, before others one in the present site; None if there is none.

    A room is known by its own name or with that of its site. Raises InvalidValue if several sites have such a room.
    """
    wanted = name.strip().casefold()
    fitting = [place for place in places if wanted in _names(place)]
    here = [place for place in fitting if _site_id(place) == site.get("@id")]
    chosen = here or fitting
    if len(chosen) > 1:
        names = ", ".join(str(place.get("name")) for place in chosen)
        raise InvalidValue(f"Several places are called {name} ({names}): write the whole name.")
    return chosen[0] if chosen else None


def _names(place: Json) -> set[str]:
    own, site = str(place.get("name") or ""), place.get("containedInPlace")
    short = own.removesuffix(f", {site.get('name')}") if isinstance(site, dict) else own
    own_id = str(place.get("@id") or "").rpartition("/")[2]
    return {each.casefold() for each in (own, short, own_id) if each}


def _site_id(place: Json) -> object:
    site = place.get("containedInPlace")
    return (site if isinstance(site, dict) else place).get("@id")
