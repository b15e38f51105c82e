from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from chalice import Chalice

from openbooking.local.schedules import Schedule


def test_chalice_understands_the_event() -> None:
    app = Chalice("stub", configure_logs=False)
    seen: list[Any] = []

    @app.schedule("rate(1 minute)")
    def sweep(event: Any) -> None:
        seen.append((event.time, event.source, event.detail_type, event.resources))

    at = datetime(2026, 5, 1, 12, 0, 30, tzinfo=UTC)
    Schedule("sweep", sweep, every=60, clock=lambda: at).run_once()
    rule = "arn:aws:events:eu-west-2:123456789012:rule/sweep"
    assert seen == [("2026-05-01T12:00:30Z", "aws.events", "Scheduled Event", [rule])]


def test_a_call_that_fails_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    called = threading.Event()
    calls: list[int] = []

    def fails_first(event: dict[str, Any], context: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("not now")
        called.set()

    with Schedule("sweep", fails_first, every=0.001):
        assert called.wait(timeout=10)
    assert "sweep failed" in caplog.text


def test_stopping_does_not_wait_for_the_next_call() -> None:
    with Schedule("sweep", lambda event, context: None, every=3600):
        pass
    assert "sweep" not in {each.name for each in threading.enumerate()}
