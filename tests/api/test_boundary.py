"""What comes before any Order: media types, bodies, verbs, callers, and faults of our own."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from chalicelib.booking.decisions import Change, Snapshot, Wanted
from chalicelib.runtime import system
from chalicelib.runtime.telemetry import Telemetry
from chalicelib.storage.errors import CommitRefused, OrderChanged, OrderTooLarge, StoreBusy
from chalicelib.storage.feeds import PageRows
from chalicelib.values import replace
from tests.support.builders import KEY
from tests.support.memory import MemoryFeeds, MemoryStore
from tests.support.world import API, MEDIA_TYPE, Answer, Broker, World, outer, seller_id

UUID = "10000000-0000-4000-8000-000000000001"
ORDER, QUOTE, TEMPLATE = (
    f"{API}/orders/{UUID}",
    f"{API}/order-quotes/{UUID}",
    f"{API}/order-quote-templates/{UUID}",
)


def assert_error(answer: Answer, status: int, kind: str) -> None:
    """ERR-01, ERR-03, ERR-06, MEDIA-01, MEDIA-02."""
    assert (answer.status, answer.json["@type"]) == (status, kind)
    assert answer.json["@context"] == "https://openactive.io/"
    assert answer.media_type == MEDIA_TYPE
    assert answer.json.get("statusCode", status) == status
    assert b"base.invalid" not in answer.body


# --- media types -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.openactive.booking+json; version=1",
        "application/vnd.openactive.booking+json;version=1",
        "application/vnd.openactive.booking+json",
        "Application/Vnd.OpenActive.Booking+JSON; Version=1",
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        None,
    ],
)
def test_media_types_that_are_read(world: World, broker: Broker, media_type: str | None) -> None:
    """MEDIA-01, MEDIA-08: answered in the booking media type whichever was sent."""
    body = broker.body("OrderQuote", world.session().item())
    answer = broker.send("PUT", TEMPLATE, body, {"Content-Type": media_type})
    assert answer.status == 200
    assert answer.media_type == MEDIA_TYPE


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/ld+json", "json", ""])
@pytest.mark.parametrize(("verb", "path"), [("PUT", TEMPLATE), ("PUT", ORDER), ("PATCH", ORDER)])
@pytest.mark.shows("UnsupportedMediaTypeError")
def test_other_media_types_are_refused(
    world: World, broker: Broker, verb: str, path: str, media_type: str
) -> None:
    answer = broker.send(verb, path, broker.body("Order"), {"Content-Type": media_type})
    assert_error(answer, 415, "UnexpectedOrderTypeError")


# --- bodies ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"null",
        b'{"@type": NaN}',
        b'{"@type": "OrderQuote", "x": 1e999}',
        b'{"@type": "\\ud800"}',
        b'{"@type": "\xff\xfe"}',
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:14]),
)
@pytest.mark.parametrize(
    ("verb", "path"), [("PUT", TEMPLATE), ("PUT", QUOTE), ("PUT", ORDER), ("PATCH", ORDER)]
)
@pytest.mark.shows("MalformedRequestError")
def test_body_that_is_no_json_object_is_refused(
    world: World, broker: Broker, verb: str, path: str, body: bytes
) -> None:
    assert_error(broker.send(verb, path, body), 400, "UnexpectedOrderTypeError")


@pytest.mark.shows("RequestTooLargeError")
def test_body_that_is_too_large_is_refused(world: World, broker: Broker) -> None:
    """As API Gateway does."""
    body = json.dumps(broker.body("OrderQuote") | {"padding": "x" * 10 * 1024 * 1024}).encode()
    assert_error(broker.send("PUT", TEMPLATE, body), 413, "UnexpectedOrderTypeError")


def test_gateway_event_with_half_a_character_or_an_odd_verb_is_refused(world: World, broker: Broker) -> None:
    """Lambda gets the body as text, in which anything can stand."""
    import app

    event: dict[str, Any] = {
        "resource": "/api/openbooking/orders/{uuid}",
        "path": ORDER,
        "httpMethod": "PUT",
        "headers": {"Host": "booking.example", "X-OpenActive-Test-Client-Id": "partner-1"},
        "multiValueHeaders": {
            "Host": ["booking.example"],
            "Content-Type": [MEDIA_TYPE],
            "X-OpenActive-Test-Client-Id": ["partner-1"],
        },
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"uuid": UUID},
        "stageVariables": None,
        "requestContext": {
            "httpMethod": "PUT",
            "resourcePath": "/api/openbooking/orders/{uuid}",
            "path": f"/dev{ORDER}",
            "domainName": "x.execute-api.eu-west-2.amazonaws.com",
            "stage": "dev",
        },
        "body": '{"@type": "\ud800"}',
        "isBase64Encoded": False,
    }
    response = app.app(event, None)
    assert response["statusCode"] == 400
    event["body"] = json.dumps(broker.body("OrderQuote"))
    document = json.loads(app.app(event, None)["body"])
    assert document["@type"] == "UnexpectedOrderTypeError"
    assert document["statusCode"] == 500  # the body is read now, and is of another type
    for body, is_base64 in [
        (7, False),
        ({"@type": "Order"}, False),
        (7, True),
        ("not base64!", True),
        ("e30", True),  # without its padding
        ("\u0661\u0662", True),
        ("e3 0=", True),
        ("/w==", True),  # base64 of what is no UTF-8
        (None, False),
    ]:
        event |= {"body": body, "isBase64Encoded": is_base64}
        response = app.app(event, None)
        document = json.loads(response["body"])
        assert (response["statusCode"], document["@type"]) == (400, "UnexpectedOrderTypeError"), body
    whole = json.dumps(broker.body("OrderQuote")).encode()
    event |= {"body": base64.b64encode(whole).decode(), "isBase64Encoded": True}
    assert json.loads(app.app(event, None)["body"])["statusCode"] == 500  # read, and of another type
    event["requestContext"]["httpMethod"] = "TRACE"
    response = app.app(event, None)
    assert response["statusCode"] == 405
    assert json.loads(response["body"])["@type"] == "MethodNotAllowedError"


@pytest.mark.parametrize("items", [[], {}, "items", None, ...])
def test_order_without_items_is_refused(world: World, broker: Broker, items: Any) -> None:
    """C1-02, C1-05."""
    assert_error(broker.c1(UUID, orderedItem=items), 400, "UnexpectedOrderTypeError")


def test_order_of_too_many_places_is_refused(world: World, broker: Broker) -> None:
    yoga = world.session(spaces=500)
    answer = broker.c1(UUID, *(yoga.item(n) for n in range(201)))
    assert_error(answer, 413, "UnexpectedOrderTypeError")
    assert broker.c1(UUID, *(yoga.item(n) for n in range(200))).status == 200


def test_ids_that_no_row_can_have_are_not_looked_up(world: World, broker: Broker) -> None:
    """DynamoDB refuses keys of more than 2048 bytes; that must not be an error of ours."""
    asked: list[Wanted] = []

    class Asked(MemoryStore):
        def snapshot(self, wanted: Wanted) -> Snapshot:
            asked.append(wanted)
            return super().snapshot(wanted)

    world.system.store = Asked()
    long = outer(seller_id(1)) + "x" * 3000
    answer = broker.send(
        "PUT",
        TEMPLATE,
        broker.body(
            "OrderQuote", {"@type": "OrderItem", "position": 0, "orderedItem": long, "acceptedOffer": long}
        )
        | {"seller": long},
        {"X-OpenActive-Test-Seller-Id": long},
    )
    assert answer.json["@type"] == "SellerNotFoundError"
    assert [(wanted.seller_id, wanted.opportunity_ids) for wanted in asked] == [(None, ())]


# --- verbs and paths ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "supported"),
    [
        (TEMPLATE, {"PUT"}),
        (QUOTE, {"PUT", "DELETE"}),
        (ORDER, {"GET", "PUT", "PATCH", "DELETE", "HEAD"}),
        (f"{API}/orders-rpde", {"GET", "HEAD"}),
        ("/feeds/slots", {"GET", "HEAD", "OPTIONS"}),
        ("/openactive", {"GET", "HEAD", "OPTIONS"}),
    ],
)
@pytest.mark.parametrize("verb", ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"])
def test_wrong_verb_on_a_known_path(
    world: World, broker: Broker, path: str, supported: set[str], verb: str
) -> None:
    """GEN-16; and which would be right."""
    answer = broker.send(verb, path)
    if verb in supported:
        assert answer.status != 405
        return
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(", ")) == supported - {"HEAD"}
    if verb != "HEAD":
        assert_error(answer, 405, "MethodNotAllowedError")


@pytest.mark.parametrize("verb", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "uuid",
    ["order-1", "10000000000040008000000000000001", f"{UUID}0", "%7B10000000-0000-4000-8000-000000000001%7D"],
)
@pytest.mark.shows("UnknownOrIncorrectEndpointError")
def test_path_without_a_uuid_is_no_endpoint(world: World, verb: str, uuid: str) -> None:
    """GEN-01, T27, ERR-09: before anybody is asked who they are."""
    answer = Broker(world, partner=None).send(verb, f"{API}/orders/{uuid}")
    assert_error(answer, 404, "UnknownOrIncorrectEndpointError")


def test_unknown_feed_is_no_endpoint(world: World, broker: Broker) -> None:
    """GEN-16."""
    assert_error(broker.send("GET", "/feeds/courses"), 404, "UnknownOrIncorrectEndpointError")


def test_head_is_get_without_a_body(world: World, broker: Broker) -> None:
    broker.b(UUID, world.session().item())
    for path in (ORDER, "/openactive", "/feeds/slots", f"{API}/orders-rpde"):
        whole, head = broker.send("GET", path), broker.send("HEAD", path)
        assert (head.status, head.body) == (whole.status, b"")
        assert head.media_type == whole.media_type


# --- callers -----------------------------------------------------------------------------

AUTHENTICATED = [
    ("PUT", TEMPLATE),
    ("PUT", QUOTE),
    ("DELETE", QUOTE),
    ("PUT", ORDER),
    ("GET", ORDER),
    ("PATCH", ORDER),
    ("DELETE", ORDER),
    ("GET", f"{API}/orders-rpde"),
]


@pytest.mark.parametrize(("verb", "path"), AUTHENTICATED)
@pytest.mark.shows("UnauthenticatedError", "InvalidAuthorizationDetailsError")
def test_who_does_not_say_who_they_are_is_refused(world: World, verb: str, path: str) -> None:
    """AUTH-01, AUTH-11, ERR-09, T26: 403, before the body is even read."""
    stranger = Broker(world, partner=None)
    assert_error(stranger.send(verb, path, b"not json"), 403, "UnauthenticatedError")
    bearer = stranger.send(verb, path, None, {"Authorization": "Bearer stolen"})
    assert_error(bearer, 401, "InvalidAuthorizationDetailsError")


@pytest.mark.parametrize(("verb", "path"), AUTHENTICATED)
def test_development_headers_are_not_believed_unless_switched_on(
    world: World, broker: Broker, verb: str, path: str
) -> None:
    """AUTH-11."""
    world.set(authentication="openid")
    assert_error(broker.send(verb, path), 403, "UnauthenticatedError")


def test_names_of_headers_may_have_any_case(world: World, broker: Broker) -> None:
    headers = {
        "X-OpenActive-Test-Client-Id": None,
        "X-OpenActive-Test-Seller-Id": None,
        "x-openactive-TEST-client-id": "partner-1",
        "x-openactive-test-SELLER-id": outer(seller_id(1)),
    }
    body = broker.body("OrderQuote", world.session().item())
    assert broker.send("PUT", TEMPLATE, body, headers).status == 200


# --- base URL ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example/x"}, 400),
        ({"Host": 'a"b'}, 400),
        ({"Host": ""}, 400),
        ({"Host": "user@booking.example"}, 400),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "127.0.0.1:8000"}, 200),
        ({"X-Forwarded-Proto": "https"}, 200),
        ({"X-Forwarded-Proto": "javascript"}, 200),
    ],
)
def test_host_must_be_one(world: World, broker: Broker, headers: dict[str, str], status: int) -> None:
    answer = broker.send("GET", "/feeds/slots", None, headers)
    assert answer.status == status
    if status == 200:
        # Whatever a caller sends as X-Forwarded-Proto decides nothing (RFC 9700, section 4.13).
        host = headers.get("Host", "booking.example")
        assert answer.json["next"] == f"http://{host}/feeds/slots"
    else:
        assert_error(answer, 400, "UnexpectedOrderTypeError")


@pytest.mark.parametrize("sent", ["http", "https", "javascript", None])
def test_behind_api_gateway_it_is_https_whatever_a_caller_sends(world: World, sent: str | None) -> None:
    """RFC 9700, section 4.13."""
    import app

    event: dict[str, Any] = {
        "resource": "/feeds/{name}",
        "path": "/feeds/slots",
        "httpMethod": "GET",
        "headers": {"Host": "other.example"},
        "multiValueHeaders": {"Host": ["other.example"], **({"X-Forwarded-Proto": [sent]} if sent else {})},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"name": "slots"},
        "stageVariables": None,
        "requestContext": {
            "httpMethod": "GET",
            "resourcePath": "/feeds/{name}",
            "path": "/dev/feeds/slots",
            "domainName": "booking.example",
        },
        "body": None,
        "isBase64Encoded": False,
    }
    answer = app.app(event, None)
    assert json.loads(answer["body"])["next"] == "https://booking.example/dev/feeds/slots"


# --- faults of our own -------------------------------------------------------------------


class Failing(MemoryStore):
    """A store that fails at whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def snapshot(self, wanted: Wanted) -> Snapshot:
        raise self._error

    def commit(self, changes: Sequence[Change]) -> None:
        raise self._error


