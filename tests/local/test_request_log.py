from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from openbooking.local.request_log import RequestLog, shown_path


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("201 Created", [("Content-Length", "4")])
    return [b"done"]


def test_a_request_is_one_short_line() -> None:
    lines: list[str] = []
    seconds: Iterator[float] = iter([10.0, 10.0246])
    log = RequestLog(
        application,
        lines.append,
        clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        timer=lambda: next(seconds),
    )
    started: list[Any] = []
    body = log({"REQUEST_METHOD": "PUT", "REQUEST_URI": "/orders/1"}, lambda *given: started.append(given))
    assert lines == ["03:04:05 PUT    /orders/1 201 25 ms"]
    assert (list(body), started) == ([b"done"], [("201 Created", [("Content-Length", "4")])])


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("/orders-rpde?afterChangeNumber=3", "/orders-rpde"),
        ("/openid/login?email=geoff@example.com#part", "/openid/login"),
        ("/api/passes/ABCDEFGHJKLM.svg", "/api/passes/..."),
        ("/a\x1b[31m\r\nb\u00e9", "/a?[31m??b?"),
        ("/" + "x" * 300, "/" + "x" * 199 + "..."),
    ],
)
def test_neither_personal_data_nor_credentials_are_shown(sent: str, shown: str) -> None:
    assert shown_path({"REQUEST_URI": sent}) == shown


def test_a_request_without_its_raw_form_is_shown_by_its_path() -> None:
    assert shown_path({"PATH_INFO": "/openactive"}) == "/openactive"
