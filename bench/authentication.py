"""Measures authentication: the check of an access token, compared with the whole of B with that token."""

import time
from statistics import median

from bench.handler_time import output_to_nowhere
from bench.installation import Installation, ask, booking, new_uuid
from chalicelib.identity.scopes import BOOKING
from chalicelib.runtime.system import install
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.values import replace
from tests.support.engines import Calls
from tests.support.inventory import BASE_URL, seller_id

REPEATS = 300


def authentication_share(installation: Installation, repeats: int = REPEATS) -> tuple[float, int]:
    """The share of authentication in the time of a warm B (medians, interleaved), and the additional calls to
    DynamoDB of a warm B with a token, compared with development headers."""
    session = installation.session(10 * repeats)
    calls = Calls(installation.tables)
    by_headers = calls.during(lambda: ask(booking(new_uuid(), session)))

    system = installation.system(Telemetry())
    system.settings = replace(system.settings, authentication="openid")
    install(system)
    token = system.issuer.access_token(BASE_URL, "partner-1", seller_id(1), [BOOKING])
    headers = {"authorization": f"Bearer {token}"}
    books = [replace(booking(new_uuid(), session), headers=headers) for _ in range(repeats + 2)]
    with output_to_nowhere():
        ask(books.pop())
        by_token = calls.during(lambda: ask(books.pop()))
        whole, check = [], []
        for request in books:
            started = time.perf_counter()
            answer = ask(request)
            whole.append(time.perf_counter() - started)
            assert answer.status == 201, answer.body
            started = time.perf_counter()
            system.callers.caller(headers, BASE_URL)
            check.append(time.perf_counter() - started)
    install(installation.system())
    return median(check) / median(whole), len(by_token) - len(by_headers)
