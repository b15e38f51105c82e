"""Serves a WSGI application on sockets that are bound already, in a thread that ends cleanly.

The only module that uses waitress. Knows nothing about the application.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from http.client import responses
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server
from waitress.task import ErrorTask, WSGITask

WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
RenderRefusal = Callable[[int], tuple[int, list[tuple[str, str]], bytes]]
"""Returns status, headers and body for a request that the server itself refuses with a status."""

_LOOPBACK = {
    "localhost": ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")),
    "127.0.0.1": ((socket.AF_INET, "127.0.0.1"),),
}
# A client that reuses a connection at the moment the server closes it gets a reset. Some Brokers'
# feed readers treat that as fatal, so idle connections stay open for a day.
_IDLE_CONNECTIONS_KEPT_FOR = 24 * 3600
_CONNECTION_LIMIT = 512
_BACKLOG = 1024
_TASKS_MAY_TAKE = 5


class PortTakenError(Exception):
    """The requested port is not available."""

    def __init__(self, port: int, *, reserved: bool = False) -> None:
        """`reserved`: the operating system reserves this port for administrators."""
        why = "needs administrator rights" if reserved else "is in use by another program"
        super().__init__(f"Port {port} {why}.")
        self.port = port


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets on `host`; port 0 stands for a free one. `localhost` means both IPv4 and IPv6.

    Raises PortTakenError.
    """
    families = _LOOPBACK.get(host, ((socket.AF_INET, host),))
    bound: list[socket.socket] = []
    for family, address in families:
        wanted = bound[0].getsockname()[1] if bound else port
        try:
            bound.append(_bound(family, address, wanted))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES) and (port or not bound):
                _close(bound)
                raise PortTakenError(wanted, reserved=error.errno == errno.EACCES) from error
            if not bound:
                raise
            # No IPv6 on this machine, or the free IPv4 port is in use on IPv6: IPv4 is enough.
    return bound


def _bound(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Allows a stack to start again right after it was stopped; ports are not shared.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    return listener


def _close(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        each.close()


class HttpServer:
    """One application on its sockets, between `start` and `stop`."""

    def __init__(
        self,
        application: WSGIApplication,
        sockets: Sequence[socket.socket],
        *,
        threads: int,
        max_request_bytes: int = 1 << 30,
        refuse: RenderRefusal | None = None,
    ) -> None:
        self._sockets = list(sockets)
        self._map: dict[int, Any] = {}
        self._application = application
        self._settings: dict[str, Any] = {
            "threads": threads,
            "max_request_body_size": max_request_bytes,
            "connection_limit": _CONNECTION_LIMIT,
            "backlog": _BACKLOG,
            "channel_timeout": _IDLE_CONNECTIONS_KEPT_FOR,
            "asyncore_use_poll": True,
            "log_socket_errors": False,
            "ident": None,
        }
        self._channel = _channel_class(refuse)
        self._server: Any = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self._sockets[0].getsockname()[1])

    def start(self) -> None:
        """Accept connections from now on; before, they are refused. Raises PortTakenError."""
        self._listen()
        # Waiting requests are normal with one worker; waitress warns about each.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        self._server = create_server(
            self._application, map=self._map, sockets=self._sockets, **self._settings
        )
        for listener in self._listeners():
            listener.channel_class = self._channel
        self._thread = threading.Thread(target=self._server.run, name=f"http-{self.port}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Accept no more requests, wait for running ones, then close every connection."""
        if self._server is None or self._thread is None:
            _close(self._sockets)
            return
        self._in_loop(self._refuse_connections)
        self._server.task_dispatcher.shutdown(timeout=_TASKS_MAY_TAKE)
        self._in_loop(lambda: wasyncore.close_all(self._map, ignore_all=True))
        self._thread.join()
        self._server = self._thread = None

    def _listen(self) -> None:
        try:
            for each in self._sockets:
                each.listen(_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            # Sockets that do not listen yet can share a port: the first one to listen gets it.
            raise PortTakenError(self.port) from error

    def _listeners(self) -> list[BaseWSGIServer]:
        return [each for each in self._map.values() if isinstance(each, BaseWSGIServer)]

    def _refuse_connections(self) -> None:
        for listener in self._listeners():
            listener.accepting = False

    def _in_loop(self, action: Callable[[], None]) -> None:
        done = threading.Event()

        def act() -> None:
            try:
                action()
            finally:
                done.set()

        self._listeners()[0].trigger.pull_trigger(act)
        done.wait()


class _KeepAliveTask(WSGITask):
    """An answer without a body that keeps the connection open.

    waitress closes the connection after every 204, because it has no Content-Length; but a 204 ends with
    its headers (RFC 9112, 6.3), so the connection can stay open.
    """

    def set_close_on_finish(self) -> None:
        asked_to_close = self.request.headers.get("CONNECTION", "").lower() == "close"
        if self.has_body or self.version != "1.1" or asked_to_close:
            super().set_close_on_finish()


def _channel_class(refuse: RenderRefusal | None) -> type[HTTPChannel]:
    class RefusalTask(ErrorTask):
        def execute(self) -> None:
            if refuse is None:
                super().execute()
                return
            status, headers, body = refuse(self.request.error.code)
            self.status = f"{status} {responses.get(status, 'Unknown')}"
            self.response_headers.extend(headers)
            self.set_close_on_finish()
            self.content_length = len(body)
            self.write(body)

    class Channel(HTTPChannel):
        task_class = _KeepAliveTask
        error_task_class = RefusalTask

    return Channel
