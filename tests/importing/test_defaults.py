"""What a source does not say, from its file: applied where it is silent, checked, never against it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.parties import AccessMethod, Json
from chalicelib.importing.defaults import DefaultsError
from chalicelib.importing.defaults_file import read_defaults
from chalicelib.importing.rpde import ImportRefused
from chalicelib.importing.rpde import read_defaults as read_or_refuse
from tests.importing.booking import Installation
from tests.importing.site import (
    ADDRESS,
    BASE,
    SELLER,
    OperatorSite,
    facility_use,
    offer,
    series,
    session,
    slot,
    unit_id,
)

SESSION, SERIES = f"{BASE}/scheduled-sessions/1", f"{BASE}/session-series/1"

WHOLE = f"""
vat_rate = "0.20"
time_zone = "Europe/London"
max_leaving = 0.25
access_methods = ["code", "barcode"]
attendee_details = ["givenName", "telephone"]

[seller]
taxMode = "TaxGross"
isOpenBookingAllowed = true

[sellers."{SELLER["@id"]}"]
legalName = "Acme Fitness Limited"
address = {{ streetAddress = "2 Low Street", addressLocality = "Oxford", postalCode = "OX2 2BB" }}

[[sellers."{SELLER["@id"]}".termsOfService]]
name = "Terms"
url = "https://operator.example/terms"
requiresExplicitConsent = true

[offer]
openBookingPrepayment = "Required"
allowCustomerCancellationFullRefund = true
latestCancellationBeforeStartDate = "P1D"
validThroughBeforeStartDate = "PT2H"
priceCurrency = "GBP"

[opportunity]
spaces = 12

[[opportunity.offers]]
name = "Place"
price = 5.50
priceCurrency = "GBP"

[[vat]]
rate = "0"
offers = ["Junior"]

[[vat]]
rate = "0.05"
categories = ["Swimming"]

[[intake_form]]
id = "https://operator.example/form#swims"
type = "dropdown"
name = "Can you swim?"
required = true
options = ["yes", "no"]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "operator.toml"
    path.write_text(text)
    return path


def plain_open_data() -> list[Json]:
    """A series and a session as published for reading, with nothing of booking."""
    organizer = {"@type": "Organization", "@id": SELLER["@id"], "name": "Acme Fitness Ltd"}
    offer = {"@type": "Offer", "name": "Adult", "price": "5.00"}
    child = session(1, of=1)
    del child["remainingAttendeeCapacity"]
    child |= {"startDate": "2031-07-01T10:00:00", "endDate": "2031-07-01T11:00:00"}
    return [series(1, organizer=organizer, offers=[offer]), child]


def imported(path: Path, *documents: Json) -> tuple[Installation, str]:
    site, here = OperatorSite(), Installation()
    site.publish(*documents)
    return here, here.take(site, defaults=read_defaults(path))


def test_plain_open_data_becomes_bookable_with_a_file(tmp_path: Path) -> None:
    here, printed = imported(written(tmp_path, WHOLE), *plain_open_data())
    assert "not bookable:" not in printed and "Left out" not in printed
    listing, capacity = here.world.store.listings([SESSION])[SESSION]
    assert capacity is not None and capacity.spaces_left == 12
    opportunity = listing.opportunity
    assert opportunity.starts_at is not None
    assert opportunity.starts_at.isoformat() == "2031-07-01T09:00:00+00:00"  # in summer
    [offer] = opportunity.offers
    assert (offer.prepayment, offer.currency, offer.allows_cancellation) == ("Required", "GBP", True)
    assert (str(offer.closes_before), str(offer.cancellable_until_before)) == ("2:00:00", "1 day, 0:00:00")
    seller = here.world.store.seller(SELLER["@id"])
    assert seller is not None and seller.tax_rate is not None
    assert (seller.tax_mode, seller.tax_rate.rate) == ("TaxGross", Decimal("0.20"))
    assert seller.access_methods == (AccessMethod.code, AccessMethod.barcode)
    assert seller.document["legalName"] == "Acme Fitness Limited"
    assert seller.document["address"]["streetAddress"] == "2 Low Street"
    assert seller.document["termsOfService"][0]["requiresExplicitConsent"] is True
    assert here.book(SESSION).status == 201


