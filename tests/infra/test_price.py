"""The model of the price: its arithmetic, and that nothing is missing in it."""

from decimal import Decimal

import pytest

import app
from bench import price
from bench.price import CUTS, HANDLERS, LAPTOP, RECOMMENDED, ROUTES, Month, SetUp, Usage
from bench.prices import PRICES
from chalicelib.values import replace
from openbooking.infra.templates import FUNCTIONS
from tests.support.engines import DYNOXIDE, WITHOUT_DYNOXIDE, dynoxide

NAMES = {
    name
    for counts in (*ROUTES.values(), *HANDLERS.values())
    if not isinstance(counts, str)
    for name in counts
}
# A round number of each thing, so that sums can be done by hand.
ONE = Usage(writes=10, reads=4, requests=1, invocations=1, gb_seconds=0.025, logged=1000, sent=2000)
BATCH, FURTHER = Usage(writes=8, reads=4, invocations=1, gb_seconds=0.0125), Usage(writes=6, reads=3)
COUNTED = {name: ONE for name in NAMES if not name.startswith("stream")} | {
    name: FURTHER if "further" in name else BATCH for name in NAMES if name.startswith("stream")
}


def test_every_route_is_in_the_model() -> None:
    assert ROUTES.keys() == app.app.routes.keys()


def test_every_function_is_in_the_model() -> None:
    assert HANDLERS.keys() == {each.name for each in FUNCTIONS if not each.is_api}


def test_a_price_is_for_so_many_units() -> None:
    assert PRICES["writes"].of_units(2_000_000) == Decimal("1.4846")
    assert PRICES["HTTP API"].of_units(25_920_000) == Decimal("30.0672")
    assert PRICES["logged"].of_units(2) == Decimal("1.1970")


def test_every_price_has_its_month_and_its_page() -> None:
    for each in PRICES.values():
        assert each.page.startswith("https://aws.amazon.com/")
        year, month = map(int, each.of.split("-"))
        assert year >= 2025 and 1 <= month <= 12


def test_a_bill_has_an_item_for_everything_that_is_used() -> None:
    items = price.priced(replace(ONE, key_uses=1, stored=1000) * 1_000_000, LAPTOP)
    assert all(cost > 0 for cost in items.values())
    assert items["DynamoDB writes"] == Decimal("7.423")
    assert items["API Gateway"] == Decimal("3.50")
    assert items["Lambda time"] == Decimal("0.025") * Decimal("13.3334")
    assert price.total(items) == sum(items.values())


def test_bookings_are_three_requests_and_their_changes_in_feeds() -> None:
    """A window of 0 seconds is a batch for each record: one that publishes and two that do not."""
    usage = price.booking_usage(COUNTED, SetUp("by hand", window=0), 1000)
    assert usage.requests == 3000
    assert usage.invocations == 6000
    assert usage.writes == 3 * 10_000 + 8000 + 2 * 8000


def test_a_window_makes_fewer_invocations() -> None:
    number = 2_592_000  # one a second, three records
    usage = price.booking_usage(COUNTED, SetUp("by hand", window=10), number)
    batches = number * 3 / 31
    assert usage.invocations == pytest.approx(3 * number + batches)
    assert usage.writes == pytest.approx(30 * number + 8 * batches + 6 * (number * 3 - batches))


def test_a_batch_has_a_hundred_records_at_most() -> None:
    usage = price.booking_usage(COUNTED, SetUp("by hand", window=10), 2_592_000_000)
    assert usage.invocations == pytest.approx(2_592_000_000 * (3 + 3 / 100))


def test_partners_ask_for_six_feeds_a_minute() -> None:
    usage, at_edge = price.polling_usage(COUNTED, Month(partners=100), LAPTOP)
    assert (usage.requests, at_edge) == (100 * 6 * 43_200, 0)


def test_cloudfront_asks_no_more_often_than_pages_expire() -> None:
    usage, at_edge = price.polling_usage(COUNTED, Month(partners=100), RECOMMENDED)
    own = 100 * 2 * 43_200
    assert at_edge == 100 * 4 * 43_200
    assert usage.requests == own + 4 * 2 * 30 * 86_400 / 8
    # With one partner, each request goes to the API.
    usage, at_edge = price.polling_usage(COUNTED, Month(partners=1), RECOMMENDED)
    assert usage.requests == 6 * 43_200 and at_edge == 4 * 43_200


def test_what_cloudfront_gives_for_free_is_taken_off_once() -> None:
    charged = price.edge_items(17_280_000, 0, free=False)["CloudFront"]
    left = price.edge_items(17_280_000, 0, free=True)["CloudFront"]
    assert charged - left == PRICES["edge requests"].of_units(10_000_000) == 12
    assert price.edge_items(1000, 1000, free=True)["CloudFront"] == 0


def test_each_cut_saves_something() -> None:
    sums = [cost for _, cost in price.steps(COUNTED, 1_000_000)]
    assert len(sums) == len(CUTS) + 1
    assert sums == sorted(sums, reverse=True)


@pytest.mark.skipif(not DYNOXIDE, reason=WITHOUT_DYNOXIDE)
def test_the_goals_are_met_with_what_is_counted() -> None:
    with dynoxide() as url:
        counted = price.count(url)
    assert counted.keys() == NAMES
    assert price.total(price.of_bookings(counted, RECOMMENDED, 1_000_000)) < 35
    assert price.total(price.of_polling(counted, RECOMMENDED, Month(partners=100))) < 35
    # Control: without the cuts it would be twice as much.
    assert price.steps(counted, 1_000_000)[0][1] > 65
    # What C2 and B leave as it looks is not published again.
    assert counted["stream: an Opportunity that looks the same"].writes == 0
    assert counted["stream: an Opportunity"].writes > 0
    # A quote's row has less than 1 KB: 2 units in a transaction, beside 2 each of counters and hold.
    assert counted["C2"].writes <= 8
    text = "\n".join(price.page(counted))
    assert all(route in text or not isinstance(ROUTES[route], str) for route in ROUTES)
