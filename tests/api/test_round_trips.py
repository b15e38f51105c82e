"""Every endpoint keeps to its number of calls to DynamoDB; what `make bench` shows, held fast."""

from moto import mock_aws

from bench.installation import Installation
from bench.round_trips import AT_MOST, round_trips


def test_each_endpoint_takes_as_few_round_trips_as_promised() -> None:
    with mock_aws():
        installation = Installation("round-trips", None)
        installation.create()
        made = round_trips(installation)
        installation.close()
    assert {endpoint: len(calls) for endpoint, calls in made.items()} == AT_MOST
