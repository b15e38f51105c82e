from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chalice import Chalice, CORSConfig, Response
from chalice.config import Config
from chalice.local import LocalGateway

from chalicelib.api.application import ThreadedChalice
from openbooking.local.gateway import MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, Gateway

BOOKING = "application/vnd.openactive.booking+json"
BOTH = [BOOKING, "application/json"]
JSON_LD = f"{BOOKING}; version=1"


@pytest.fixture
def app() -> Chalice:
    app = ThreadedChalice("stub", configure_logs=False)

    @app.route("/orders/{uuid}", methods=["GET", "PUT"], content_types=BOTH)
    def orders(uuid: str) -> dict[str, Any]:
        request = app.current_request
        assert request is not None
        body = request.raw_body
        return {
            "uuid": uuid,
            "body": body.decode("latin-1") if isinstance(body, bytes) else body,
            "event": {**request.to_original_event(), "body": None},
        }

    @app.route("/orders/{uuid}", methods=["DELETE"], content_types=BOTH)
    def deletion(uuid: str) -> Response:
        return Response("", status_code=204, headers={"Content-Type": JSON_LD, "X-Of": uuid})

    @app.route("/orders/mine", methods=["GET"])
    def mine() -> Response:
        return Response("mine", headers={"Content-Type": "text/plain", "Set-Cookie": ["a=1", "b=2"]})

    @app.route("/shared", methods=["GET"], cors=CORSConfig(allow_origin="https://site.example"))
    def shared() -> dict[str, Any]:
        return {}

    return app