class FailingFeeds(MemoryFeeds):
    """Feeds that cannot be read."""

    def page(self, feed_id: str, after: int, limit: int, now: datetime) -> PageRows:
        raise StoreBusy("throttled")


STAGES = [
    ("C1", "TemporarilyUnableToProduceOrderQuoteError"),
    ("C2", "TemporarilyUnableToProduceOrderQuoteError"),
    ("B", "TemporarilyUnableToCreateOrderError"),
    ("PATCH", "TemporarilyUnableToUpdateOrderError"),
    ("DELETE quote", "TemporarilyUnableToDeleteOrderError"),
    ("DELETE", "TemporarilyUnableToDeleteOrderError"),
    ("GET", "InternalApplicationError"),
]


def call(broker: Broker, stage: str, item: dict[str, Any], item_id: str) -> Answer:
    return {
        "C1": lambda: broker.c1(UUID, item),
        "C2": lambda: broker.c2(UUID, item),
        "B": lambda: broker.b(UUID, item),
        "PATCH": lambda: broker.cancel(UUID, item_id),
        "DELETE quote": lambda: broker.delete_quote(UUID),
        "DELETE": lambda: broker.delete(UUID),
        "GET": lambda: broker.status(UUID),
    }[stage]()


ITEM_ID = f"http://booking.example{ORDER}#/orderedItem/{UUID}"


