"""Functions as Lambda runs them: AWS's runtime client as the parent, which asks a runtime API for each invocation.

The client is the one on Lambda (`awslambdaric`). The process has the unpacked zip, the client and nothing else.
"""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import files
from pathlib import Path
from typing import IO, Any

_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
_SECONDS = 120

# The first two arguments are directories to import from, as Lambda has them: the function's, then its own. What the
# third contains is run before the function is loaded.
_START = """
import sys
sys.path[:0] = sys.argv[1:3]
exec(sys.argv[3])
sys.argv[1:4] = []
from awslambdaric.__main__ import main
main(sys.argv)
"""


class FunctionFailed(Exception):
    """The function could not be loaded, or an invocation has ended with an exception."""


def install_client(target: Path) -> Path:
    """Copy Lambda's runtime client into a directory, which gets nothing else."""
    for distribution in _CLIENT:
        for file in files(distribution) or ():
            if ".." not in file.parts:
                copied = target / file
                copied.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), copied)
    return target


class RuntimeApi:
    """Lambda's runtime API (2018-06-01) for one function."""

    def __init__(self) -> None:
        self._invocations: queue.Queue[Any] = queue.Queue()
        self._answers: queue.Queue[tuple[bool, Any]] = queue.Queue()
        self.restored = False
        """Whether the function has asked to be stored; then it is restored at once (SnapStart)."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._serving = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._serving.start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def invoke(self, event: Any) -> Any:
        """The answer to an event. Raises FunctionFailed, queue.Empty after two minutes without an answer."""
        self._invocations.put(event)
        succeeded, answer = self._answers.get(timeout=_SECONDS)
        if not succeeded:
            raise FunctionFailed(json.dumps(answer, indent=1))
        return answer

    def close(self) -> None:
        self._invocations.put(None)
        self._server.shutdown()
        self._serving.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api, invocations, answers = self, self._invocations, self._answers

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path.endswith("/restore/next"):
                    api.restored = True
                    self._send(200, b"{}", {})
                    return
                event = invocations.get()
                if event is None:
                    return
                headers = {
                    "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                    "Lambda-Runtime-Deadline-Ms": "4102444800000",
                    "Lambda-Runtime-Invoked-Function-Arn": (
                        "arn:aws:lambda:eu-west-2:123456789012:function:openbooking"
                    ),
                    "Content-Type": "application/json",
                }
                self._send(200, json.dumps(event).encode(), headers)

            def do_POST(self) -> None:
                """What the function returned, or an error: its own, or one before it was loaded."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._send(202, b"{}", {})
                answers.put((self.path.endswith("/response"), json.loads(body)))

            def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

            def handle(self) -> None:
                with suppress(ConnectionError):  # the process is ended while it asks for its next invocation
                    super().handle()

        return Handler


@contextmanager
def runtime_api() -> Iterator[RuntimeApi]:
    api = RuntimeApi()
    try:
        yield api
    finally:
        api.close()


def start(
    handler: str,
    task_root: Path,
    client: Path,
    api: RuntimeApi,
    environment: Mapping[str, str],
    *,
    before: str = "",
    output: int | IO[str] = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """The process of a function, which has no other environment. `before` is code to run before it is loaded."""
    return subprocess.Popen(
        # -B: write no bytecode, as on Lambda.
        [sys.executable, "-I", "-S", "-B", "-c", _START, str(task_root), str(client), before, handler],
        cwd=task_root,
        env={
            **environment,
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "LAMBDA_TASK_ROOT": str(task_root),
            "_HANDLER": handler,
        },
        stdout=output,
        stderr=None if output is subprocess.DEVNULL else subprocess.STDOUT,
    )
