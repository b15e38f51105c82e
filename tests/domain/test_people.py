"""Traces of people: how they are recognised in what Brokers and people have written."""

import pytest

from chalicelib.domain.people import Traces, all_traces, sought, traces_of

ANN = {
    "@type": "Person",
    "givenName": "Ann",
    "familyName": "Archer",
    "email": "Ann.Archer@example.com",
    "telephone": "+44 7700 900123",
}


@pytest.mark.parametrize(
    "spelling", ["07700 900123", "0044 (7700) 900-123", "+447700900123", "7700900123", "07700.900.123"]
)
def test_a_telephone_number_is_found_in_any_spelling(spelling: str) -> None:
    assert sought(telephone=spelling).are_of(ANN)
    assert traces_of(ANN).are_in(f"Call {spelling}, please.")


@pytest.mark.parametrize("spelling", ["ann.archer@example.com", " ANN.ARCHER@EXAMPLE.COM "])
def test_an_address_is_found_in_any_case(spelling: str) -> None:
    assert sought(email=spelling).are_of(ANN)


def test_a_name_is_found_in_its_parts_and_as_a_whole() -> None:
    assert sought(name="ann  archer").are_of(ANN)
    assert sought(name="Ann Archer").are_of({"name": "Ann Archer"})
    assert sought(name="Ann Archer").are_in(["for Ann Archer only"])


@pytest.mark.parametrize(
    "text",
    [
        "joann.archer@example.com",
        "j.ann.archer@example.com",
        "ann.archer@example.com.au",
        "ann.archer@example.community",
        "Joann Archer",
        "Ann Archers",
        "0770 090 0124",
    ],
)
def test_other_people_are_not_meant(text: str) -> None:
    assert not traces_of(ANN).are_in(text)


def test_an_unknown_property_is_searched_too() -> None:
    party = {"@type": "Person", "email": "other@example.com", "beta:contact": {"mail": ANN["email"]}}
    assert sought(email=ANN["email"]).are_of(party)


def test_a_given_name_alone_identifies_no_person() -> None:
    assert not traces_of({"givenName": "Ann"})
    assert not all_traces([None, {}])


def test_only_what_names_a_person_is_removed() -> None:
    value = {
        "a": "Ann Archer is late",
        "b": ["fine", "ann.archer@example.com"],
        "c": {"d": "07700900123"},
        "e": 5,
    }
    assert traces_of(ANN).without(value) == {"b": ["fine"], "e": 5}
    assert traces_of(ANN).without({"c": "Ann Archer"}) is None
    assert Traces().without(value) == value


@pytest.mark.parametrize(
    "unusable", [{"email": "ann"}, {"telephone": "12345"}, {"name": "Ann"}, {"email": "a b@c.d"}]
)
def test_a_detail_that_identifies_no_person_is_refused(unusable: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is not"):
        sought(**unusable)
