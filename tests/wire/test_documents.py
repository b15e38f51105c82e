"""Every form of JSON-LD that operators publish is read as one form, and what is not known is left as it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.wire.documents import MAX_LEVELS, levels, member, objects, read_document, types_of

REQUIRED = "https://openactive.io/Required"


@pytest.mark.parametrize(
    ("published", "read"),
    [
        ({"id": "https://a.example/1", "type": "Offer"}, {"@id": "https://a.example/1", "@type": "Offer"}),
        ({"offers": {"type": "Offer"}}, {"offers": [{"@type": "Offer"}]}),
        ({"@type": "https://openactive.io/Slot"}, {"@type": "Slot"}),
        ({"@type": "http://schema.org/Event"}, {"@type": "Event"}),
        ({"@type": "oa:Slot"}, {"@type": "Slot"}),
        ({"@type": "https://openactive.io/ns-beta#IndicativeOffer"}, {"@type": "beta:IndicativeOffer"}),
        ({"@type": ["Slot"]}, {"@type": "Slot"}),
        ({"@type": ["Event", "Slot"]}, {"@type": ["Event", "Slot"]}),
        ({"openBookingPrepayment": "Required"}, {"openBookingPrepayment": REQUIRED}),
        ({"openBookingPrepayment": "http://openactive.io/Required"}, {"openBookingPrepayment": REQUIRED}),
        ({"oa:openBookingPrepayment": " oa:Required "}, {"openBookingPrepayment": REQUIRED}),
        ({"https://openactive.io/prepayment": {"@id": REQUIRED}}, {"prepayment": REQUIRED}),
        ({"prepayment": {"id": "oa:Required"}}, {"prepayment": REQUIRED}),
        ({"prepayment": "Perhaps"}, {"prepayment": "Perhaps"}),
        ({"prepayment": "required"}, {"prepayment": "required"}),
        ({"prepayment": ["Required", "Required"]}, {"prepayment": REQUIRED}),
        (
            {"prepayment": ["Required", "Optional"]},
            {"prepayment": [REQUIRED, "https://openactive.io/Optional"]},
        ),
        ({"prepayment": "Required", "oa:prepayment": "oa:Required"}, {"prepayment": REQUIRED}),
        ({"price": 5, "schema:price": 6}, {"price": [5, 6]}),
        ({"eventStatus": "schema:EventCancelled"}, {"eventStatus": "https://schema.org/EventCancelled"}),
        ({"eventStatus": "EventCancelled"}, {"eventStatus": "https://schema.org/EventCancelled"}),
        (
            {"beta:availableChannel": "https://openactive.io/ns-beta#OpenBookingPrepayment"},
            {"availableChannel": ["https://openactive.io/OpenBookingPrepayment"]},
        ),
        ({"https://openactive.io/ns-beta#video": "v"}, {"beta:video": "v"}),
        ({"acme:colour": " red "}, {"acme:colour": "red"}),
        ({"remainingUses": 5.0}, {"remainingUses": 5}),
        ({"remainingUses": "5"}, {"remainingUses": 5}),
        ({"remainingUses": "-5.00"}, {"remainingUses": -5}),
        ({"remainingUses": 4.5}, {"remainingUses": 4.5}),
        ({"remainingUses": "5 or 6"}, {"remainingUses": "5 or 6"}),
        ({"remainingUses": True}, {"remainingUses": True}),
        ({"price": "5.00"}, {"price": "5.00"}),
        ({"isOpenBookingAllowed": "TRUE"}, {"isOpenBookingAllowed": True}),
        ({"isOpenBookingAllowed": "https://schema.org/False"}, {"isOpenBookingAllowed": False}),
        ({"isOpenBookingAllowed": 1}, {"isOpenBookingAllowed": 1}),
        ({"identifier": 7, "@id": 7}, {"identifier": 7, "@id": "7"}),
        ({"name": {"en": "Yoga", "cy": "Ioga"}}, {"name": "Yoga"}),
        ({"name": {"fr": "Yoga", "cy": "Ioga"}}, {"name": "Ioga"}),
        ({"name": {"en-US": "Color", "en-GB": " Colour "}}, {"name": "Colour"}),
        ({"name": {"@value": "Yoga", "@language": "en"}}, {"name": "Yoga"}),
        (
            {"name": [{"@value": "Ioga", "@language": "cy"}, {"@value": "Yoga", "@language": "en"}]},
            {"name": "Yoga"},
        ),
        ({"name": {"en": ["Yoga"]}}, {"name": "Yoga"}),
        ({"name": {"first name": "Yoga"}}, {"name": {"first name": "Yoga"}}),
        ({"startDate": {"@value": "2026-01-01", "@type": "Date"}}, {"startDate": "2026-01-01"}),
        ({"price": {"@value": 5}}, {"price": 5}),
        ({"category": "Swimming"}, {"category": ["Swimming"]}),
        ({"name": " Yoga\n", "description": " "}, {"name": "Yoga"}),
        ({"a": None, "b": "", "c": [], "d": 0, "e": False, "f": [None]}, {"d": 0, "e": False}),
        (
            {"@context": ["https://openactive.io/", {"id": "@id"}]},
            {"@context": ["https://openactive.io/", {"id": "@id"}]},
        ),
        ({"image": [[{"type": "ImageObject"}]]}, {"image": [[{"@type": "ImageObject"}]]}),
    ],
)
def test_one_form(published: Any, read: Any) -> None:
    assert read_document(published) == read


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "@id",
                    "id",
                    "type",
                    "@value",
                    "name",
                    "offers",
                    "price",
                    "oa:price",
                    "en",
                    "x",
                    "prepayment",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(ANY)
def test_what_was_read_is_read_as_itself(value: Any) -> None:
    """Except where a property with an empty value becomes absent only after it was read."""
    once = read_document(value)
    twice = read_document(once)
    assert read_document(twice) == twice


def test_levels_are_followed_to_the_top_and_no_further() -> None:
    top = {"@id": "top", "name": "x"}
    series = {"@id": "series", "superEvent": top}
    assert list(levels({"@id": "session", "superEvent": "series"}, series))[1:] == [series, top]
    assert list(levels(series)) == [series, top]
    assert list(levels({"superEvent": {"@id": "a", "@type": "EventSeries"}})) == [
        {"superEvent": {"@id": "a", "@type": "EventSeries"}}
    ]
    loop: dict[str, Any] = {"name": "x"}
    loop["superEvent"] = loop
    assert len(list(levels(loop))) == MAX_LEVELS + 1


def test_small_questions() -> None:
    assert types_of({"@type": ["A", 1]}) == ("A",)
    assert types_of({}) == ()
    assert objects({"a": 1}) == [{"a": 1}]
    assert objects(["a", {}]) == [{}]
    assert member(7) == ""
    assert member("https://openactive.io/activity-list#1") == "https://openactive.io/activity-list#1"
