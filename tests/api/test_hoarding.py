"""What one partner can hold with the default limits, and what the limits cost a request: docs/limits.md."""

from collections.abc import Iterator

import pytest

from bench.hoarding import hoard, rows_of_requests
from bench.installation import Installation
from chalicelib.domain.partner_limits import PartnerLimits
from tests.support.builders import NOW
from tests.support.engines import simulated_aws


@pytest.fixture
def installation() -> Iterator[Installation]:
    with simulated_aws():
        made = Installation("hoarding", None, fixed_time=NOW)
        made.create()
        yield made
        made.close()


def test_another_partner_books_where_one_holds_all_it_can(installation: Installation) -> None:
    ended = hoard(installation, sessions=10, spaces=16)
    assert ended.booked_by_another == 9  # the tenth requires approval
    assert ended.leased == 9 * PartnerLimits().lease_spaces + 12
    assert (max(ended.held_of_one[:9]), ended.held_of_one[9]) == (12, 16)
    assert ended.proposed == 4
    assert "held" in str(ended)


def test_limits_cost_rows_and_no_round_trip(installation: Installation) -> None:
    """The rows read and written, as docs/limits.md shows them."""
    assert rows_of_requests(installation) == {
        "C1": (10, 4),
        "C2 after C1": (10, 3),
        "C2 again": (10, 1),
        "B after C2": (6, 4),
        "B without a lease": (6, 3),
        "P": (10, 5),
    }
