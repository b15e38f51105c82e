"""A proxy in front of a simulated AWS that counts the calls that change something, and refuses all after the n-th.

It also refuses what the caller has no permission for, which moto does not check.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.support.permissions import Call, Policy, asked, signed_for

READING = re.compile(r"(Describe|List|Get|Head|Lookup)")


@dataclass
class Cutter:
    """Forwards to `upstream`. After `left` changing calls it answers 403 to every call, as with expired credentials."""

    upstream: str
    left: int | None = None
    """None: no end."""
    calls: list[str] = field(default_factory=list)
    """The changing calls since the last `begin`."""
    policy: Policy | None = None
    """What the caller may do; None: everything."""
    denied: set[tuple[str, str]] = field(default_factory=set)
    """The actions that were refused because of the policy, with the ARNs that they were to act on."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, left: int | None = None) -> None:
        with self._lock:
            self.left, self.calls = left, []

    def permits(self, call: Call) -> bool:
        if self.policy is None or self.policy.allows(*asked(call)):
            return True
        self.denied.add(asked(call))
        return False

    def passes(self, call: str, *, changes: bool) -> bool:
        with self._lock:
            if self.left is not None and len(self.calls) >= self.left:
                return False
            if changes:
                self.calls.append(call)
            return True


def call_of(method: str, path: str, target: str, body: bytes) -> tuple[str, bool]:
    """The name of a call to AWS as far as the request shows it, and whether it changes anything."""
    if target:
        name = target.rpartition(".")[2]
        return name, not READING.match(name)
    action = parse_qs(body.decode(errors="replace")).get("Action") if len(body) < 200_000 else None
    if action:
        return action[0], not READING.match(action[0])
    return f"{method} {urlsplit(path).path}", method not in ("GET", "HEAD")


@contextmanager
def cutting(upstream: str) -> Iterator[tuple[str, Cutter]]:
    """Yields the URL of the proxy, and what commands it."""
    cutter = Cutter(upstream)
    host = urlsplit(upstream).netloc

    class Forward(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            target = self.headers.get("X-Amz-Target", "")
            service = signed_for(self.headers.get("Authorization", ""))
            if not cutter.permits(Call(service, self.command, self.path, target, body)):
                self.reply(403, {"Content-Type": "application/json"}, b'{"__type": "AccessDeniedException"}')
                return
            call, changes = call_of(self.command, self.path, target, body)
            if not cutter.passes(call, changes=changes):
                self.reply(403, {"Content-Type": "application/json"}, b'{"__type": "ExpiredTokenException"}')
                return
            connection = HTTPConnection(host, timeout=120)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
                connection.request(self.command, self.path, body, headers)
                answered = connection.getresponse()
                content = answered.read()
            finally:
                connection.close()
            kept = {
                name: value
                for name, value in answered.getheaders()
                if name.lower() not in ("connection", "content-length", "date", "server", "transfer-encoding")
            }
            self.reply(answered.status, kept, content)

        def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", cutter
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
