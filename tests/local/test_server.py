from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from openbooking.local.server import HttpServer, PortTakenError, bind


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/nothing":
        start_response("204 No Content", [])
        return [b""]
    answer = f"{environ['PATH_INFO']} {len(body)}".encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


def refuse(status: int) -> tuple[int, list[tuple[str, str]], bytes]:
    return status, [("Content-Type", "application/json")], json.dumps({"refused": status}).encode()


@pytest.fixture
def server() -> Iterator[HttpServer]:
    server = HttpServer(application, bind("127.0.0.1", 0), threads=2, max_request_bytes=1000, refuse=refuse)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def connection(server: HttpServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield connection
    connection.close()


def get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_a_connection_is_kept_through_all_kinds_of_answers(
    connection: http.client.HTTPConnection,
) -> None:
    connection.connect()
    its_socket = connection.sock
    for path, answer in {
        "/a": (200, b"/a 0"),
        "/nothing": (204, b""),
        "/b": (200, b"/b 0"),
    }.items():
        assert get(connection, path) == answer
        assert connection.sock is its_socket


def test_a_client_that_asks_to_close_is_obeyed(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/nothing", headers={"Connection": "close"})
    answer = connection.getresponse()
    answer.read()
    assert answer.getheader("Connection") == "close"


def test_a_chunked_body_is_read_whole(connection: http.client.HTTPConnection) -> None:
    connection.request("PUT", "/c", body=iter([b"12", b"345"]), encode_chunked=True)
    assert connection.getresponse().read() == b"/c 5"


def test_a_body_beyond_all_measure_is_refused_in_the_given_form(
    connection: http.client.HTTPConnection,
) -> None:
    connection.request("PUT", "/d", headers={"Content-Length": "5000"})
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (413, {"refused": 413})
    assert answer.getheader("Content-Type") == "application/json"


def test_what_is_not_http_is_refused_in_the_given_form(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nno colon here\r\n\r\n")
        with raw.makefile("rb") as answer:
            text = answer.read()
    assert text.startswith(b"HTTP/1.0 400 Bad Request")
    assert text.endswith(b'{"refused": 400}')


def test_stopping_lets_a_request_finish_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    inside, proceed = threading.Event(), threading.Event()

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        inside.set()
        proceed.wait(timeout=10)
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]

    server = HttpServer(slow, bind("127.0.0.1", 0), threads=1)
    server.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/")
    inside.wait(timeout=10)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    proceed.set()
    assert connection.getresponse().read() == b"done"
    stopping.join()
    connection.close()
    # The worker ends after a request to stop; no other thread may be left.
    left = {each for each in set(threading.enumerate()) - before if "waitress" not in each.name}
    assert left == set()


def test_localhost_answers_on_both_of_its_addresses() -> None:
    sockets = bind("localhost", 0)
    server = HttpServer(application, sockets, threads=1)
    server.start()
    for each in sockets:
        connection = http.client.HTTPConnection(*each.getsockname()[:2], timeout=10)
        assert get(connection, "/x") == (200, b"/x 0")
        connection.close()
    server.stop()


def test_a_port_can_be_taken_again_right_after_it_was_released() -> None:
    port = 0
    for _ in range(3):
        server = HttpServer(application, bind("localhost", port), threads=1)
        server.start()
        port = server.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        assert get(connection, "/x")[0] == 200
        server.stop()
        connection.close()


def test_a_port_that_is_taken_is_refused_and_nothing_is_held(server: HttpServer) -> None:
    with pytest.raises(PortTakenError) as caught:
        bind("localhost", server.port)
    assert caught.value.port == server.port


def test_an_address_that_is_not_ours_is_the_callers_mistake() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        bind("192.0.2.1", 0)


def test_of_two_on_one_port_the_first_to_answer_gets_it() -> None:
    # Both can bind it, because neither answers yet: a second `make run` while the first one starts.
    first = HttpServer(application, bind("127.0.0.1", 0), threads=1)
    second = HttpServer(application, bind("127.0.0.1", first.port), threads=1)
    first.start()
    with pytest.raises(PortTakenError, match=f"Port {first.port} is in use by another program"):
        second.start()
    second.stop()
    connection = http.client.HTTPConnection("127.0.0.1", first.port, timeout=10)
    assert get(connection, "/x")[0] == 200
    connection.close()
    first.stop()


def test_a_port_that_only_administrators_may_have_is_named_as_such() -> None:
    assert str(PortTakenError(80, reserved=True)) == "Port 80 needs administrator rights."