@pytest.mark.parametrize(
    "error", [StoreBusy("throttled"), CommitRefused([OrderChanged(KEY)])], ids=["busy", "refused"]
)
@pytest.mark.parametrize(("stage", "kind"), STAGES)
def test_store_that_stays_busy_is_a_matter_of_trying_again(
    world: World, broker: Broker, stage: str, kind: str, error: Exception
) -> None:
    """The error table's 503s."""
    item = world.session().item()
    world.system.store = Failing(error)
    answer = call(broker, stage, item, ITEM_ID)
    assert_error(answer, 503, kind)
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.shows("TemporarilyUnavailableError")
def test_feeds_that_cannot_be_read_are_temporarily_unavailable(world: World, broker: Broker) -> None:
    """RPDE-15: neither gone nor a reason to stop reading."""
    world.system.feeds = FailingFeeds()
    for path in ("/feeds/slots", f"{API}/orders-rpde"):
        answer = broker.send("GET", path)
        assert_error(answer, 503, "InternalApplicationError")
        assert answer.headers["Retry-After"] == "5"


def test_log_line_of_a_request_says_what_was_busy(world: World, broker: Broker) -> None:
    """So that an operator knows which table to look at."""
    item, lines = world.session().item(), []

    class Noting(Telemetry):
        def request(self, *, status: int, milliseconds: float, **ids: Any) -> None:
            lines.append({"status": status, "busy": ids.get("busy")})

    world.system.telemetry = Noting(level="CRITICAL", metrics=False)
    assert broker.c1(UUID, item).status == 200
    world.system.store = Failing(StoreBusy("ThrottlingException: openbooking-orders partner-1#1"))
    broker.c1(UUID, item)
    world.system.store = Failing(CommitRefused([OrderChanged(KEY)]))
    broker.c1(UUID, item)
    assert [line["status"] for line in lines] == [200, 503, 503]
    assert lines[0]["busy"] is None
    assert lines[1]["busy"] == "ThrottlingException: openbooking-orders partner-1#1"
    assert KEY.uuid in lines[2]["busy"]


