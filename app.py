"""The Chalice app: routes, stream handlers and the schedule. Wiring only."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chalice import Rate
from chalice.app import CloudWatchEvent, DynamoDBEvent

from chalicelib.api.application import ThreadedChalice

if TYPE_CHECKING:
    from chalicelib.api.boundary import View


def _test_interface() -> "Mapping[str, View]":
    """Loaded on first use, and only if TEST_INTERFACE is on."""
    from chalicelib.test_interface.views import VIEWS

    return VIEWS


def _add_routes(app: ThreadedChalice) -> None:
    from chalicelib.api import authority, feeds, orders, passes, site, test_interface_routes
    from chalicelib.api.boundary import rewrite_refusals, unknown_endpoint

    app.unknown = unknown_endpoint
    app.register_middleware(rewrite_refusals, "http")
    app.register_blueprint(orders.blueprint)
    app.register_blueprint(feeds.blueprint)
    app.register_blueprint(passes.blueprint)
    app.register_blueprint(site.blueprint)
    app.register_blueprint(authority.blueprint)
    app.register_blueprint(test_interface_routes.blueprint(_test_interface))


# Chalice would add its own handler to the logger of that name, and every line would be written twice.
app = ThreadedChalice(app_name="openbooking", configure_logs=False)
# Lambda says in _HANDLER which function this is, and gives it more processor while it starts than for its invocations: what
# they need is made here. A function's zip contains what is imported for it here and in its handler, and what that imports
# (openbooking/deployment/contents.py).
match os.environ.get("_HANDLER"):
    case "app.app":
        from chalicelib.runtime import serving

        _add_routes(app)
        serving.prepare()
    case "app.orders_stream" | "app.inventory_stream":
        from chalicelib.api import streams

        streams.prepare()
    case "app.lease_sweep":
        from chalicelib.api import sweep

        sweep.prepare()
    case "app.import_sources":
        from chalicelib.api import imports

        imports.prepare()
    case _:
        _add_routes(app)


def _invocation(event: DynamoDBEvent | CloudWatchEvent) -> str:
    """The id of the invocation, by which Lambda's own lines in the log name it."""
    return str(getattr(event.context, "aws_request_id", ""))


# Chalice needs the streams when it deploys; otherwise the names are not used.
_NO_STREAM = "arn:aws:dynamodb:eu-west-2:000000000000:table/none/stream/none"


@app.on_dynamodb_record(
    stream_arn=os.environ.get("ORDERS_STREAM_ARN", _NO_STREAM),
    name="orders_stream",
    starting_position="TRIM_HORIZON",
    maximum_batching_window_in_seconds=1,
)
def orders_stream(event: DynamoDBEvent) -> dict[str, Any]:
    """Handle changed Order rows."""
    from chalicelib.api.streams import orders_changed

    return orders_changed(event.to_dict()["Records"], _invocation(event))


@app.on_dynamodb_record(
    stream_arn=os.environ.get("INVENTORY_STREAM_ARN", _NO_STREAM),
    name="inventory_stream",
    starting_position="TRIM_HORIZON",
    maximum_batching_window_in_seconds=5,
)
def inventory_stream(event: DynamoDBEvent) -> dict[str, Any]:
    """Handle changed inventory rows."""
    from chalicelib.api.streams import inventory_changed

    return inventory_changed(event.to_dict()["Records"], _invocation(event))


@app.schedule(Rate(1, unit=Rate.MINUTES), name="lease_sweep")
def lease_sweep(event: CloudWatchEvent) -> dict[str, int]:
    """Once a minute: end leases and continue pending work."""
    from chalicelib.api.sweep import sweep

    return sweep(_invocation(event))


@app.schedule(Rate(1, unit=Rate.MINUTES), name="import_sources")
def import_sources(event: CloudWatchEvent) -> dict[str, int]:
    """Once a minute: import the sources that are due."""
    from chalicelib.api import imports

    return imports.import_sources(_invocation(event))
