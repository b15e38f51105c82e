from __future__ import annotations

import errno
import os
import re
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from chalice import Chalice

from openbooking.local.discovery import running_stack
from openbooking.local.embedded import EmbeddedEngine
from openbooking.local.engine import EngineUnreachableError, dynamodb_client
from openbooking.local.server import PortTakenError
from openbooking.local.stack import LocalApp, LocalStack


class Stub:
    """An app that writes an order on request and shows what its functions were called with."""

    def __init__(self) -> None:
        self.records: list[str] = []
        self.swept = threading.Event()
        self.streamed = threading.Event()
        self.environment: dict[str, str] = {}

    def load(self) -> LocalApp:
        self.environment = dict(os.environ)
        app = Chalice("stub", configure_logs=False)

        @app.route("/orders/{uuid}", methods=["PUT"])
        def put(uuid: str) -> dict[str, Any]:
            client = dynamodb_client(os.environ["DYNAMODB_URL"])
            table = f"{os.environ['TABLE_PREFIX']}-orders"
            client.put_item(TableName=table, Item={"order_key": {"S": uuid}})
            client.close()
            return {"uuid": uuid}

        def orders_stream(event: dict[str, Any], context: Any) -> dict[str, Any]:
            for each in event["Records"]:
                self.records.append(each["dynamodb"]["Keys"]["order_key"]["S"])
            self.streamed.set()
            return {"batchItemFailures": []}

        return LocalApp(
            app,
            orders_stream,
            inventory_stream=lambda event, context: {},
            lease_sweep=lambda event, context: self.swept.set(),
            import_sources=lambda event, context: {},
        )


def test_a_write_reaches_the_stream_handler(tmp_path: Path) -> None:
    stub = Stub()
    with LocalStack(load=stub.load, directory=tmp_path) as stack:
        assert httpx.put(f"{stack.url}/orders/abc", json={}).json() == {"uuid": "abc"}
        stack.drain()
        assert stub.records == ["abc"]


def test_it_reaches_it_also_unasked(tmp_path: Path) -> None:
    stub = Stub()
    with LocalStack(load=stub.load, directory=tmp_path) as stack:
        httpx.put(f"{stack.url}/orders/abc", json={})
        assert stub.streamed.wait(timeout=10)


def test_the_sweep_runs_when_it_is_on(tmp_path: Path) -> None:
    stub = Stub()
    with LocalStack(load=stub.load, sweep_every=0.001, directory=tmp_path):
        assert stub.swept.wait(timeout=10)
    stub.swept.clear()
    with LocalStack(load=stub.load, sweep_every=None, directory=tmp_path):
        pass
    assert not stub.swept.is_set()


def test_the_app_is_loaded_in_the_environment_it_is_to_have(tmp_path: Path) -> None:
    stub = Stub()
    before = dict(os.environ)
    settings = {"LEASE_SECONDS": "7", "AUTHENTICATION": "api-keys"}
    with LocalStack(load=stub.load, settings=settings, directory=tmp_path) as stack:
        assert stub.environment["DYNAMODB_URL"] == stack.dynamodb_url
        assert stub.environment["TABLE_PREFIX"] == "openbooking-local"
        assert stub.environment["LEASE_SECONDS"] == "7"
        assert stub.environment["AUTHENTICATION"] == "api-keys"
    after = {name: value for name, value in os.environ.items() if name != "AWS_EXECUTION_ENV"}
    before.pop("AWS_EXECUTION_ENV", None)
    assert after == before


def test_the_seed_finds_tables_and_its_changes_reach_the_handlers(tmp_path: Path) -> None:
    stub = Stub()

    def seed() -> None:
        client = dynamodb_client(os.environ["DYNAMODB_URL"])
        client.put_item(TableName="mine-orders", Item={"order_key": {"S": "seeded"}})
        client.close()

    with LocalStack(load=stub.load, seed=seed, table_prefix="mine", directory=tmp_path) as stack:
        stack.drain()
    assert stub.records == ["seeded"]