def test_a_free_offer_gets_no_prepayment(tmp_path: Path) -> None:
    parent, child = plain_open_data()
    parent["offers"][0]["price"] = 0
    here, _ = imported(written(tmp_path, WHOLE), parent, child)
    [offer] = here.world.store.listings([SESSION])[SESSION][0].opportunity.offers
    assert (offer.price, offer.prepayment) == (0, None)


def test_what_is_left_out_with_its_parent_has_the_advice_of_the_parent(tmp_path: Path) -> None:
    _, printed = imported(written(tmp_path, ""), *plain_open_data())
    assert "its superEvent is left out: its organizer or provider states no taxMode" in printed
    assert "set taxMode in" in printed
    assert "Publish what it belongs to" not in printed


def test_the_source_is_believed_where_it_speaks(tmp_path: Path) -> None:
    stated = {
        "@type": "Offer",
        "@id": f"{SERIES}#/offers/0",
        "name": "Adult",
        "price": 7,
        "priceCurrency": "EUR",
        "prepayment": "https://openactive.io/Optional",
        "allowCustomerCancellationFullRefund": False,
        "latestCancellationBeforeStartDate": "P2D",
    }
    here, _ = imported(written(tmp_path, WHOLE), series(1, offers=[stated]), session(1, of=1, spaces=3))
    listing, capacity = here.world.store.listings([SESSION])[SESSION]
    assert capacity is not None and capacity.spaces_left == 3
    [offer] = listing.opportunity.offers
    assert (offer.prepayment, offer.currency, offer.allows_cancellation) == ("Optional", "EUR", False)
    assert offer.cancellable_until_before is not None and offer.cancellable_until_before.days == 2


def test_what_the_source_forbids_is_not_sold_with_any_default(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE)
    here, _ = imported(path, series(1, organizer={**SELLER, "isOpenBookingAllowed": False}), session(1, of=1))
    assert here.on_sale(SESSION) == []


@pytest.mark.parametrize(
    ("default", "stated", "said"),
    [
        ('taxMode = "TaxNet"', {}, "taxMode of the seller https://operator.example/sellers/1 is TaxNet"),
        (
            "isOpenBookingAllowed = true",
            {"isOpenBookingAllowed": False},
            "but the source states false. Correct the file of defaults, or the source. Nothing was changed.",
        ),
    ],
)
def test_a_default_for_one_seller_that_contradicts_the_source_is_refused(
    tmp_path: Path, default: str, stated: Json, said: str
) -> None:
    path = written(tmp_path, f'[sellers."{SELLER["@id"]}"]\n{default}\n')
    with pytest.raises(ImportRefused, match=r"The defaults say that") as raised:
        imported(path, series(1, organizer={**SELLER, **stated}), session(1, of=1))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("stated", "closes"),
    [
        ("2031-04-30", "2031-04-30T23:00:00+00:00"),  # the end of the day in summer
        ("2031-04-30T12:00:00", "2031-04-30T11:00:00+00:00"),
        ("2031-04-30T12:00:00Z", "2031-04-30T12:00:00+00:00"),
    ],
)
def test_days_and_times_without_a_zone_are_those_of_the_source(
    tmp_path: Path, stated: str, closes: str
) -> None:
    """The feed shows the zone, too (RPDE-14)."""
    windowed = {"@type": "Offer", "name": "Adult", "price": 5, "priceCurrency": "GBP", "validThrough": stated}
    here, _ = imported(written(tmp_path, WHOLE), series(1, offers=[windowed]), session(1, of=1))
    listing = here.listing(SESSION)
    assert listing is not None
    [offer] = listing.opportunity.offers
    assert offer.closes_at is not None and offer.closes_at.isoformat() == closes
    assert datetime.fromisoformat(offer.document["validThrough"]).astimezone(UTC) == offer.closes_at


