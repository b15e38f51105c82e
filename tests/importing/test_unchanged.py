"""An item that is stored as it would be read now is not read again, and everything else of it is as if it were."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.source_counts import CounterMode
from chalicelib.importing.defaults import Defaults
from chalicelib.importing.rpde import Imported, ImportOptions, import_rpde
from chalicelib.importing.stored import digest_of_terms
from chalicelib.services.inventory import Outcome
from chalicelib.values import replace
from tests.importing.site import (
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
from tests.support.builders import AT_ONCE
from tests.support.world import World

KINDS = ("SessionSeries", "ScheduledSession", "FacilityUse", "Slot")


class Installation:
    def __init__(self, site: OperatorSite) -> None:
        self.world, self.site = World(), site

    def take(self, **options: Any) -> Imported:
        return import_rpde(
            self.world.system.inventory,
            ImportOptions(self.site.url, is_confirmed=True, **options),
            retry=AT_ONCE,
            web=self.site.web,
            now=lambda: self.world.clock.now,
        )

    def versions(self) -> dict[str, int]:
        return {each.opportunity.id: each.version for each in self.world.store.imported_from(self.site.url)}


@pytest.fixture
def site() -> OperatorSite:
    site = OperatorSite(page_size=5)
    site.publish(series(1), *(session(number, of=1) for number in range(1, 5)))
    site.publish(facility_use(1, 1, 2), slot(1, of=unit_id(1, 1)), slot(2, of=unit_id(1, 2)))
    return site


@pytest.fixture
def here(site: OperatorSite) -> Installation:
    here = Installation(site)
    assert here.take().intake.not_read_again == 0
    return here


def outcomes(imported: Imported) -> dict[str, int]:
    counts: dict[str, int] = {}
    for (_, outcome), number in imported.changes.outcomes.items():
        counts[outcome.value] = counts.get(outcome.value, 0) + number
    return counts


def test_nothing_is_read_again_where_nothing_has_changed(here: Installation) -> None:
    before = here.versions()
    again = here.take()
    assert again.intake.not_read_again == 6
    assert outcomes(again) == {"unchanged": 8}
    assert here.versions() == before


def test_a_new_number_of_spaces_is_no_change(here: Installation, site: OperatorSite) -> None:
    site.publish(session(1, of=1, spaces=3))
    again = here.take()
    assert (again.intake.not_read_again, outcomes(again)) == (6, {"unchanged": 8})


@pytest.mark.parametrize("spaces", [None, "many", True, 10**10, 2.5])
def test_a_number_of_spaces_that_cannot_be_read_is_read_again(
    here: Installation, site: OperatorSite, spaces: Any
) -> None:
    site.publish(session(1, of=1, remainingAttendeeCapacity=spaces))
    again = here.take()
    assert again.intake.not_read_again == 5
    assert (outcomes(again)["withdrawn"], len(again.intake.left_out)) == (1, 1)


def test_only_what_has_changed_is_read_again(here: Installation, site: OperatorSite) -> None:
    site.publish(session(1, of=1, name="Moved"))
    again = here.take()
    assert (again.intake.not_read_again, outcomes(again)) == (5, {"unchanged": 7, "changed": 1})


def test_children_are_read_again_if_their_parent_has_changed(here: Installation, site: OperatorSite) -> None:
    site.publish(series(1, offers=[offer(f"{BASE}/session-series/1", 9.0)]))
    again = here.take()
    assert (again.intake.not_read_again, outcomes(again)) == (2, {"unchanged": 3, "changed": 5})


def test_what_children_do_not_keep_of_their_parent_changes_no_child(
    here: Installation, site: OperatorSite
) -> None:
    before = here.versions()
    site.publish(series(1, organizer={**SELLER, "telephone": "01865 1"}))
    again = here.take()
    assert again.intake.not_read_again == 2
    assert {each: before[each] for each in before if "scheduled" in each}.items() <= here.versions().items()


def test_other_options_and_defaults_read_everything_again(here: Installation) -> None:
    assert here.take(vat_rate=Decimal("0.05")).intake.not_read_again == 0
    # What is stored was made with the earlier rate, and is the same.
    assert here.take().intake.not_read_again == 6
    prepaid = Defaults(offer={"openBookingPrepayment": "https://openactive.io/Required"})
    changed = here.take(defaults=prepaid)
    assert (changed.intake.not_read_again, changed.changes.outcomes["Slot", Outcome.changed]) == (0, 2)
    assert here.take(defaults=prepaid).intake.not_read_again == 6


def test_the_digest_of_terms_does_not_depend_on_the_order_of_sets() -> None:
    one = Defaults(shared_sellers=frozenset({"a", "b", "c"}))
    other = replace(one, shared_sellers=frozenset({"c", "a", "b"}))
    assert digest_of_terms(one, None, None) == digest_of_terms(other, None, None)
    assert digest_of_terms(one, None, None) != digest_of_terms(Defaults(), None, None)


def test_the_report_says_the_same_of_what_is_not_read_again(site: OperatorSite) -> None:
    site.publish(session(1, of=1, offers=[offer(f"{BASE}/scheduled-sessions/1", "free")]))
    here = Installation(site)
    first, again = here.take(), here.take()
    assert again.intake.not_read_again == 6
    assert list(again.changes.not_bookable) == list(first.changes.not_bookable) != []


def test_the_seller_does_not_depend_on_what_is_read_again(site: OperatorSite) -> None:
    """Two series show other details of one Seller."""
    site.publish(series(2, organizer={**SELLER, "telephone": "01865 2"}), session(0, of=2))
    here = Installation(site)
    first = here.take()
    site.publish(session(4, of=1, name="Moved"))
    again = here.take()
    assert again.intake.not_read_again == 6
    assert again.intake.sellers == first.intake.sellers


def test_time_passes_for_what_is_not_read_again(here: Installation) -> None:
    assert here.take().changes.leaving.before == 6
    here.world.clock.now = datetime(2031, 5, 2, tzinfo=UTC)
    again = here.take()
    assert (again.intake.not_read_again, again.changes.leaving.before) == (6, 0)


def test_what_was_withdrawn_is_read_again(here: Installation, site: OperatorSite) -> None:
    site.delete(session(1, of=1))
    assert outcomes(here.take()) == {"unchanged": 7, "withdrawn": 1}
    site.publish(session(1, of=1))
    back = here.take()
    assert (back.intake.not_read_again, outcomes(back)) == (5, {"unchanged": 7, "changed": 1})


def test_numbers_that_count_are_read_again(here: Installation, site: OperatorSite) -> None:
    shared = Defaults(counter=CounterMode.shared)
    site.publish(session(1, of=1, spaces=3))
    again = here.take(defaults=shared)
    assert (again.intake.not_read_again, again.changes.recounted) == (0, 1)


def test_a_seller_of_another_source_keeps_its_items_out(here: Installation) -> None:
    sellers = here.world.store._sellers
    sellers[SELLER["@id"]] = replace(sellers[SELLER["@id"]], source="another")
    again = here.take()
    assert again.intake.not_read_again == 6
    assert len(again.changes.left_out) == 8
    assert outcomes(again) == {"withdrawn": 8}


def test_a_course_still_takes_spaces_of_a_session_that_is_not_read_again(site: OperatorSite) -> None:
    """It lists a session of a series, and changes itself: its link with the session stays."""
    site.list_feed("CourseInstance")
    shown = {term: value for term, value in session(1, of=1).items() if term != "superEvent"}
    first, course_id = shown["@id"], f"{BASE}/courses/1"
    course = {
        **shown,
        "@type": "CourseInstance",
        "@id": course_id,
        "name": "Course",
        "organizer": SELLER,
        "offers": [offer(course_id, 20.0)],
        "subEvent": [first],
    }
    site.publish(course)
    here = Installation(site)
    here.take()
    site.publish({**course, "name": "Another name"})
    again = here.take()
    assert (again.intake.not_read_again, outcomes(again)["changed"]) == (6, 1)
    found, _ = here.world.store.listings([course_id])[course_id]
    stored = found.opportunity
    assert (stored.name, stored.sub_events) == ("Another name", (first,))


@pytest.mark.parametrize("changes", [{"spaces": -2}, {"spaces": 9, "maximumAttendeeCapacity": 8}])
def test_a_number_of_spaces_that_cannot_be_right_is_reported_as_long_as_it_is_stated(
    here: Installation, site: OperatorSite, changes: Any
) -> None:
    def said(imported: Imported) -> list[str]:
        return [each.text for each in imported.changes.not_bookable]

    site.publish(session(1, of=1, **changes), session(9, of=1, **changes))
    first, again = here.take(), here.take()
    assert said(again) == said(first) and len(said(first)) == 2
    site.publish(session(1, of=1), session(9, of=1))
    assert said(here.take()) == []


def test_a_sloppy_item_costs_its_seller_no_detail_and_no_write(site: OperatorSite) -> None:
    whole = {**SELLER, "telephone": "01865 1", "url": "https://acme.example"}
    site.publish(series(1, organizer=whole))
    here = Installation(site)
    here.take()
    site.publish(series(2, organizer={"@id": SELLER["@id"], "taxMode": SELLER["taxMode"]}), session(9, of=2))
    again = here.take()
    assert again.changes.sellers == {Outcome.unchanged: 1}
    stored = here.world.store.seller(SELLER["@id"])
    assert stored is not None and stored.document["telephone"] == "01865 1"