@pytest.mark.parametrize("stage", [stage for stage, _ in STAGES])
@pytest.mark.shows("InternalApplicationError")
def test_fault_of_our_own_is_told_without_a_trace(world: World, broker: Broker, stage: str) -> None:
    """ERR-04."""
    item = world.session().item()
    world.system.store = Failing(ZeroDivisionError("secret of geoff@example.com"))
    answer = call(broker, stage, item, ITEM_ID)
    assert_error(answer, 500, "InternalApplicationError")
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body


def test_order_that_does_not_fit_its_row_is_refused(world: World, broker: Broker) -> None:
    item = world.session().item()
    world.system.store = Failing(OrderTooLarge("too much"))
    assert_error(broker.b(UUID, item), 413, "UnexpectedOrderTypeError")


@pytest.mark.shows("InternalLibraryConfigurationError")
def test_installation_that_is_set_up_wrongly_says_so(
    world: World, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """InternalLibraryConfigurationError in the error table."""
    monkeypatch.setenv("LEASE_SECONDS", "soon")
    system.install(None)
    answer = broker.status(UUID)
    assert_error(answer, 500, "InternalLibraryConfigurationError")
    assert b"LEASE_SECONDS" not in answer.body


def test_what_chalice_itself_fails_at_has_our_form(world: World, broker: Broker) -> None:
    """ERR-06."""

    class Unbuildable(type(world.system.telemetry)):  # type: ignore[misc]
        def request(self, **_: Any) -> None:
            raise RuntimeError("the log is full")

    world.system.telemetry = Unbuildable(level="CRITICAL", metrics=False)
    assert_error(broker.status(UUID), 500, "InternalApplicationError")


def test_lost_race_is_won_at_the_second_attempt(world: World, broker: Broker) -> None:
    """B-22: decided again on a fresh snapshot; the answer is as if nothing had been."""
    yoga = world.session(spaces=2)

    class Contended(MemoryStore):
        refusals = 3

        def commit(self, changes: Sequence[Change]) -> None:
            if self.refusals:
                self.refusals -= 1
                raise CommitRefused([OrderChanged(KEY)])
            super().commit(changes)

    store = Contended()
    vars(store).update(vars(world.store))
    world.system.store = store
    assert broker.b(UUID, yoga.item()).status == 201
    assert store.refusals == 0
    assert world.capacity(yoga).spaces_left == 1


def test_request_is_logged_by_ids_and_without_personal_data(world: World, broker: Broker) -> None:
    """C2-05, OFEED-16: what a log keeps is nobody's business."""
    noted: list[dict[str, Any]] = []

    class Noting(type(world.system.telemetry)):  # type: ignore[misc]
        def request(self, **ids: Any) -> None:
            noted.append(ids)

    world.system.telemetry = Noting(level="CRITICAL", metrics=False)
    broker.b(UUID, world.session().item())
    broker.b(UUID, world.session().item(), customer={"@type": "Person"})
    first, second = noted
    assert first["partner"] == "partner-1"
    assert first["order"] == UUID
    assert first["seller"] == seller_id(1)
    assert (first["status"], first.get("error")) == (201, None)
    assert second["error"] == "IncompleteCustomerDetailsError"
    assert "geoff" not in repr(noted)


def test_installation_can_be_replaced(world: World) -> None:
    other = replace(world.system)
    system.install(other)
    assert system.installed() is other