@pytest.mark.parametrize("stated", ["9999-12-31", "soon", 7])
def test_what_is_no_day_stays_unknown(tmp_path: Path, stated: Any) -> None:
    windowed = {"@type": "Offer", "name": "Adult", "price": 5, "priceCurrency": "GBP", "validThrough": stated}
    here, _ = imported(written(tmp_path, WHOLE), series(1, offers=[windowed]), session(1, of=1))
    assert here.on_sale(SESSION) == []


def test_sessions_without_offers_get_those_of_the_file(tmp_path: Path) -> None:
    here, _ = imported(written(tmp_path, WHOLE), series(1, offers=[]), session(1, of=1))
    assert here.on_sale(SESSION) == ["Place"]
    listing = here.listing(SESSION)
    assert listing is not None
    [offer] = listing.opportunity.offers
    assert offer.price == Decimal("5.5") and offer.id.startswith(f"{SESSION}#/offers/")
    assert here.book(SESSION).status == 201


def test_offers_of_the_file_have_the_terms_for_all_offers_and_their_own_come_first(tmp_path: Path) -> None:
    text = """
        [offer]
        priceCurrency = "GBP"
        openBookingPrepayment = "Required"
        latestCancellationBeforeStartDate = "P1D"
        allowCustomerCancellationFullRefund = true

        [[opportunity.offers]]
        name = "Adult"
        price = "5.50"

        [[opportunity.offers]]
        name = "Free"
        price = 0
        latestCancellationBeforeStartDate = "PT2H"
    """
    made = read_defaults(written(tmp_path, text)).completed_opportunity(
        {"@type": "ScheduledSession"}, OpportunityType.ScheduledSession, has_offers=False
    )
    adult, free = made["offers"]
    assert adult["priceCurrency"] == "GBP"
    assert adult["latestCancellationBeforeStartDate"] == "P1D"
    assert adult["allowCustomerCancellationFullRefund"] is True
    assert adult["openBookingPrepayment"].endswith("Required")
    assert free["latestCancellationBeforeStartDate"] == "PT2H"
    assert "openBookingPrepayment" not in free


def test_tax_may_depend_on_the_offer_or_the_category(tmp_path: Path) -> None:
    offers = [
        {"@type": "Offer", "name": name, "price": 12, "priceCurrency": "GBP"} for name in ("Adult", "Junior")
    ]
    swimming = {"@type": "Concept", "prefLabel": "Swimming"}
    path = written(tmp_path, WHOLE)
    for activity, expected in (([], [None, Decimal(0)]), ([swimming], [Decimal("0.05"), Decimal(0)])):
        here, _ = imported(path, series(1, offers=offers, activity=activity), session(1, of=1))
        listing = here.listing(SESSION)
        assert listing is not None
        rates = [offer.tax_rate and offer.tax_rate.rate for offer in listing.opportunity.offers]
        assert rates == expected


def test_required_details_and_forms_are_asked_for_where_an_offer_requires_them(tmp_path: Path) -> None:
    needs = ["OpenBookingAttendeeDetails", "OpenBookingIntakeForm"]
    asking = {"@type": "Offer", "name": "Adult", "price": 5, "priceCurrency": "GBP"}
    asking["openBookingFlowRequirement"] = needs
    path = written(tmp_path, WHOLE)
    here, _ = imported(path, series(1, offers=[asking]), session(1, of=1), series(2), session(2, of=2))
    quoted = here.quote(SESSION).json["orderedItem"][0]
    assert quoted["attendeeDetailsRequired"] == [
        "https://schema.org/givenName",
        "https://schema.org/telephone",
    ]
    [form] = quoted["orderItemIntakeForm"]
    assert (form["@type"], form["valueOption"]) == ("DropdownFormFieldSpecification", ["yes", "no"])
    other = here.listing(f"{BASE}/scheduled-sessions/2")
    assert other is not None and not other.opportunity.intake_form


