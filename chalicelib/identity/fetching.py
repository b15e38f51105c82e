"""Fetches a document from another identity provider: over https, without redirects, limited in size and time.

It does not interpret the document. The limits matter because a partner's request waits for the result.
"""

import socket
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from queue import Empty, Queue
from threading import Thread
from urllib.parse import urlsplit

MAX_BYTES = 256 * 1024
SECONDS = 5.0

# The limit of one step, such as connecting.
_STEP_SECONDS = 3.0
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def fetch(
    url: str, *, http_on_this_machine: bool = False, seconds: float = SECONDS, max_bytes: int = MAX_BYTES
) -> bytes:
    """The body of the response to a GET, if its status is 200, within `seconds` in total.

    `http_on_this_machine` allows plain http to localhost, for development. Raises OSError, also for another
    scheme, another status (including redirects), and a body of more than `max_bytes`.
    """
    connection, target = _connection(url, http_on_this_machine)
    results: Queue[bytes | BaseException] = Queue()
    opened: list[socket.socket] = []

    def work() -> None:
        try:
            results.put(_get(connection, target, max_bytes, opened))
        except (OSError, HTTPException, ValueError) as error:
            results.put(error)

    # Socket timeouts apply to each read. A server that sends a byte now and then would never exceed them, so
    # the total time is limited here.
    Thread(target=work, daemon=True, name="fetch").start()
    try:
        result = results.get(timeout=seconds)
    except Empty:
        for each in opened:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # so that its thread ends
        raise TimeoutError(f"{urlsplit(url).hostname} took longer than {seconds} s") from None
    if isinstance(result, OSError):
        raise result
    if isinstance(result, BaseException):
        raise OSError(f"no answer that can be read: {type(result).__name__}") from result
    return result


def _connection(url: str, http_on_this_machine: bool) -> tuple[HTTPConnection, str]:
    """A connection that is not open yet, and the request target. Raises OSError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "https" and host:
            return HTTPSConnection(host, port, timeout=_STEP_SECONDS), target
        if parts.scheme == "http" and host in _THIS_MACHINE and http_on_this_machine:
            return HTTPConnection(host, port, timeout=_STEP_SECONDS), target
    except (ValueError, HTTPException) as error:
        raise OSError("not a URL") from error
    raise OSError("another scheme than https")


def _get(connection: HTTPConnection, target: str, max_bytes: int, opened: list[socket.socket]) -> bytes:
    """The body. The socket is added to `opened`, because the connection drops it before the body is read."""
    try:
        connection.connect()
        opened.append(connection.sock)
        connection.request("GET", target, headers={"Accept": "application/json"})
        with connection.getresponse() as answer:
            if answer.status != 200:
                raise OSError(f"status {answer.status}")
            content = answer.read(max_bytes + 1)
    finally:
        connection.close()
    if len(content) > max_bytes:
        raise OSError(f"more than {max_bytes} bytes")
    return content