def test_no_request_is_answered_before_the_handlers_have_handled_the_seed(tmp_path: Path) -> None:
    stub, refused = Stub(), []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def is_refused() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED

    def seed() -> None:
        refused.append(is_refused())
        client = dynamodb_client(os.environ["DYNAMODB_URL"])
        client.put_item(TableName="openbooking-local-orders", Item={"order_key": {"S": "seeded"}})
        client.close()

    def load() -> LocalApp:
        app = stub.load()

        def orders_stream(event: dict[str, Any], context: Any) -> dict[str, Any]:
            refused.append(is_refused())
            answer: dict[str, Any] = app.orders_stream(event, context)
            return answer

        return replace(app, orders_stream=orders_stream)

    with LocalStack(load=load, seed=seed, port=port, directory=tmp_path) as stack:
        assert stub.records == ["seeded"]
        assert httpx.put(f"{stack.url}/orders/abc", json={}).status_code == 200
    assert refused[:2] == [True, True]


def test_each_request_is_logged(tmp_path: Path) -> None:
    lines: list[str] = []
    with LocalStack(load=Stub().load, directory=tmp_path, log_request=lines.append) as stack:
        httpx.put(f"{stack.url}/orders/abc?email=geoff@example.com", json={"email": "geoff@example.com"})
        httpx.get(f"{stack.url}/nowhere")
    assert [re.sub(r"^\d\d:\d\d:\d\d |\d+ ms$", "", line) for line in lines] == [
        "PUT    /orders/abc 200 ",
        "GET    /nowhere 404 ",
    ]


def test_only_an_announced_stack_is_found_and_only_while_it_runs(tmp_path: Path) -> None:
    with LocalStack(load=Stub().load, directory=tmp_path):
        assert running_stack(tmp_path) is None
    with LocalStack(load=Stub().load, directory=tmp_path, announced=True) as stack:
        found = running_stack(tmp_path)
        assert found is not None
        assert (found.url, found.dynamodb_url) == (stack.url, stack.dynamodb_url)
    assert running_stack(tmp_path) is None


def test_nothing_is_left_after_it_ended(tmp_path: Path) -> None:
    with LocalStack(load=Stub().load, directory=tmp_path) as stack:
        httpx.put(f"{stack.url}/orders/abc", json={})
    names = {each.name for each in threading.enumerate() if each is not threading.main_thread()}
    assert not [name for name in names if not name.startswith("waitress")]
    with pytest.raises(httpx.ConnectError):
        httpx.get(stack.url)


def test_what_fails_on_the_way_up_is_taken_down_again(tmp_path: Path) -> None:
    def broken() -> LocalApp:
        raise ValueError("no app")

    with pytest.raises(ValueError, match="no app"), LocalStack(load=broken, directory=tmp_path):
        pass
    assert "DYNAMODB_URL" not in os.environ
    assert not [each.name for each in threading.enumerate() if each.name.startswith("http-")]


def test_a_second_stack_on_the_same_port_is_refused_before_anything_else(tmp_path: Path) -> None:
    with LocalStack(load=Stub().load, directory=tmp_path) as stack:
        port = int(stack.url.rpartition(":")[2])
        with (
            pytest.raises(PortTakenError, match=str(port)),
            LocalStack(load=Stub().load, port=port, directory=tmp_path),
        ):
            pass
        assert httpx.put(f"{stack.url}/orders/abc", json={}).status_code == 200


def test_an_engine_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(EngineUnreachableError, match=re.escape("127.0.0.1:1")),
        LocalStack(load=Stub().load, dynamodb_url="http://127.0.0.1:1", directory=tmp_path),
    ):
        pass


def test_on_a_separate_engine_a_restart_repeats_and_loses_nothing(tmp_path: Path) -> None:
    runs = [Stub(), Stub()]
    with EmbeddedEngine() as engine:
        for stub, key in zip(runs, ["first", "second"], strict=True):
            with LocalStack(load=stub.load, dynamodb_url=engine.url, directory=tmp_path) as stack:
                httpx.put(f"{stack.url}/orders/{key}", json={})
                stack.drain()
    assert [stub.records for stub in runs] == [["first"], ["second"]]


def test_the_stack_refuses_the_development_headers_when_they_are_off(tmp_path: Path) -> None:
    settings = {"AUTHENTICATION": "openid"}
    with LocalStack(settings=settings, directory=tmp_path) as stack:
        headers = {"X-OpenActive-Test-Client-Id": "booking-partner-1"}
        answer = httpx.get(f"{stack.url}/api/openbooking/orders-rpde", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["@type"] == "UnauthenticatedError"