def test_spaces_may_start_at_the_capacity(tmp_path: Path) -> None:
    child = session(1, of=1, maximumAttendeeCapacity=7)
    del child["remainingAttendeeCapacity"]
    here, _ = imported(written(tmp_path, '[opportunity]\nspaces = "maximum"\n'), series(1), child)
    assert here.world.store.listings([SESSION])[SESSION][1].spaces_left == 7  # type: ignore[union-attr]


def test_a_seller_without_an_id_may_get_the_one_of_the_file(tmp_path: Path) -> None:
    nameless = {key: value for key, value in SELLER.items() if key != "@id"}
    path = written(tmp_path, f'[seller]\nid = "{SELLER["@id"]}"\nname = "{SELLER["name"]}"\n')
    here, _ = imported(path, series(1, organizer=nameless), session(1, of=1))
    assert here.book(SESSION).status == 201
    with pytest.raises(ImportRefused, match="without an @id called Other"):
        imported(path, series(1, organizer={**nameless, "name": "Other"}), session(1, of=1))


def test_a_seller_that_is_only_named_by_its_id_gets_its_details_from_the_file(tmp_path: Path) -> None:
    text = f"""
[sellers."{SELLER["@id"]}"]
name = "Acme"
taxMode = "TaxGross"
isOpenBookingAllowed = true
address = {{ streetAddress = "{ADDRESS["streetAddress"]}" }}
"""
    here, _ = imported(written(tmp_path, text), series(1, organizer=SELLER["@id"]), session(1, of=1))
    assert here.book(SESSION).status == 201


