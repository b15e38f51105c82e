"""A source changes a session that people hold while its importer is killed, on an engine with real isolation."""

from collections.abc import Iterator

import pytest

from bench.changes import play
from bench.crew import Crew
from bench.installation import Installation, new_uuid
from tests.support.engines import DYNOXIDE, WITHOUT_DYNOXIDE, running_engine

pytestmark = [pytest.mark.dynoxide, pytest.mark.skipif(not DYNOXIDE, reason=WITHOUT_DYNOXIDE)]

BROKERS = 3
ORDERS = 50


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with Crew(BROKERS) as made:
        yield made


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_engine() as url:
        yield url


@pytest.fixture
def installation(url: str) -> Iterator[Installation]:
    """Tables of their own for each test: every Order in them is one of the crowd's."""
    made = Installation(f"changes-{new_uuid()}", url)
    made.create()
    yield made
    made.close()


@pytest.mark.proof
@pytest.mark.parametrize("piled", [False, True])
def test_every_change_reaches_everyone_once_though_the_importer_is_killed(
    crew: Crew, installation: Installation, piled: bool
) -> None:
    """NOTIF-04, CANCEL-14, OFEED-02. `python -m bench.changes` has a thousand Orders and 20 rounds."""
    ended = play(crew, installation, ORDERS, seed=1, piled=piled)
    assert ended.orders >= ORDERS and ended.kills > 0
    assert ended.is_right, str(ended)


@pytest.mark.proof
def test_an_importer_that_forgets_what_is_to_follow_is_found_out(
    crew: Crew, installation: Installation
) -> None:
    """The positive control."""
    ended = play(crew, installation, 10, seed=2, forgetful=True)
    assert ended.not_as_the_source == ended.not_in_the_feed == ended.orders
    assert not ended.is_right
