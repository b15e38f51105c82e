"""Composes the local stack: engine, tables, samples, app, pump, schedule, server; `serve` runs it.

Decides in which order they start and stop. Does not know what the app does.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chalice.app import Chalice

from chalicelib.runtime.settings import rules_in
from openbooking.local.delivery import DeadLetters, Handler
from openbooking.local.discovery import StackAddress, announce, state_directory, withdraw
from openbooking.local.embedded import EmbeddedEngine
from openbooking.local.engine import (
    Engine,
    dynamodb_client,
    environment,
    streams_client,
)
from openbooking.local.gateway import Gateway
from openbooking.local.pump import Pump, StreamPump, StreamStuckError
from openbooking.local.request_log import RequestLog
from openbooking.local.running import Running
from openbooking.local.schedules import Schedule
from openbooking.local.server import HttpServer, bind
from openbooking.local.streams import Positions, StreamReader
from openbooking.local.tables import create_tables

log = logging.getLogger(__name__)

TABLE_PREFIX = "openbooking-local"
_THREADS = 16
_LARGEST_UPLOAD = 64 * 1024 * 1024
"""The server accepts uploads up to this size, in a temporary file, before the gateway answers that they are
too large. An earlier refusal would close the connection while the client still sends, and hide the answer."""

# Settings that differ from a deployment's. The terminal is read by people, so successful requests are
# not logged as JSON.
_SETTINGS = {"AUTHENTICATION": "openid,api-keys,headers", "METRICS": "false", "LOG_LEVEL": "WARNING"}

# Seconds between two runs of the schedule of imports; on AWS it is a minute, too.
_IMPORTS_EVERY = 60.0


@dataclass(frozen=True)
class LocalApp:
    """The Lambda functions of a deployment, and a function that clears their cached state."""

    rest: Chalice
    orders_stream: Handler
    inventory_stream: Handler
    lease_sweep: Handler
    import_sources: Handler
    forget: Callable[[], None] = lambda: None


def load_app() -> LocalApp:
    """Import app.py, without state of an earlier stack of this process."""
    from chalicelib.runtime.system import install

    def forget() -> None:
        install(None)

    forget()
    app: Any = importlib.import_module("app")
    return LocalApp(
        app.app, app.orders_stream, app.inventory_stream, app.lease_sweep, app.import_sources, forget
    )


class LocalStack(Running):
    """The system on one machine while the `with` block lasts."""

    url: str
    """Base URL: `{url}/openactive` is the dataset site."""
    dynamodb_url: str

    def __init__(
        self,
        *,
        host: str = "localhost",
        port: int = 0,
        dynamodb_url: str | None = None,
        dynamodb_port: int = 0,
        table_prefix: str = TABLE_PREFIX,
        settings: Mapping[str, str] | None = None,
        load: Callable[[], LocalApp] = load_app,
        seed: Callable[[], None] | None = None,
        sweep_every: float | None = 5.0,
        directory: Path | None = None,
        announced: bool = False,
        log_request: Callable[[str], None] | None = None,
    ) -> None:
        """Port 0 stands for a free one. Without `dynamodb_url` the engine is embedded.

        `settings` override the local defaults of the app. `seed` runs when the tables exist and the
        environment is set; on an engine that keeps data it runs at every start. `sweep_every` is in
        seconds; None disables the sweep. In `directory` the stack stores its positions and dead letters,
        and announces itself if `announced`. `log_request` gets a line for each request.
        """
        self._host = host
        self._port = port
        self._dynamodb_url = dynamodb_url
        self._dynamodb_port = dynamodb_port
        self._table_prefix = table_prefix
        self._settings = dict(settings or {})
        self._load = load
        self._seed = seed
        self._sweep_every = sweep_every
        self._directory = directory or state_directory()
        self._announced = announced
        self._log_request = log_request
        self._running = ExitStack()
        self._pump: Pump | None = None

    def start(self) -> None:
        """Raises PortTakenError, EngineUnreachableError."""
        with self._running as running:
            self._start(running)
            self._running = running.pop_all()

    def stop(self) -> None:
        self._running.close()

    @property
    def address(self) -> StackAddress:
        """The address for other commands."""
        rules = rules_in(os.environ)
        return StackAddress(self.url, self.dynamodb_url, self._table_prefix, os.getpid(), rules)

    def drain(self) -> None:
        """Return when the stream handlers have handled every change so far."""
        assert self._pump is not None, "the stack is not running"
        self._pump.drain()

    def _start(self, running: ExitStack) -> None:
        # The port first: a busy port is reported immediately, not after two seconds of work.
        sockets = bind(self._host, self._port)
        for each in sockets:
            running.callback(each.close)
        engine = self._engine()
        running.callback(engine.stop)
        engine.start()
        self.dynamodb_url = engine.url
        running.enter_context(
            environment_variables(
                {
                    **environment(engine.url),
                    "TABLE_PREFIX": self._table_prefix,
                    **_SETTINGS,
                    **self._settings,
                }
            )
        )
        dynamodb, streams = dynamodb_client(engine.url), streams_client(engine.url)
        running.callback(dynamodb.close)
        running.callback(streams.close)
        create_tables(dynamodb, self._table_prefix)
        app = self._load()
        running.callback(app.forget)
        if self._seed is not None:
            self._seed()

        self._pump = Pump(self._streams(app, dynamodb, streams, engine))
        # Before the server answers: the first reader of a feed finds in it what the tables hold.
        try:
            self._pump.drain()
        except StreamStuckError as stuck:
            log.error("%s fails; its records are tried again while the server runs", stuck)
        running.enter_context(self._pump)
        if self._sweep_every is not None:
            running.enter_context(
                Schedule("lease_sweep", self._woken(app.lease_sweep), every=self._sweep_every)
            )
            imports = self._woken(app.import_sources)
            running.enter_context(
                Schedule("import_sources", imports, every=max(self._sweep_every, _IMPORTS_EVERY))
            )
        gateway = Gateway(app.rest, after_write=self._pump.wake)
        server = HttpServer(
            RequestLog(gateway, self._log_request) if self._log_request else gateway,
            sockets,
            threads=_THREADS,
            max_request_bytes=_LARGEST_UPLOAD,
            refuse=gateway.refuse,
        )
        self.url = f"http://{self._host}:{server.port}"
        server.start()
        running.callback(server.stop)
        if self._announced:
            announce(self.address, self._directory)
            running.callback(withdraw, self.address, self._directory)

    def _engine(self) -> Engine:
        if self._dynamodb_url is not None:
            return Engine(self._dynamodb_url)
        return EmbeddedEngine(self._dynamodb_port)

    def _streams(self, app: LocalApp, dynamodb: Any, streams: Any, engine: Engine) -> list[StreamPump]:
        # A file for each engine: the whole file is replaced, and two stacks may run in one folder.
        file = self._directory / f"positions-{re.sub('[^a-z0-9]+', '-', urlsplit(engine.url).netloc)}.json"
        positions = Positions(file if engine.keeps_data else None)
        dead_letters = DeadLetters(self._directory / "dead-letters.jsonl")
        handlers = {"orders": app.orders_stream, "inventory": app.inventory_stream}
        return [
            StreamPump(
                f"{name}_stream",
                StreamReader(dynamodb, streams, f"{self._table_prefix}-{name}", positions),
                handler,
                dead_letters=dead_letters,
            )
            for name, handler in handlers.items()
        ]

    def _woken(self, handler: Handler) -> Handler:
        """The handler of a schedule, after which the streams are read."""

        def handle(event: dict[str, Any], context: Any) -> None:
            handler(event, context)
            if self._pump is not None:
                self._pump.wake()

        return handle


@contextmanager
def environment_variables(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set the variables (None: unset), and restore their previous values afterwards."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
