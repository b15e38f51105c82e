"""A source that is broken takes nothing off sale, and a site speaks only for what it has brought in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from chalicelib.domain.parties import Json
from chalicelib.importing.defaults import Defaults
from chalicelib.importing.rpde import ImportRefused
from chalicelib.importing.sale import Leaving
from chalicelib.wire.sellers import read_seller
from tests.importing.booking import Installation
from tests.importing.site import BASE, SELLER, OperatorSite, series, session

TEN = range(1, 11)


def sessions(numbers: range = TEN, **changes: Any) -> list[Json]:
    return [session(number, of=1, **changes) for number in numbers]


@pytest.fixture
def site() -> OperatorSite:
    site = OperatorSite(page_size=5)
    site.publish(series(1), *sessions())
    return site


@pytest.fixture
def here(site: OperatorSite) -> Installation:
    here = Installation()
    here.take(site)
    return here


def on_sale(here: Installation) -> int:
    return sum(bool(here.on_sale(each["@id"])) for each in sessions())


def refused(here: Installation, site: OperatorSite, **options: Any) -> str:
    with pytest.raises(ImportRefused) as raised:
        here.take(site, **options)
    assert on_sale(here) == 10  # nothing was changed
    return str(raised.value)


@pytest.mark.parametrize(
    "how", ["empty", "deleted", "no tax mode", "no price", "forbidden", "no address", "unreadable"]
)
def test_a_source_that_suddenly_sells_nothing_must_be_confirmed(
    here: Installation, site: OperatorSite, how: str
) -> None:
    """For whatever reason it would leave sale, also if no item has left the feed."""
    if how == "empty":
        for each in (series(1), *sessions()):
            site.forget(each)
    elif how == "deleted":
        site.delete(*sessions())
    elif how == "no price":
        site.publish(series(1, offers=[]))
    elif how == "unreadable":
        site.publish(*sessions(startDate="soon"))
    else:
        term = {"no tax mode": "taxMode", "forbidden": "isOpenBookingAllowed", "no address": "address"}[how]
        site.publish(series(1, organizer={**SELLER, term: False if how == "forbidden" else None}))
    said = refused(here, site)
    assert said == (
        "10 of the 10 opportunities on sale (100 %) would leave sale, more than 10 %. Nothing was changed."
        " --dry-run shows why. This import had no defaults: where an earlier one had a file of them, give it again with"
        " --defaults. If the source is right, import it again with --confirm-leaving."
    )
    printed = here.take(site, is_dry_run=True)
    assert "It would be refused: 10 of the 10 opportunities on sale (100 %) would leave sale" in printed
    assert on_sale(here) == 10
    here.take(site, is_confirmed=True)
    assert on_sale(here) == 0


def test_the_share_that_may_leave_sale_is_a_setting(here: Installation, site: OperatorSite) -> None:
    """The option, or else the source's own limit, or else 10 %."""
    site.delete(*sessions(range(1, 3)))
    assert "2 of the 10 opportunities on sale (20 %)" in refused(here, site)
    refused(here, site, defaults=Defaults(max_leaving=Decimal("0.19")))
    refused(here, site, max_leaving=Decimal(0), defaults=Defaults(max_leaving=Decimal(1)))
    here.take(site, defaults=Defaults(max_leaving=Decimal("0.20")))
    assert on_sale(here) == 8


def test_a_tenth_may_leave_sale(here: Installation, site: OperatorSite) -> None:
    site.delete(session(1, of=1))
    here.take(site)
    assert on_sale(here) == 9


def test_what_is_over_or_not_on_sale_does_not_count(here: Installation, site: OperatorSite) -> None:
    past = {"startDate": "2020-05-01T10:00:00Z", "endDate": "2020-05-01T11:00:00Z"}
    more = [session(number, of=1, **past) for number in range(20, 40)]
    site.publish(*more)
    here.take(site)
    site.delete(*more)
    here.take(site)
    assert on_sale(here) == 10


def test_what_the_source_cancels_is_cancelled_at_once(here: Installation, site: OperatorSite) -> None:
    """It is said of each session, and those who have booked must learn it."""
    site.publish(*sessions(eventStatus="https://schema.org/EventCancelled"))
    here.take(site)
    assert on_sale(here) == 0