class Answer:
    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = int(status.split()[0])
        self.headers = headers
        self.type = dict(headers).get("Content-Type")
        self.body = body

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    gateway: Gateway,
    method: str,
    uri: str,
    body: bytes = b"",
    *,
    length: int | None = None,
    **headers: str,
) -> Answer:
    """One request as waitress hands it over."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "REQUEST_URI": uri,
        "PATH_INFO": uri,
        "REMOTE_ADDR": "127.0.0.9",
        "SERVER_PORT": "8000",
        "HTTP_HOST": "localhost:8000",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        **headers,
    }
    if body or length is not None:
        environ["CONTENT_LENGTH"] = str(len(body) if length is None else length)
    started: list[Any] = []
    chunks = gateway(environ, lambda status, headers: started.extend([status, headers]))
    return Answer(started[0], started[1], b"".join(chunks))


# --- what reaches the app --------------------------------------------------------------------


def test_an_event_is_that_of_a_rest_api(app: Chalice) -> None:
    answer = ask(
        Gateway(app),
        "PUT",
        "/orders/abc?limit=5&x=1&x=2&blank=",
        b"{}",
        CONTENT_TYPE=f"{BOOKING}; version=1",
        HTTP_X_OPENACTIVE_TEST_CLIENT_ID="partner",
        HTTP_USER_AGENT="test",
    )
    event = answer.json()["event"]
    assert answer.status == 200
    assert event["resource"] == "/orders/{uuid}"
    assert event["path"] == event["requestContext"]["path"] == "/orders/abc"
    assert event["httpMethod"] == event["requestContext"]["httpMethod"] == "PUT"
    assert event["pathParameters"] == {"uuid": "abc"}
    assert event["queryStringParameters"] == {"limit": "5", "x": "2", "blank": ""}
    assert event["multiValueQueryStringParameters"] == {
        "limit": ["5"],
        "x": ["1", "2"],
        "blank": [""],
    }
    assert event["headers"]["x-openactive-test-client-id"] == "partner"
    assert event["headers"]["content-type"] == JSON_LD
    assert event["headers"]["host"] == "localhost:8000"
    assert "domainName" not in event["requestContext"]  # it says that a request came by https
    assert event["headers"]["x-forwarded-proto"] == "http"
    assert event["multiValueHeaders"]["host"] == ["localhost:8000"]
    assert event["requestContext"]["identity"] == {"sourceIp": "127.0.0.9", "userAgent": "test"}
    assert event["isBase64Encoded"] is False


def test_what_is_absent_is_null_as_on_aws(app: Chalice) -> None:
    event = ask(Gateway(app), "GET", "/orders/abc").json()["event"]
    assert event["multiValueQueryStringParameters"] is None
    assert event["queryStringParameters"] is None
    assert event["stageVariables"] is None


def test_a_path_parameter_stays_percent_encoded(app: Chalice) -> None:
    assert ask(Gateway(app), "GET", "/orders/a%2Fb%20c").json()["uuid"] == "a%2Fb%20c"


def test_a_literal_path_wins_over_a_parameter(app: Chalice) -> None:
    answer = ask(Gateway(app), "GET", "/orders/mine/")
    assert (answer.type, answer.body) == ("text/plain", b"mine")
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a=1", "b=2"]


def test_the_absolute_form_of_a_request_is_understood(app: Chalice) -> None:
    answer = ask(Gateway(app), "GET", "http://localhost:8000/orders/abc?x=1")
    assert answer.json()["event"]["queryStringParameters"] == {"x": "1"}


def test_a_body_in_utf_8_is_text(app: Chalice) -> None:
    answer = ask(Gateway(app), "PUT", "/orders/abc", "Zoë".encode(), CONTENT_TYPE=BOOKING)
    assert answer.json()["body"].encode("latin-1").decode() == "Zoë"
    assert answer.json()["event"]["isBase64Encoded"] is False


def test_a_body_that_is_not_utf_8_reaches_the_app_unspoilt(app: Chalice) -> None:
    answer = ask(Gateway(app), "PUT", "/orders/abc", b'{"n": "Zo\xeb"}', CONTENT_TYPE=BOOKING)
    assert answer.json()["body"] == '{"n": "Zo\xeb"}'
    assert answer.json()["event"]["isBase64Encoded"] is True


def test_a_media_type_that_the_route_does_not_take_is_chalices_to_refuse(app: Chalice) -> None:
    assert ask(Gateway(app), "PUT", "/orders/abc", b"x", CONTENT_TYPE="text/plain").status == 415


# --- what comes back -------------------------------------------------------------------------


def test_a_204_has_neither_body_nor_type(app: Chalice) -> None:
    answer = ask(Gateway(app), "DELETE", "/orders/abc")
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers == [("X-Of", "abc")]


def test_head_has_the_length_and_no_body(app: Chalice) -> None:
    app.route("/headed", methods=["GET", "HEAD"])(lambda: Response("12345"))
    answer = ask(Gateway(app), "HEAD", "/headed")
    assert (answer.status, answer.body) == (200, b"")
    assert ("Content-Length", "5") in answer.headers


def test_a_binary_answer_is_decoded(app: Chalice) -> None:
    binary = Response(b"\x00\xff", headers={"Content-Type": "application/octet-stream"})
    app.route("/binary", methods=["GET"])(lambda: binary)
    answer = ask(Gateway(app), "GET", "/binary", HTTP_ACCEPT="application/octet-stream")
    assert answer.body == b"\x00\xff"


def test_an_answer_that_lambda_could_not_return_is_an_error(
    app: Chalice, caplog: pytest.LogCaptureFixture
) -> None:
    app.route("/huge", methods=["GET"])(lambda: Response("x" * (MAX_RESPONSE_BYTES + 1)))
    answer = ask(Gateway(app), "GET", "/huge")
    assert (answer.status, answer.json()["@type"]) == (500, "InternalApplicationError")
    assert "more than Lambda can return" in caplog.text


# --- what the gateway answers itself ---------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "/",
        "/nothing",
        "/orders",
        "/orders/",
        "/orders//",
        "/orders/a/b",
        "//orders/a",
        "//host/orders/a",
        "/orders;x/a",
        "/shared;x",
        "/[",
        "*",
        "/%00",
        "/\xff",
    ],
)
def test_an_unknown_path_is_answered_as_on_aws(app: Chalice, uri: str) -> None:
    answer = ask(Gateway(app), "GET", uri, HTTP_AUTHORIZATION="B\xe9arer x")
    assert (answer.status, answer.type) == (404, JSON_LD)
    assert answer.json()["@type"] == "UnknownOrIncorrectEndpointError"
    assert answer.json()["@context"] == "https://openactive.io/"


def test_the_gateways_answers_are_those_defined_for_aws(app: Chalice) -> None:
    definition = Path(__file__).parents[2] / "infra" / "gateway.json"
    responses = json.loads(definition.read_text())["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]
    on_aws = json.loads(responses["MISSING_AUTHENTICATION_TOKEN"]["ResponseTemplates"]["application/json"])
    here = ask(Gateway(app), "GET", "/nothing").json()
    assert here.pop("requestId")
    on_aws.pop("requestId")
    assert here == on_aws


def test_a_verb_that_a_path_was_not_deployed_with_is_unknown_as_on_aws(app: Chalice) -> None:
    assert ask(Gateway(app), "PATCH", "/orders/abc").status == 404
    assert ask(Gateway(app), "OPTIONS", "/orders/abc").status == 404


def test_options_is_answered_where_chalice_deploys_it(app: Chalice) -> None:
    answer = ask(Gateway(app), "OPTIONS", "/shared")
    assert answer.status == 200
    assert dict(answer.headers)["Access-Control-Allow-Origin"] == "https://site.example"


class Unreadable(io.BytesIO):
    def read(self, *_: Any) -> bytes:
        raise AssertionError("the body was read")


def test_a_body_over_the_limit_is_refused_unread(app: Chalice) -> None:
    answer = ask(
        Gateway(app),
        "PUT",
        "/orders/abc",
        length=MAX_REQUEST_BYTES + 1,
        **{"wsgi.input": Unreadable()},  # type: ignore[arg-type]
    )
    assert (answer.status, answer.type) == (413, JSON_LD)
    assert answer.json()["@type"] == "UnexpectedOrderTypeError"


def test_a_body_at_the_limit_is_taken(app: Chalice) -> None:
    gateway = Gateway(app, max_request_bytes=10)
    assert ask(gateway, "PUT", "/orders/abc", b"x" * 10, CONTENT_TYPE=BOOKING).status == 200
    assert ask(gateway, "PUT", "/orders/abc", b"x" * 11, CONTENT_TYPE=BOOKING).status == 413


def test_an_exception_is_logged_and_not_shown(app: Chalice, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Response):
        def to_dict(self, binary_types: list[str] | None = None) -> dict[str, Any]:
            raise SystemError("a secret")

    app.route("/broken", methods=["GET"])(lambda: Broken(""))
    with caplog.at_level(logging.ERROR):
        answer = ask(Gateway(app), "GET", "/broken")
    assert (answer.status, answer.type) == (500, JSON_LD)
    assert answer.json()["@type"] == "InternalApplicationError"
    assert b"secret" not in answer.body
    assert "a secret" in caplog.text


@pytest.mark.parametrize(("status", "answered"), [(400, 400), (413, 413), (431, 400), (501, 500)])
def test_what_the_server_refuses_is_an_open_booking_error_too(
    app: Chalice, status: int, answered: int
) -> None:
    code, headers, body = Gateway(app).refuse(status)
    assert code == answered
    assert json.loads(body)["@type"].endswith("Error")
    assert dict(headers)["Content-Type"] == JSON_LD


# --- around it -------------------------------------------------------------------------------


def test_after_a_write_the_pump_is_called(app: Chalice) -> None:
    calls: list[str] = []
    gateway = Gateway(app, after_write=lambda: calls.append("x"))
    ask(gateway, "GET", "/orders/abc")
    assert calls == []
    ask(gateway, "DELETE", "/orders/abc")
    assert calls == ["x"]


def _two_at_once(app: Chalice, request: Callable[[str], Any]) -> dict[str, str]:
    """The uuid that each of two concurrent requests sees as its own."""
    both_inside = threading.Barrier(2)
    seen: dict[str, str] = {}

    @app.route("/meet/{uuid}", methods=["GET"])
    def meet(uuid: str) -> None:
        both_inside.wait(timeout=10)
        assert app.current_request is not None and app.current_request.uri_params is not None
        seen[uuid] = app.current_request.uri_params["uuid"]

    threads = [threading.Thread(target=request, args=(name,)) for name in ("one", "two")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return seen


def test_requests_at_the_same_time_do_not_see_each_other(app: Chalice) -> None:
    gateways: list[Gateway] = []

    def request(name: str) -> None:
        ask(gateways[0], "GET", f"/meet/{name}")

    app.route("/meet/{uuid}", methods=["POST"])(lambda uuid: None)
    gateways.append(Gateway(app))
    assert _two_at_once(app, request) == {"one": "one", "two": "two"}


def test_with_a_plain_app_they_would() -> None:
    app = Chalice("stub", configure_logs=False)

    def request(name: str) -> None:
        local.handle_request("GET", f"/meet/{name}", {}, None)

    app.route("/meet/{uuid}", methods=["POST"])(lambda uuid: None)
    local = LocalGateway(app, Config.create(app_name="stub"))
    seen = _two_at_once(app, request)
    assert len(set(seen.values())) == 1
