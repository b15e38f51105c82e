"""Which Opportunities a sandbox has, and that each meets its criterion, judged from the feeds alone."""

from __future__ import annotations

from collections import Counter

import pytest

from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.sandbox.criteria import CRITERIA
from chalicelib.sandbox.opportunities import ids
from chalicelib.sandbox.plan import (
    NEEDED_BY_SUITE,
    NEEDED_OF_SECOND_SELLER,
    SURPLUS,
    Answer,
    Place,
    Size,
    label,
    places,
)
from chalicelib.sandbox.requests import BookingFlow, TestOpportunityRequest
from chalicelib.wire.opportunities import feed_data
from tests.support import criteria as judged
from tests.support.world import World, seller_id

FLOWS = tuple(BookingFlow)
TYPES = tuple((kind, parent) for kind in OpportunityType for parent in kind.traits.test_names.values())
# An Opportunity of a facility is never online, one unit never has five spaces, and what has no start no windows.
IMPOSSIBLE = {
    ("TestOpportunityOnlineBookable", OpportunityType.Slot, "FacilityUse"),
    ("TestOpportunityOnlineBookable", OpportunityType.Slot, "IndividualFacilityUse"),
    ("TestOpportunityBookableFiveSpaces", OpportunityType.Slot, "IndividualFacilityUse"),
    ("TestOpportunityOfflineBookable", OpportunityType.OnDemandEvent, None),
    *(
        (f"TestOpportunityBookable{each}", OpportunityType.OnDemandEvent, None)
        for each in (
            "NoSpaces",
            "OneSpace",
            "FiveSpaces",
            "InPast",
            "WithinValidFromBeforeStartDate",
            "OutsideValidFromBeforeStartDate",
            "CancellableWithinWindow",
            "CancellableOutsideWindow",
        )
    ),
}


def all_shown(world: World) -> dict[tuple[str, OpportunityType, str | None, BookingFlow], list[bool]]:
    """Of each combination, whether its Opportunities meet the criterion and the flow in the feeds."""
    found: dict[tuple[str, OpportunityType, str | None, BookingFlow], list[bool]] = {}
    for place, listing, capacity in world.system.sandbox.contents():
        assert listing is not None and capacity is not None
        parent_id = ids(place.request, place.number)[1]
        parent = None
        if parent_id is not None:
            parent = feed_data(world.store.listings([parent_id])[parent_id][0].opportunity, None)
        shown = judged.Shown(feed_data(listing.opportunity, capacity.spaces_shown), parent, world.now())
        request = place.request
        met = judged.CRITERIA[request.criteria](shown)
        is_right = met and shown.needs_approval is (request.flow is BookingFlow.OpenBookingApprovalFlow)
        key = (request.criteria, request.type, request.parent_type, request.flow)
        found.setdefault(key, []).append(is_right)
    return found


def test_the_judge_knows_every_criterion() -> None:
    assert set(judged.CRITERIA) == set(CRITERIA)


def test_every_criterion_type_and_flow_is_there_and_meets_it(world: World) -> None:
    sandbox = world.system.sandbox
    sandbox.plan(world.store.sellers(), Size(each=2))
    sandbox.fill()
    found = all_shown(world)
    wanted = {
        (criteria, kind, parent, flow)
        for criteria in CRITERIA
        for kind, parent in TYPES
        for flow in FLOWS
        if (criteria, kind, parent) not in IMPOSSIBLE
    }
    assert set(found) == wanted
    assert {key: met for key, met in found.items() if not all(met)} == {}
    assert min(map(len, found.values())) == 2


@pytest.mark.parametrize("days", [1, 3, 10])
def test_they_still_meet_it_after_days(world: World, days: int) -> None:
    sandbox = world.system.sandbox
    sandbox.plan(world.store.sellers(), Size(each=1))
    sandbox.fill()
    world.clock.advance(days=days)
    sandbox.fill()
    assert {key for key, met in all_shown(world).items() if not all(met)} == set()


def test_without_renewal_they_do_not(world: World) -> None:
    """What the test above would find."""
    sandbox = world.system.sandbox
    sandbox.plan(world.store.sellers(), Size(each=1))
    sandbox.fill()
    world.clock.advance(days=10)
    assert not all(met for each in all_shown(world).values() for met in each)


def test_for_the_suite_there_are_three_times_as_many_as_it_asks_for(world: World) -> None:
    made = Counter(
        (place.request.criteria, place.request.type, place.request.parent_type, place.request.flow)
        for place in places(world.store.sellers(), Size(for_suite=True), world.now())
        if place.request.seller_id == seller_id(1)
    )
    for name, number in NEEDED_BY_SUITE.items():
        for kind, parent in TYPES:
            if (name, kind, parent) not in IMPOSSIBLE and not name.endswith("TaxNet"):
                assert [made[name, kind, parent, flow] for flow in FLOWS] == [SURPLUS * number] * 2, name


def test_a_seller_of_net_prices_gets_what_is_asked_for_of_it(world: World) -> None:
    made = Counter(
        place.request.criteria
        for place in places(world.store.sellers(), Size(for_suite=True), world.now())
        if place.request.seller_id == seller_id(2)
    )
    expected = {
        name: SURPLUS * number * len(TYPES) * len(FLOWS) for name, number in NEEDED_OF_SECOND_SELLER.items()
    }
    assert made == expected


def test_for_the_suite_no_proposal_is_answered_automatically(world: World) -> None:
    """Its tests answer proposals themselves, and take any Opportunity that needs approval."""
    made = places(world.store.sellers(), Size(for_suite=True), world.now())
    assert not [place for place in made if place.answer]


def test_without_a_seller_there_is_nothing(world: World) -> None:
    assert list(places([], Size(), world.now())) == []


def test_a_type_can_be_left_out(world: World) -> None:
    size = Size(each=1, types=frozenset({"ScheduledSession"}))
    made = {place.request.type for place in places(world.store.sellers(), size, world.now())}
    assert made == {OpportunityType.ScheduledSession}


@pytest.mark.parametrize(
    ("criteria", "flow", "answer", "said"),
    [
        ("TestOpportunityBookable", FLOWS[0], None, "bookable"),
        ("TestOpportunityOnlineBookable", FLOWS[0], None, "online bookable"),
        ("TestOpportunityBookableNonFreeTaxNet", FLOWS[1], None, "non free tax net, needs approval"),
        ("TestOpportunityBookable", FLOWS[1], Answer.rejected, "proposals are rejected automatically"),
    ],
)
def test_a_name_says_what_is_special(
    criteria: str, flow: BookingFlow, answer: Answer | None, said: str
) -> None:
    request = TestOpportunityRequest(*TYPES[0], seller_id(1), criteria, flow)
    assert label(Place(request, 0, answer=answer)) == said
