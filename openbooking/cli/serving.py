"""`openbooking serve`: runs the local stack, prints what to open and try, logs requests, stops on a signal."""

from __future__ import annotations

import json
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from rich.console import Console

from openbooking.broker.client import order_request, partner_headers, something_to_book
from openbooking.cli.pasteable import command
from openbooking.cli.terminal import DEFAULT_PORT, MAX_PORT
from openbooking.local.discovery import StackAddress, running_stacks, stack_directory, write_atomically
from openbooking.local.engine import EngineUnreachableError
from openbooking.local.server import PortTakenError
from openbooking.local.stack import LocalStack


def serve(
    *,
    host: str,
    port: int,
    dynamodb_url: str | None,
    dynamodb_port: int,
    table_prefix: str,
    sweep_every: float | None,
    seed: Callable[[], None] | None,
    settings: Mapping[str, str] | None = None,
) -> int:
    """Run until a signal. Returns the exit code: 0 after a signal, 1 if it could not start."""
    console = Console(highlight=False)
    others = running_stacks()
    if (sharing := _shares_tables(others, dynamodb_url, table_prefix)) is not None:
        print(
            f"The tables {table_prefix}-* at {sharing.dynamodb_url} are already served at {sharing.url}. "
            "Use that server, or set TABLE_PREFIX to use tables with another prefix.",
            file=sys.stderr,
        )
        return 1
    stop, welcomed = threading.Event(), threading.Event()

    def log_request(line: str) -> None:
        # The requests of the welcome itself are not shown.
        if welcomed.is_set():
            _print_line(line)

    with _signals(stop.set):
        console.print("Starting ...", style="dim")
        try:
            with LocalStack(
                host=host,
                port=port,
                dynamodb_url=dynamodb_url,
                dynamodb_port=dynamodb_port,
                table_prefix=table_prefix,
                sweep_every=sweep_every,
                seed=seed,
                settings=settings,
                announced=True,
                log_request=log_request,
            ) as stack:
                if not stop.is_set():
                    _welcome(console, stack.address, others)
                    welcomed.set()
                stop.wait()
                console.print("Stopping ...", style="dim")
        except PortTakenError as error:
            print(f"{error} {_other_port(error.port, is_api=error.port == port)}", file=sys.stderr)
            return 1
        except EngineUnreachableError as error:
            print(f"{error} Start it, or unset DYNAMODB_URL to use the embedded engine.", file=sys.stderr)
            return 1
    console.print("Stopped.")
    return 0


def _shares_tables(
    others: Sequence[StackAddress], dynamodb_url: str | None, table_prefix: str
) -> StackAddress | None:
    """The running stack that serves these tables. Two stacks would overwrite each other's stream positions."""
    for other in others if dynamodb_url else ():
        if (other.dynamodb_url, other.table_prefix) == ((dynamodb_url or "").rstrip("/"), table_prefix):
            return other
    return None


def _other_port(port: int, *, is_api: bool) -> str:
    if not is_api:
        return f"Choose another: openbooking serve --dynamodb-port {port + 1}"
    other = port + 1 if 1024 <= port < MAX_PORT else DEFAULT_PORT + 1
    return f"Choose another: PORT={other} make run"


def _print_line(line: str) -> None:
    try:
        # In one call, so that lines of several threads are not mixed.
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError:
        # The terminal is closed; requests are still served.
        return


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `stop`; a second one ends the process immediately."""

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop()

    before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _welcome(console: Console, address: StackAddress, others: Sequence[StackAddress]) -> None:
    url = address.url

    def heading(text: str) -> None:
        console.print()
        console.print(text, style="bold")

    def line(text: str) -> None:
        # Not wrapped: commands to copy must stay on one line.
        console.print(f"  {text}", soft_wrap=True, markup=False)

    console.print()
    console.print(f"The Open Booking API runs at {url}", style="bold green")
    heading("Open")
    line(f"{url}/openactive  (the dataset site)")
    line(f"{url}/feeds/scheduled-sessions  (an open feed)")
    heading("Try, in another terminal")
    port = urlsplit(url).port
    line(
        f"make demo{'' if port == DEFAULT_PORT else f' PORT={port}'}  (a Broker books a session and cancels it)"
    )
    line(f"curl -s {url}/feeds/session-series")
    headers = _file(address, "headers", _header_lines(None))
    line(f"curl -s -H @{headers} {url}/api/openbooking/orders-rpde")
    choice = something_to_book(url, datetime.now(UTC))
    if choice is not None:
        heading(f"Ask for a quote (C1): {choice.name}, {choice.session['startDate']}")
        headers = _file(address, "seller-headers", _header_lines(choice.seller["@id"]))
        quote = _file(address, "quote.json", json.dumps(order_request("OrderQuote", choice), indent=2) + "\n")
        template = f"{url}/api/openbooking/order-quote-templates/{uuid.uuid4()}"
        line(f"curl -s -X PUT -H @{headers} -d @{quote} {template}")
    heading("Data")
    line(f"tables {address.table_prefix}-* at {address.dynamodb_url}")
    if others:
        line(f"Other openbooking commands use the server at {others[0].url}, which was started first.")
        line(f"For this one, add: --dynamodb-url {address.dynamodb_url}")
    else:
        line(f"Other openbooking commands, such as {command('partners', 'list')}, use them by default.")
    console.print()
    console.print("Ctrl-C stops it. Requests:")


def _file(address: StackAddress, name: str, text: str) -> str:
    """Write `text` to a file of the stack, which is removed when it stops; return the shortest path to it."""
    file = stack_directory(address) / name
    write_atomically(file, text)
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


def _header_lines(seller_id: str | None) -> str:
    headers = {name: value for name, value in partner_headers(seller_id).items() if name != "Accept"}
    return "".join(f"{name}: {value}\n" for name, value in headers.items())
