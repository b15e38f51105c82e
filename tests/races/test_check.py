"""A check beside Brokers who book, cancel, lease and delete: it names what is damaged and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.check import check, plant, under_load
from bench.installation import Installation
from chalicelib.services.checking.findings import Damage
from tests.support.engines import DYNOXIDE, running_engine

pytestmark = [
    pytest.mark.dynoxide,
    pytest.mark.skipif(not DYNOXIDE, reason="DYNOXIDE does not name the binary of a Dynoxide engine"),
]


@pytest.fixture
def installation() -> Iterator[Installation]:
    with running_engine() as url:
        made = Installation("check", url)
        made.create()
        yield made
        made.close()


def test_only_what_is_planted_is_found_beside_a_load(installation: Installation) -> None:
    with under_load(installation, workers=2) as answers:
        clean = check(installation)
        plant(installation)
        planted = check(installation)
    assert clean.findings == [] and not clean.unnamed
    assert {finding.damage for finding in planted.findings} == {
        Damage.HOLD_WITHOUT_ORDER,
        Damage.SPACES_DO_NOT_ADD_UP,
    }
    assert sum(each["book 201"] for each in answers) > 0
