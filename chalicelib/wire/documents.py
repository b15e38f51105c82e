"""The one reader of JSON-LD as operators publish it: every form of a value becomes one form.

`read_document` knows how JSON-LD and the OpenActive vocabulary may be written, and nothing of their rules: what it
does not recognise it leaves unchanged, so that a rule can refuse it. A document in this form is read as itself.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from chalicelib.domain.parties import Json
from chalicelib.wire.jsonld import CONTEXT

SCHEMA = "https://schema.org/"

# Levels of inheritance that are followed; deeper ones, and loops, are ignored.
MAX_LEVELS = 8
# The terms that name what a document inherits from, in the order in which they are followed.
PARENT_TERMS = ("aggregateFacilityUse", "facilityUse", "superEvent", "instanceOfCourse")

_ALIASES = {
    "id": "@id",
    "type": "@type",
    "beta:availableChannel": "availableChannel",
    "beta:eligibleEntitlementType": "eligibleEntitlementType",
    "beta:course": "instanceOfCourse",
}
_BETA = re.compile(r"https?://(?:www\.)?openactive\.io/ns-beta#")
_NAMESPACE = re.compile(
    r"(?:https?://(?:www\.)?openactive\.io/(?:ns#|ns/)?|https?://(?:www\.)?schema\.org/|oa:|openactive:|schema:)"
    r"(?=[A-Za-z]+$)"
)

# The members of each enumeration, with the namespace in which the specification writes them.
REQUIRED_STATUS = frozenset({"Required", "Optional", "Unavailable"})
FLOW_REQUIREMENTS = frozenset(
    {
        "OpenBookingIntakeForm",
        "OpenBookingAttendeeDetails",
        "OpenBookingApproval",
        "OpenBookingNegotiation",
        "OpenBookingMessageExchange",
    }
)
CHANNELS = frozenset(
    {"OpenBookingPrepayment", "OnlinePrepayment", "TelephoneAdvanceBooking", "TelephonePrepayment"}
)
_ENUMERATIONS: Mapping[str, tuple[str, frozenset[str]]] = {
    "openBookingPrepayment": (CONTEXT, REQUIRED_STATUS),
    "prepayment": (CONTEXT, REQUIRED_STATUS),
    "openBookingInAdvance": (CONTEXT, REQUIRED_STATUS),
    "advanceBooking": (CONTEXT, REQUIRED_STATUS),
    "openBookingFlowRequirement": (CONTEXT, FLOW_REQUIREMENTS),
    "availableChannel": (CONTEXT, CHANNELS),
    "taxMode": (CONTEXT, frozenset({"TaxGross", "TaxNet"})),
    "genderRestriction": (CONTEXT, frozenset({"NoRestriction", "MaleOnly", "FemaleOnly"})),
    "eventStatus": (
        SCHEMA,
        frozenset({"EventScheduled", "EventRescheduled", "EventCancelled", "EventPostponed"}),
    ),
    "eventAttendanceMode": (
        SCHEMA,
        frozenset({"OfflineEventAttendanceMode", "OnlineEventAttendanceMode", "MixedEventAttendanceMode"}),
    ),
}

# Terms whose value is always a list here.
_LISTS = frozenset(
    {
        "offers", "subEvent", "event", "individualFacilityUse", "openBookingFlowRequirement", "availableChannel",
        "activity", "facilityType", "category", "image", "sameAs", "acceptedPaymentMethod", "amenityFeature",
        "leader", "contributor", "level", "eventSchedule", "termsOfService", "eligibleEntitlementType",
        "eligibleCustomerType", "accessibilitySupport", "openingHoursSpecification",
    }
)  # fmt: skip
# Terms with exactly one value. A list of one is that one; a list of several is left for the rules to refuse.
_SINGLE = frozenset(
    {
        "@id", "@type", "name", "description", "url", "identifier", "startDate", "endDate", "duration", "superEvent",
        "facilityUse", "aggregateFacilityUse", "instanceOfCourse", "organizer", "provider", "location", "address",
        "geo", "legalName", "telephone", "email", "vatID", "isOpenBookingAllowed", "price", "priceCurrency",
        "validFrom", "validThrough", "validFromBeforeStartDate", "validThroughBeforeStartDate",
        "latestCancellationBeforeStartDate", "allowCustomerCancellationFullRefund", "openBookingPrepayment",
        "prepayment", "openBookingInAdvance", "advanceBooking", "taxMode", "genderRestriction", "eventStatus",
        "eventAttendanceMode", "availability", "beta:availability", "beta:offerValidityPeriod", "ageRange",
        "ageRestriction", "maximumAttendeeCapacity", "remainingAttendeeCapacity", "maximumUses", "remainingUses",
        "streetAddress", "addressLocality", "addressRegion", "postalCode", "addressCountry", "meetingPoint",
        "attendeeInstructions", "prefLabel", "inScheme",
    }
)  # fmt: skip
_WHOLE_NUMBERS = frozenset(
    {"maximumAttendeeCapacity", "remainingAttendeeCapacity", "maximumUses", "remainingUses"}
)
_BOOLEANS = frozenset(
    {
        "isOpenBookingAllowed",
        "allowCustomerCancellationFullRefund",
        "requiresExplicitConsent",
        "isAccessibleForFree",
    }
)
_TEXTS = frozenset(
    {
        "name", "description", "legalName", "streetAddress", "addressLocality", "addressRegion", "postalCode",
        "addressCountry", "meetingPoint", "attendeeInstructions", "prefLabel", "jobTitle", "caption",
    }
)  # fmt: skip
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_TRUTH = {"true": True, "false": False, f"{SCHEMA}true": True, f"{SCHEMA}false": False}
_DIGITS = re.compile(r"[+-]?[0-9]{1,18}(\.0{1,18})?")


def read_document(value: Any) -> Any:
    """The value in the one form in which rules read it; what is not recognised is unchanged.

    Without properties that are null, "" or [] (MEDIA-03). Raises RecursionError for a value that is nested too deeply.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        return _object(value)
    if isinstance(value, list):
        return [read_document(each) for each in value if each is not None]
    return value


