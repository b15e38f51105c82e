"""The two streams of an installation on an engine, brought to their handlers as Lambda does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import app
from openbooking.local.delivery import DeadLetters
from openbooking.local.engine import dynamodb_client, streams_client
from openbooking.local.pump import Pump, StreamPump
from openbooking.local.streams import Positions, StreamReader


@contextmanager
def streams_of(prefix: str, url: str, *, idle_for: float = 0.4) -> Iterator[Pump]:
    """A pump for the tables under a prefix; `drain` brings what has been written until then."""
    clients = dynamodb_client(url), streams_client(url)
    handlers = {"orders": app.orders_stream, "inventory": app.inventory_stream}
    yield Pump(
        [
            StreamPump(
                f"{table}_stream",
                StreamReader(*clients, f"{prefix}-{table}", Positions()),
                handler,
                dead_letters=DeadLetters(None),
            )
            for table, handler in handlers.items()
        ],
        idle_for=idle_for,
    )
    for client in clients:
        client.close()
