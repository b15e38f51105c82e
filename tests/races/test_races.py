"""Processes that want the same thing at the same moment, on an engine with real isolation."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from bench.course_race import kill_bookings, race_for_course
from bench.crew import Crew
from bench.installation import Installation, Request, ask, booking, cancellation, new_uuid, quote
from bench.race import RACERS, SPACES, Run, outcome, race, race_for_leases, race_for_spaces
from chalicelib.booking.decisions import Wanted
from chalicelib.domain.orders import DeletedOrder, Order, OrderKey
from chalicelib.domain.partner_limits import PartnerLimits
from tests.support.builders import NOW
from tests.support.engines import DYNOXIDE, running_engine

pytestmark = [
    pytest.mark.dynoxide,
    pytest.mark.skipif(not DYNOXIDE, reason="DYNOXIDE does not name the binary of a Dynoxide engine"),
]

# The order in which the racers come to the engine is left to chance, or made as hard as can be.
ways = pytest.mark.parametrize("together", [False, True], ids=["as it comes", "all read before any writes"])


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with Crew(RACERS) as made:
        yield made


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_engine() as url:
        yield url


@pytest.fixture(scope="module")
def installation(url: str) -> Iterator[Installation]:
    made = Installation("races", url, fixed_time=NOW)
    made.create()
    yield made
    made.close()


def order(installation: Installation, uuid: str) -> Order | DeletedOrder | None:
    return installation.store.snapshot(Wanted(OrderKey("partner-1", uuid))).order


@pytest.mark.parametrize("round_number", [1, 2, 3])
def test_last_five_spaces_go_to_five_of_twenty(
    crew: Crew, installation: Installation, round_number: int
) -> None:
    """BOOKABLE, B-11. `python -m bench.race` has 20 rounds."""
    ended = race_for_spaces(crew, installation, together=round_number != 2)
    assert [(answer.status, answer.body) for answer in ended.others] == []
    assert (ended.sold, ended.refused) == (SPACES, RACERS - SPACES)
    assert ended.is_right


def test_without_the_condition_on_spaces_it_oversells(crew: Crew, installation: Installation) -> None:
    """The positive control of the test above: it is this condition that holds."""
    ended = race_for_spaces(crew, installation, together=True, guarded=False)
    assert ended.sold > SPACES
    assert not ended.is_right


@ways
def test_last_places_of_a_course_and_its_sessions_are_sold_once(
    crew: Crew, installation: Installation, together: bool
) -> None:
    """B-11, decision 26: on no counter too many, and cancellations at once give every space back."""
    ended = race_for_course(crew, installation, together=together)
    assert [(answer.status, answer.body) for answer in ended.others] == []
    assert ended.is_right, str(ended)
    assert sum(ended.refused) > 0


def test_without_the_condition_on_spaces_a_course_is_oversold(crew: Crew, installation: Installation) -> None:
    """The positive control of the test above."""
    assert race_for_course(crew, installation, together=True, guarded=False).is_oversold


def test_bookings_of_a_course_that_are_killed_leave_nothing_half_done(installation: Installation) -> None:
    """`python -m bench.course_race` kills 20 processes."""
    ended = kill_bookings(installation, 4)
    assert ended.kills >= 4 and ended.orders > 0
    assert ended.is_right, str(ended)


@ways
def test_one_partner_never_leases_more_than_its_limit(
    crew: Crew, installation: Installation, together: bool
) -> None:
    """Decision 21: all quotes are answered, and exactly as many as the limit allows have a lease."""
    limit = PartnerLimits().anonymous_lease_spaces
    assert limit < RACERS
    assert race_for_leases(crew, installation, together=together) == (limit, limit)


def test_without_the_condition_on_its_share_it_leases_more(crew: Crew, installation: Installation) -> None:
    """The positive control of the test above."""
    leases, held = race_for_leases(crew, installation, together=True, guarded=False)
    assert leases == held > PartnerLimits().anonymous_lease_spaces


@ways
def test_one_order_sent_ten_times_at_once_is_booked_once(
    crew: Crew, installation: Installation, url: str, together: bool
) -> None:
    """B-08: every one of them gets the answer, byte for byte."""
    session = installation.session(SPACES)
    run = Run("races", url, booking(new_uuid(), session), NOW, together)
    answers = race(crew, [run] * 10)
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert (installation.capacity(session).spaces_left, installation.held(session)) == (SPACES - 1, 1)


@ways
def test_cancellation_beside_deletion_gives_the_space_back_once(
    crew: Crew, installation: Installation, url: str, together: bool
) -> None:
    """CANCEL-02, DEL-06: whichever comes first."""
    session, uuid = installation.session(SPACES), new_uuid()
    booked = ask(booking(uuid, session))
    cancel = cancellation(uuid, booked.json["orderedItem"][0]["@id"])
    runs = [Run("races", url, each, NOW, together) for each in (cancel, Request("DELETE", f"orders/{uuid}"))]
    cancelled, deleted = race(crew, runs)
    assert deleted.status == 204
    assert cancelled.status in (204, 410)
    assert isinstance(order(installation, uuid), DeletedOrder)
    assert (installation.capacity(session).spaces_left, installation.held(session)) == (SPACES, 0)


@ways
def test_leased_space_is_sold_once_at_the_end_of_its_lease(
    crew: Crew, installation: Installation, url: str, together: bool
) -> None:
    """LEASE-04: by its owner's clock the lease still stands, by another Broker's it has ended."""
    session, uuid = installation.session(1), new_uuid()
    assert ask(quote(uuid, session)).status == 200
    assert installation.capacity(session).spaces_leased == 1
    ends_at = NOW + timedelta(minutes=15)
    owner = Run("races", url, booking(uuid, session), ends_at - timedelta(seconds=1), together)
    other_buyer = booking(new_uuid(), session, "partner-2")
    other = Run("races", url, other_buyer, ends_at + timedelta(seconds=1), together)
    answers = race(crew, [owner, other])
    ended = outcome(installation, session, answers)
    assert ended.is_right, [json.loads(answer.body) for answer in answers]
    assert (ended.sold, ended.refused) == (1, 1)
    assert installation.capacity(session).spaces_leased == 0
