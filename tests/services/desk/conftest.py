"""An installation in memory, and what its first Seller works with."""

import pytest

from chalicelib.runtime.administration import Administration
from chalicelib.services.actors import Actor
from tests.support.inventory import BASE_URL
from tests.support.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def desk(world: World) -> Administration:
    return Administration(world.system, by="sam", base_url=BASE_URL)


@pytest.fixture
def actor(desk: Administration) -> Actor:
    return desk.actor("1")