def levels(document: Json, parent: Json | None = None) -> Iterator[Json]:
    """The document, and what it inherits from, nearest first; `parent` replaces what the document itself names."""
    yield document
    following = parent if parent is not None else _embedded_parent(document)
    for _ in range(MAX_LEVELS):
        if following is None:
            return
        yield following
        following = _embedded_parent(following)


def types_of(document: Json) -> tuple[str, ...]:
    """The types of a document in the form of `read_document`, by their names."""
    found = document.get("@type")
    if isinstance(found, str):
        return (found,)
    return tuple(each for each in (found if isinstance(found, list) else [found]) if isinstance(each, str))


def objects(value: Any) -> list[Json]:
    """The objects in a value that may be one object or a list."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def member(value: Any) -> str:
    """The name of a member of an enumeration in any of its forms; empty if it is not a text."""
    return _member(value) if isinstance(value, str) else ""


@lru_cache(maxsize=4096)
def _member(text: str) -> str:
    return _NAMESPACE.sub("", _BETA.sub("", text))


def _embedded_parent(document: Json) -> Json | None:
    for term in PARENT_TERMS:
        found = document.get(term)
        if isinstance(found, dict) and set(found) - {"@id", "@type"}:
            return found
    return None


def _object(raw: Json) -> Any:
    if "@value" in raw and set(raw) <= {"@value", "@language", "@type", "@direction"}:
        return read_document(raw["@value"])
    found: Json = {}
    for name, value in raw.items():
        term = _term(name)
        inner = value if term == "@context" else _value(term, value)
        if inner is None or inner in ("", []):
            continue
        if term in found and found[term] != inner:
            # Two names of one property with different values: no rule may choose one of them.
            found[term] = [*_listed(found[term]), *_listed(inner)]
        else:
            found[term] = inner
    return found


@lru_cache(maxsize=4096)
def _term(name: str) -> str:
    """The name of a property, without the prefix of the vocabularies that need none."""
    name = _BETA.sub("beta:", name.strip())
    return _ALIASES.get(name) or _ALIASES.get(plain := _NAMESPACE.sub("", name), plain)


def _value(term: str, value: Any) -> Any:
    if isinstance(value, str):
        value = value.strip()
        if term not in _LISTS:
            known = _READERS.get(term)
            return value if known is None else known(value)
    reader = _READERS.get(term)
    if isinstance(value, dict) and term in _TEXTS:
        value = _in_one_language(value)
    if isinstance(value, list) and term in _TEXTS:
        value = _first_language(value)
    if isinstance(value, list):
        if term in _SINGLE and len(value) == 1:
            return _value(term, value[0])
        inner = [_read(each, reader) for each in value if each is not None]
        return _one_of(inner) if term in _SINGLE else inner
    inner = _read(value, reader)
    return [inner] if term in _LISTS and inner is not None and inner not in ("", []) else inner


def _read(value: Any, reader: Callable[[Any], Any] | None) -> Any:
    if reader is not None and isinstance(value, dict):
        if "@value" in value:
            value = value["@value"]
        elif set(value) in ({"@id"}, {"id"}):  # an enumeration as a reference
            value = next(iter(value.values()))
    inner = read_document(value)
    return inner if reader is None or isinstance(inner, dict | list) else reader(inner)


def _one_of(values: list[Any]) -> Any:
    """The value, if all are equal; several different ones stay a list, which no rule accepts."""
    return values[0] if values and all(each == values[0] for each in values) else values


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _in_one_language(value: Json) -> Any:
    """The text of a language map, in English if there is one."""
    if not value or "@value" in value or not all(_LANGUAGE.fullmatch(tag) for tag in value):
        return value
    return min(value.items(), key=lambda entry: _preference(entry[0]))[1]


def _first_language(values: list[Any]) -> Any:
    """One text of several in different languages, each with its `@language`."""
    if not values or not all(isinstance(each, dict) and "@value" in each for each in values):
        return values
    return min(values, key=lambda each: _preference(str(each.get("@language") or "")))["@value"]


def _preference(language: str) -> tuple[int, str]:
    tag = language.casefold()
    return (0 if tag == "en-gb" else 1 if tag == "en" else 2 if tag.startswith("en") else 3), tag


def _enumeration(namespace: str, members: frozenset[str]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        name = member(value)
        return namespace + name if name in members else value

    return read


def _kind(value: Any) -> Any:
    """A type by its name; one of the beta namespace keeps its prefix."""
    return _type_name(value) if isinstance(value, str) else value


@lru_cache(maxsize=4096)
def _type_name(text: str) -> str:
    return _NAMESPACE.sub("", _BETA.sub("beta:", text))


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value.partition(".")[0]) if isinstance(value, str) and _DIGITS.fullmatch(value) else value


def _boolean(value: Any) -> Any:
    return _TRUTH.get(value.casefold(), value) if isinstance(value, str) else value


def _identifier(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_READERS: Mapping[str, Callable[[Any], Any]] = {
    **{term: _enumeration(*of) for term, of in _ENUMERATIONS.items()},
    **dict.fromkeys(_WHOLE_NUMBERS, _whole),
    **dict.fromkeys(_BOOLEANS, _boolean),
    "@type": _kind,
    "@id": _identifier,
}
