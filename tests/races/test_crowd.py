"""A session that a crowd holds is cancelled while Brokers go on booking it, on an engine with real isolation."""

from collections.abc import Iterator

import pytest

from bench.crew import Crew
from bench.crowd import crowd
from bench.installation import Installation, new_uuid
from tests.support.engines import DYNOXIDE, running_engine

pytestmark = [
    pytest.mark.dynoxide,
    pytest.mark.skipif(not DYNOXIDE, reason="DYNOXIDE does not name the binary of a Dynoxide engine"),
]

BROKERS = 6
# A third of the Brokers decides before the cancellation and writes after everyone has followed it.
LATE = BROKERS // 3


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with Crew(BROKERS + 1) as made:
        yield made


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_engine() as url:
        yield url


@pytest.fixture
def installation(url: str) -> Iterator[Installation]:
    """Tables of their own for each test: every Order in them is one of the crowd's."""
    made = Installation(f"crowd-{new_uuid()}", url)
    made.create()
    yield made
    made.close()


def test_nobody_who_came_before_is_forgotten_and_nobody_comes_after(
    crew: Crew, installation: Installation
) -> None:
    """CANCEL-14, OFEED-02. `python -m bench.crowd` has a thousand Orders."""
    ended = crowd(crew, installation, 60)
    assert ended.tried.others == []
    assert ended.orders > 60 and ended.tried.refused > LATE
    assert ended.is_right, str(ended)


@pytest.mark.proof
def test_a_process_that_is_killed_half_way_leaves_the_rest_to_the_next(
    crew: Crew, installation: Installation
) -> None:
    ended = crowd(crew, installation, 60, killed=True)
    # Several Orders are changed in one transaction.
    assert 30 <= ended.followed.before_the_kill < 60 < ended.orders
    assert ended.is_right, str(ended)


@pytest.mark.proof
def test_without_the_condition_on_the_revision_some_come_after(
    crew: Crew, installation: Installation
) -> None:
    """The positive control: it is this condition that holds, and the check sees where it does not."""
    ended = crowd(crew, installation, 10, guarded=False)
    assert (ended.confirmed, ended.not_in_the_feed, ended.held) == (LATE, LATE, LATE)
    assert not ended.is_right
