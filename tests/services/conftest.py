"""An installation in memory that an operator works on. Modules may have a `world` of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.runtime.administration import Administration
from chalicelib.runtime.system import install
from tests.support.administering import (
    Identities,
)
from tests.support.oauth import CHEAP
from tests.support.world import Bookable, World


@pytest.fixture
def identities() -> Identities:
    return Identities()


@pytest.fixture
def world(identities: Identities) -> Iterator[World]:
    made = World(identities=identities)
    made.set(authentication="openid,api-keys,headers")
    made.system.passwords = CHEAP
    yield made
    install(None)


@pytest.fixture
def desk(world: World) -> Administration:
    return Administration(world.system, "kim", "http://booking.example")


@pytest.fixture
def yoga(world: World) -> Bookable:
    return world.session()
