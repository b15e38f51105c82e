"""Sites and rooms: from their rows to Places."""

from __future__ import annotations

from chalicelib.domain.parties import Json
from chalicelib.services.timetables.plans import place_id
from openbooking.timetable.offers import Mismatch, together
from openbooking.timetable.reading import Row
from openbooking.timetable.values import Wrong, uk_postcode

_UK_LATITUDES, _UK_LONGITUDES = (49.0, 61.0), (-9.0, 2.5)


def check_site(site: Row) -> None:
    """Raises Mismatches for an address or a position that cannot be right."""
    together(lambda: _check_position(site), lambda: _check_postcode(site))


def _check_position(site: Row) -> None:
    latitude, longitude = site["latitude"], site["longitude"]
    if (latitude is None) != (longitude is None):
        missing = "latitude" if latitude is None else "longitude"
        raise Mismatch("a position needs latitude and longitude: fill both, or neither", missing)
    south, north = _UK_LATITUDES
    west, east = _UK_LONGITUDES
    if site["country"] != "GB" or latitude is None:
        return
    if not (south <= latitude <= north and west <= longitude <= east):
        raise Mismatch(
            f"{latitude}, {longitude} is not in the United Kingdom: exchange or correct them, or change the country",
            "latitude",
        )


def _check_postcode(site: Row) -> None:
    if site["country"] != "GB":
        return
    try:
        uk_postcode(site["postcode"])
    except Wrong as wrong:
        raise Mismatch(str(wrong), "postcode") from None


def site_place(seller_id: str, site: Row) -> Json:
    """The Place of a site."""
    postcode = uk_postcode(site["postcode"]) if site["country"] == "GB" else site["postcode"]
    address = {
        "@type": "PostalAddress",
        "streetAddress": site["street"],
        "addressLocality": site["locality"],
        "addressRegion": site["region"],
        "postalCode": postcode,
        "addressCountry": site["country"],
    }
    position = {"@type": "GeoCoordinates", "latitude": site["latitude"], "longitude": site["longitude"]}
    place: Json = {
        "@type": "Place",
        "@id": place_id(seller_id, site.id),
        "identifier": site.id,
        "name": site["name"],
        "description": site["description"],
        "url": site["url"],
        "telephone": site["telephone"],
        "email": site["email"],
        "address": {term: value for term, value in address.items() if value is not None},
        "geo": position if site["latitude"] is not None else None,
        "amenityFeature": [
            {"@type": "LocationFeatureSpecification", "name": name, "value": True}
            for name in site["amenities"] or ()
        ],
    }
    return {term: value for term, value in place.items() if value is not None and value != []}


def room_place(seller_id: str, room: Row, site: Json) -> Json:
    """The Place of a room, with the address and position of its site."""
    place: Json = {
        "@type": "Place",
        "@id": f"{site['@id']}/{room.id}",
        "identifier": room.id,
        "name": f"{room['name']}, {site['name']}",
        "description": room["description"],
        **{term: site[term] for term in ("address", "geo", "telephone", "url") if term in site},
        "containedInPlace": {
            term: site[term] for term in ("@type", "@id", "name", "address", "geo") if term in site
        },
    }
    return {term: value for term, value in place.items() if value is not None}