def test_defaults_apply_to_what_is_embedded(tmp_path: Path) -> None:
    organizer = {"@type": "Organization", "@id": SELLER["@id"], "name": "Acme", "address": ADDRESS}
    whole = {"@type": "FacilityUse", "@id": f"{BASE}/facility-uses/1", "name": "Hall", "provider": organizer}
    text = '[seller]\ntaxMode = "TaxGross"\nisOpenBookingAllowed = true\n[offer]\npriceCurrency = "GBP"\n'
    offer = {"@type": "Offer", "name": "Hire", "price": 3}
    here, _ = imported(written(tmp_path, text), slot(1, "", facilityUse=whole, offers=[offer]))
    assert here.book(f"{BASE}/slots/1").status == 201


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seller = 1", "seller must be a table"),
        ("sellers = 1", "sellers must be a table"),
        ("colour = 1", "the file has the unknown colour; known are"),
        ("[seller]\ntax = 1", r"\[seller\] has the unknown tax"),
        ('[seller]\ntaxMode = "gross"', r"\[seller\] taxMode must be one of TaxGross, TaxNet"),
        ("[seller]\ntaxMode = 1", "must be one of"),
        ('[seller]\nisOpenBookingAllowed = "yes"', "must be true or false"),
        ("[seller]\nname = 1", "name must be a text"),
        ('[seller]\nid = "https://a.example/1"', "needs the name"),
        ('[seller]\nid = "1"\nname = "A"', "must be a URL"),
        ('[seller]\naddress = "here"', "address must be a table"),
        ("[seller.address]\nstreet = 1", r"\[seller\] address has the unknown street"),
        ("[seller.address]\npostalCode = 1", "postalCode must be a text"),
        ("[seller]\ntermsOfService = 1", "must be a list of tables"),
        ('[[seller.termsOfService]]\nname = "a"', "need a name and a url"),
        ('[[seller.termsOfService]]\nname = "a"\nurl = "b"\ntype = "Law"', "the type is Terms"),
        ('[sellers.acme]\nname = "a"', r"\[sellers\] needs the URL"),
        ('[offer]\nopenBookingPrepayment = "Sometimes"', "must be one of Required"),
        ('[offer]\nvalidFromBeforeStartDate = "soon"', "must be a duration"),
        ("[offer]\nvalidFromBeforeStartDate = 1", "must be a duration"),
        ('[offer]\npriceCurrency = "pounds"', "ISO 4217"),
        ("[offer]\nprice = 5", "has the unknown price"),
        ("[opportunity]\nspaces = 0", "whole number from 1"),
        ("[opportunity]\nspaces = true", "whole number from 1"),
        ("[[opportunity.offers]]\nprice = 1", "needs a name and a price"),
        ('[[opportunity.offers]]\nname = "a"\nprice = "free"', "must be an amount"),
        ('[[opportunity.offers]]\nname = "a"\nprice = 1', "needs a priceCurrency"),
        ('vat_rate = "20"', "must be a fraction"),
        ('[[vat]]\nrate = "0.1"', "needs a rate, and offers or categories"),
        ('[[vat]]\nrate = "0.1"\noffers = [1]', "must be a list of texts"),
        ('access_methods = ["key"]', "access_methods are code, image, barcode"),
        ('attendee_details = ["shoeSize"]', "attendee_details are givenName"),
        ('[[intake_form]]\nname = "a"', "needs an id"),
        ('[[intake_form]]\nid = "https://a.example/1"\nname = "a"\ntype = "long"', "the type is one of"),
        (
            '[[intake_form]]\nid = "https://a.example/1"\nname = "a"\noptions = ["a"]',
            "a dropdown needs options",
        ),
        (
            '[[intake_form]]\nid = "https://a.example/1"\nname = "a"\ntype = "boolean"\nrequired = true',
            "cannot be required",
        ),
        ('time_zone = "London"', "must be a name such as Europe/London"),
        ("time_zone = 1", "must be a name such as Europe/London"),
        ('max_leaving = "2"', "must be a share from 0 to 1"),
        ('max_leaving = "much"', "must be a share from 0 to 1"),
        ("[", "cannot be read"),
        ('[seller]\nname = "a"\n[offer]\n[seller]', r"\[seller\] is there twice .*: put all its lines below"),
        ("[offer]\npriceCurrency = GBP", "a text needs quotes"),
        (
            '[offer]\nattendee_details = ["email"]',
            "has attendee_details, which belongs at the top of the file",
        ),
        ('[seller]\ntaxmode = "TaxNet"', "Did you mean taxMode?"),
        ('[ofer]\npriceCurrency = "GBP"', "Did you mean offer?"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DefaultsError, match=said):
        read_defaults(written(tmp_path, text))


def test_a_file_that_is_missing_refuses_the_import(tmp_path: Path) -> None:
    with pytest.raises(
        ImportRefused, match=r"cannot be read from \S+/nothing.toml: No such file or directory"
    ):
        read_or_refuse(tmp_path / "nothing.toml")


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    documents: Any = [series(1), session(1, of=1)]
    here, _ = imported(written(tmp_path, ""), *documents)
    assert here.on_sale(SESSION)


# --- items without a Seller ----------------------------------------------------------------

FOR_ALL = f"""
[seller]
id = "{SELLER["@id"]}"
name = "Acme Fitness Ltd"
taxMode = "TaxGross"
isOpenBookingAllowed = true
for_items_without_seller = true
address = {{ streetAddress = "1 High Street", postalCode = "OX1 1AA" }}
"""


def test_items_that_name_no_seller_may_get_the_one_of_the_file(tmp_path: Path) -> None:
    hall = facility_use(1, 2, provider=None)
    here, printed = imported(
        written(tmp_path, FOR_ALL),
        *(
            series(1, organizer=None),
            session(1, of=1),
            session(2, of=9, superEvent=series(9, organizer=None)),
        ),
        *(hall, slot(1, unit_id(1, 2))),
    )
    assert "Left out" not in printed and "without effect" not in printed
    assert here.book(SESSION).status == here.book(session(2, of=1)["@id"]).status == 201
    assert here.book(slot(1, "")["@id"]).status == 201
    published = here.listing(hall["@id"])
    assert published is not None and published.opportunity.document["provider"]["@id"] == SELLER["@id"]


