"""`openbooking serve`: runs the local stack, says what to open and try, stops on a signal."""

from __future__ import annotations

import json
import shlex
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

from rich.console import Console

from openbooking.broker.client import Choice, order_request, partner_headers, something_to_book
from openbooking.local.engine import EngineUnreachableError
from openbooking.local.server import PortTakenError
from openbooking.local.stack import LocalStack


def serve(
    *,
    host: str,
    port: int,
    dynamodb_url: str | None,
    dynamodb_port: int,
    sweep_every: float | None,
    seed: Callable[[], None] | None,
    settings: Mapping[str, str] | None = None,
) -> int:
    """Returns the exit code: 0 after a signal, 1 if it could not start."""
    console = Console(highlight=False)
    stop = threading.Event()
    with _signals(stop.set):
        console.print("Starting ...", style="dim")
        try:
            with LocalStack(
                host=host,
                port=port,
                dynamodb_url=dynamodb_url,
                dynamodb_port=dynamodb_port,
                sweep_every=sweep_every,
                seed=seed,
                settings=settings,
                announced=True,
            ) as stack:
                stack.drain()
                if not stop.is_set():
                    _welcome(console, stack)
                stop.wait()
                console.print("Stopping ...", style="dim")
        except PortTakenError as error:
            option = "--port" if error.port == port else "--dynamodb-port"
            other = f"openbooking serve {option} {error.port + 1}"
            console.print(f"{error} Stop it, or choose another: {other}", soft_wrap=True)
            return 1
        except EngineUnreachableError as error:
            advice = "Start it, or unset DYNAMODB_URL for the one that comes along."
            console.print(f"{error} {advice}", soft_wrap=True)
            return 1
    console.print("Stopped.")
    return 0


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `stop`; a second one ends the process at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop()

    before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _welcome(console: Console, stack: LocalStack) -> None:
    def heading(text: str) -> None:
        console.print()
        console.print(text, style="bold")

    def line(text: str) -> None:
        # Not wrapped: what is copied must stay one line.
        console.print(f"  {text}", soft_wrap=True, markup=False)

    console.print()
    console.print(f"The Open Booking API runs at {stack.url}", style="bold green")
    heading("Open")
    line(f"{stack.url}/openactive  (the dataset site)")
    line(f"{stack.url}/feeds/scheduled-sessions  (an open feed)")
    heading("Try, in another terminal")
    line("make demo  (a Broker books a session and cancels it)")
    line(f"curl -s {stack.url}/feeds/session-series")
    line(f"curl -s {_header_options(None)} {stack.url}/api/openbooking/orders-rpde")
    choice = something_to_book(stack.url, datetime.now(UTC))
    if choice is not None:
        heading(f"Ask for a quote (C1): {choice.name}, {choice.session['startDate']}")
        line(_quote_command(stack.url, choice))
    heading("Behind it")
    line(f"DynamoDB at {stack.dynamodb_url}, found by the other openbooking commands by themselves")
    console.print()
    console.print("Ctrl-C stops it.")


def _quote_command(url: str, choice: Choice) -> str:
    template = f"{url}/api/openbooking/order-quote-templates/{uuid.uuid4()}"
    body = shlex.quote(_compact(order_request("OrderQuote", choice)))
    return f"curl -s -X PUT {_header_options(choice.seller['@id'])} -d {body} {template}"


def _header_options(seller_id: str | None) -> str:
    headers = {name: value for name, value in partner_headers(seller_id).items() if name != "Accept"}
    return " ".join(f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items())


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