@pytest.mark.parametrize(
    ("before", "leaving", "is_refused"),
    [
        (0, 0, False),
        (10, 1, False),
        (10, 2, True),
        (1, 1, True),
        (1000, 100, False),
        (1000, 101, True),
        (5, 0, False),
    ],
)
def test_the_limit_is_exact(before: int, leaving: int, is_refused: bool) -> None:
    assert (Leaving(before, leaving).why_refused(Decimal("0.10")) is not None) is is_refused


def test_all_may_leave_sale_only_if_confirmed() -> None:
    assert Leaving(3, 3).why_refused(Decimal(1)) is not None


def test_a_dead_feed_does_not_count(here: Installation, site: OperatorSite) -> None:
    site.faults["/feeds/ScheduledSession"] = [httpx.Response(410)]
    printed = here.take(site)
    assert "10 ScheduledSession of an earlier import are kept: not all feeds could be read." in printed
    assert on_sale(here) == 10


def test_a_dry_run_writes_nothing_and_says_what_would_be(here: Installation, site: OperatorSite) -> None:
    site.publish(session(1, of=1, name="New name"), session(99, of=1))
    site.delete(session(2, of=1))
    before = {each["@id"]: here.listing(each["@id"]) for each in sessions()}
    printed = here.take(site, is_dry_run=True)
    row = next(line for line in printed.splitlines() if line.startswith("ScheduledSession  "))
    # pages, harvested, added, changed, unchanged, withdrawn, left out, not bookable
    assert [int(cell) for cell in row.split()[1:]][1:] == [10, 1, 1, 8, 1, 0, 0]
    assert "Dry run: nothing was written." in printed and "To be withdrawn:" in printed
    assert {each["@id"]: here.listing(each["@id"]) for each in sessions()} == before
    assert here.listing(session(99, of=1)["@id"]) is None


def test_a_dry_run_of_a_new_source_writes_no_seller(site: OperatorSite) -> None:
    here = Installation()
    tried = here.take(site, is_dry_run=True)
    assert "Sellers: 1 added." in tried
    assert "prices include tax" in tried
    assert here.world.store.seller(SELLER["@id"]) is None


# --- whose it is ------------------------------------------------------------------------------


def test_a_site_may_not_sell_in_the_name_of_another_sites_seller(here: Installation) -> None:
    other = OperatorSite()
    other.publish(series(7), session(77, of=7))
    printed = here.take(other, source="other")
    assert f"its Seller {SELLER['@id']} belongs to another source" in printed
    assert here.listing(session(77, of=7)["@id"]) is None
    shared = Defaults(shared_sellers=frozenset({SELLER["@id"]}))
    here.take(other, source="other", defaults=shared)
    assert here.on_sale(session(77, of=7)["@id"])


def test_what_is_reported_as_bookable_depends_on_the_seller_as_it_is_stored() -> None:
    """A command has added it, so the import does not change it."""
    bare = {name: value for name, value in SELLER.items() if name != "address"}
    site, here = OperatorSite(), Installation()
    site.publish(series(1), session(1, of=1))
    here.world.store.save_seller(read_seller(bare))
    printed = here.take(site)
    assert "incomplete: address" in printed and here.on_sale(session(1, of=1)["@id"]) == []


def test_a_site_may_not_take_over_what_another_has_withdrawn(here: Installation, site: OperatorSite) -> None:
    """Orders may still hold it."""
    site.delete(session(1, of=1))
    here.take(site)
    theirs = {**SELLER, "@id": f"{BASE}/sellers/2"}
    other = OperatorSite()
    other.publish(series(7, organizer=theirs), session(1, of=7))
    printed = here.take(other, source="other")
    assert "it belongs to another source" in printed and "import it with --source" in printed
    listing = here.listing(session(1, of=1)["@id"])
    assert listing is not None and listing.deleted


def test_sessions_that_were_only_embedded_are_withdrawn_with_their_place() -> None:
    """There is no feed of them, so it is their series' feed that says they are gone."""
    site, here = OperatorSite(), Installation()
    del site.listed["ScheduledSession"]
    embedded = [{key: value for key, value in each.items() if key != "superEvent"} for each in sessions()]
    site.publish(series(1, subEvent=embedded))
    here.take(site)
    assert on_sale(here) == 10
    site.publish(series(1, subEvent=embedded[1:]))
    here.take(site)
    assert on_sale(here) == 9
    site.publish(series(1, subEvent=[]))
    here.take(site, is_confirmed=True)
    assert on_sale(here) == 0