def test_the_seller_of_the_file_takes_no_item_that_names_another(tmp_path: Path) -> None:
    other = {**SELLER, "@id": f"{BASE}/sellers/2"}
    here, _ = imported(
        written(tmp_path, FOR_ALL), series(1, organizer=other), session(1, of=1), series(2, organizer=None)
    )
    listing = here.listing(SESSION)
    assert listing is not None and listing.opportunity.seller_id == other["@id"]


def test_without_that_default_the_advice_names_it(tmp_path: Path) -> None:
    _, printed = imported(written(tmp_path, ""), series(1, organizer=None))
    assert "it has no organizer or provider" in printed and "for_items_without_seller = true" in printed


# --- defaults that match nothing -----------------------------------------------------------

MISSPELT = f"""
[seller]
id = "{BASE}/sellers/none"
name = "Acme Fitness Ltd"

[sellers."{BASE}/Sellers/1"]
email = "info@operator.example"

[[vat]]
rate = "0.05"
offers = ["Adult", "Aduult", "Guest"]
categories = ["Yoga", "Yogga"]

[[opportunity.offers]]
name = "Guest"
price = 5
priceCurrency = "GBP"
"""


def unmatched_of(tmp_path: Path, suffix: str, text: str = MISSPELT, **changes: Any) -> str:
    site, report = OperatorSite(), tmp_path / f"report{suffix}"
    named = {**offer(f"{BASE}/session-series/1"), "name": "Adult"}
    site.publish(series(1, offers=[named], activity=[{"prefLabel": "Yoga"}], **changes), session(1, of=1))
    Installation().take(site, report=report, defaults=read_defaults(written(tmp_path, text)))
    return report.read_text()


def test_defaults_that_match_nothing_are_reported(tmp_path: Path) -> None:
    found = [
        each
        for each in json.loads(unmatched_of(tmp_path, ".json"))["entries"]
        if "default" in each["outcome"]
    ]
    assert [(each["type"], each["id"].removeprefix(BASE)) for each in found] == [
        ("[sellers]", "/Sellers/1"),
        ("[seller] id", "/sellers/none"),
        ("[[vat]] offers", "Aduult"),
        ("[[vat]] categories", "Yogga"),
    ]
    assert found[0]["reason"] == "no item of this source names this Seller: check the spelling"
    assert found[0]["advice"] == f"Correct it, or remove it. The source has {BASE}/sellers/1."
    assert found[2]["advice"] == "Correct it, or remove it. The source has Adult."
    assert f"default without effect,[sellers],{BASE}/Sellers/1," in unmatched_of(tmp_path, ".csv")


def test_defaults_that_match_nothing_are_printed(tmp_path: Path) -> None:
    _, printed = imported(written(tmp_path, MISSPELT), *plain_open_data())
    assert "Defaults without effect:" in printed
    assert (
        f"  [sellers] {BASE}/Sellers/1: no item of this source names this Seller: check the spelling."
        in printed
    )


def test_a_seller_that_only_an_item_that_is_left_out_names_is_no_mistake(tmp_path: Path) -> None:
    text = f'[sellers."{SELLER["@id"]}"]\nemail = "info@operator.example"\n'
    silent = {term: value for term, value in SELLER.items() if term != "taxMode"}
    assert "without effect" not in unmatched_of(tmp_path, ".json", text, organizer=silent)


def test_nothing_is_called_a_mistake_where_a_feed_could_not_be_read(tmp_path: Path) -> None:
    site = OperatorSite()
    site.publish(series(1), session(1, of=1))
    site.faults["/feeds/FacilityUse"] = [httpx.Response(404)]
    assert "without effect" not in Installation().take(
        site, defaults=read_defaults(written(tmp_path, MISSPELT))
    )
