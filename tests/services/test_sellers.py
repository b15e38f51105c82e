"""Sellers: added, found by any form of their id, suspended."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.domain.identifiers import IDENTIFIERS
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import AccessMethod
from chalicelib.runtime.administration import Administration
from chalicelib.services.errors import AdministrationError
from chalicelib.services.seller_ids import type_of
from chalicelib.values import replace
from tests.support.administering import (
    BOOKING,
    a_partner,
    a_token,
    done,
)
from tests.support.builders import VAT
from tests.support.world import World, outer, seller_id

A_SELLER = {"@id": "kings-mead", "name": "Kings Mead", "taxMode": "gross"}
ADDRESS = {
    "streetAddress": "1 Mead Lane",
    "addressLocality": "Oxford",
    "addressRegion": "Oxfordshire",
    "postalCode": "OX1 1AA",
    "addressCountry": "GB",
}


def test_a_seller_is_added_with_what_its_receipts_lack(desk: Administration, world: World) -> None:
    seller, lacking = desk.sellers.add(A_SELLER, VAT)
    assert seller.id == "https://base.invalid/api/identifiers/sellers/kings-mead"
    assert world.store.seller(seller.id) == seller
    assert seller.tax_rate == VAT
    assert seller.document == {
        "@type": "Organization",
        "@id": seller.id,
        "name": "Kings Mead",
        "legalName": "Kings Mead",
        "taxMode": "https://openactive.io/TaxGross",
    }
    assert lacking == [f"address.{term}" for term in ADDRESS]


def test_a_seller_as_feeds_have_it_is_taken_with_its_own_id(desk: Administration) -> None:
    document = {
        "@type": "Person",
        "@id": "https://kings.example/sellers/1",
        "name": "Kim King",
        "taxMode": "https://openactive.io/TaxNet",
        "address": {"@type": "PostalAddress", **ADDRESS},
        "isOpenBookingAllowed": False,
    }
    seller, lacking = desk.sellers.add(document, None)
    assert (seller.id, seller.tax_rate, seller.open_booking_allowed) == (document["@id"], None, False)
    assert lacking == []
    assert desk.sellers.find("https://kings.example/sellers/1") == seller


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"@id": None}, "needs an id"),
        ({"@id": " "}, "needs an id"),
        ({"@id": "ftp://kings.example/1"}, "cannot be an id"),
        ({"@id": "kings mead"}, "cannot be an id"),
        ({"@id": "http://booking.example/other/1"}, "cannot be an id"),
        ({"name": None}, "needs a name"),
        ({"name": " "}, "needs a name"),
        ({"legalName": 7}, "legalName must be a text"),
        ({"address": "1 Mead Lane"}, "must be a PostalAddress"),
        ({"address": {"postalCode": 1}}, "must be a PostalAddress"),
        ({"@type": "Place"}, "an Organization or a Person"),
        ({"taxMode": "none"}, "gross .* or net"),
        ({"taxMode": None}, "gross .* or net"),
        ({"@id": "1"}, "sellers/1 exists already"),
        ({"@id": outer(seller_id(1))}, "sellers/1 exists already"),
    ],
)
def test_a_seller_that_makes_no_sense_is_refused(
    desk: Administration, world: World, changes: dict[str, Any], said: str
) -> None:
    before = world.store.sellers()
    with pytest.raises(AdministrationError, match=said):
        desk.sellers.add(A_SELLER | changes, VAT)
    assert world.store.sellers() == before
    assert done(desk) == []


def test_a_seller_that_is_replaced_keeps_what_no_document_says(desk: Administration, world: World) -> None:
    seller = desk.sellers.find("1")
    world.store.save_seller(replace(seller, access_methods=(AccessMethod.code,)))
    replaced, _ = desk.sellers.add(A_SELLER | {"@id": "1"}, VAT, replacing=True)
    assert replaced.access_methods == (AccessMethod.code,)
    assert desk.sellers.find("1").document["name"] == "Kings Mead"


@pytest.mark.parametrize(
    "text",
    ["1", " 1 ", seller_id(1), outer(seller_id(1)), "https://elsewhere.example/api/identifiers/sellers/1"],
)
def test_a_seller_is_found_by_its_id_in_every_form_in_which_it_is_seen(
    desk: Administration, text: str
) -> None:
    assert desk.sellers.find(text).id == seller_id(1)


@pytest.mark.parametrize("text", ["", "9", "https://booking.example/", "x" * 3000, "/api/identifiers/"])
def test_what_is_no_seller_is_refused(desk: Administration, text: str) -> None:
    with pytest.raises(AdministrationError, match="no Seller"):
        desk.sellers.find(text)


def test_an_id_of_another_system_is_neither_shortened_nor_read_as_ours(world: World) -> None:
    """Its path may be like ours, and begin with the type of its parent: a slot in a facility."""
    theirs = "https://operator.example/api/identifiers/facility-uses/1/slots/2"
    ids = Administration(world.system).seller_ids
    assert type_of(theirs) is None
    assert ids.short(theirs, seller_id(1)) == theirs
    ours = f"{IDENTIFIERS}/slots/1/2"
    assert type_of(ours) is OpportunityType.Slot
    assert ids.short(ours, seller_id(1)) == "2"


def test_without_a_known_url_ids_of_ours_are_shown_short(world: World) -> None:
    desk = Administration(world.system)
    assert [each["id"] for each in desk.sellers.listed()] == ["1", "2"]


def test_a_suspended_seller_is_not_acted_for_until_it_is_resumed(desk: Administration, world: World) -> None:
    client = a_partner(desk, world, seller="1")
    desk.sellers.suspend("1")
    assert a_token(client, BOOKING).status == 400
    assert [each["state"] for each in desk.sellers.listed()] == ["suspended", "active"]
    with pytest.raises(AdministrationError, match="is suspended"):
        desk.sellers.suspend("1")
    desk.sellers.resume("1")
    assert a_token(client, BOOKING).status == 200
    with pytest.raises(AdministrationError, match="is not suspended"):
        desk.sellers.resume("1")
    with pytest.raises(AdministrationError, match="is not suspended"):
        desk.sellers.resume("2")
