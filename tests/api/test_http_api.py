"""Behind an HTTP API: the same answers, and what a REST API would do for the function."""

import base64
import gzip
import json
import re
from typing import Any

import pytest

import app
from tests.support.world import API, World

HOST = "a1b2c3d4e5.execute-api.eu-west-2.amazonaws.com"


def event(path: str, route: str, *, verb: str = "GET", version: str | None = "1.0", **headers: str) -> Any:
    """As an HTTP API sends it, in the form 1.0 of its payloads; without `version`, as a REST API does."""
    name = path.rpartition("/")[2]
    return {
        **({"version": version} if version else {}),
        "resource": route,
        "path": path,
        "httpMethod": verb,
        "headers": {"Host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"name": name} if "{name}" in route else None,
        "stageVariables": None,
        "requestContext": {
            "domainName": HOST,
            "httpMethod": verb,
            "identity": {"sourceIp": "192.0.2.1"},
            "path": path,
            "requestId": "request-1",
            "resourcePath": route,
            "stage": "$default",
        },
        "body": None,
        "isBase64Encoded": False,
    }


def test_a_path_that_there_is_not_is_answered_with_the_error_of_the_api(world: World) -> None:
    """ERR-06: the route `$default` calls the function, where a REST API answers by itself."""
    answer = app.app(event("/api/openbooking/nothing", "$default"), None)
    assert answer["statusCode"] == 404
    body = json.loads(answer["body"])
    assert body["@type"] == "UnknownOrIncorrectEndpointError"
    assert answer["headers"]["Content-Type"] == "application/vnd.openactive.booking+json; version=1"


def test_a_wrong_verb_is_answered_as_before(world: World) -> None:
    answer = app.app(
        event("/feeds/slots", "/feeds/{name}", verb="PUT", Content_Type="application/json"), None
    )
    assert (answer["statusCode"], json.loads(answer["body"])["@type"]) == (405, "MethodNotAllowedError")


def test_answers_are_those_of_a_rest_api(world: World) -> None:
    for path, route in (("/feeds/scheduled-sessions", "/feeds/{name}"), ("/openactive", "/openactive")):
        one, other = (app.app(event(path, route, version=version), None) for version in ("1.0", None))
        assert one == other
        assert one["statusCode"] == 200


@pytest.mark.parametrize("base", ["", "/sports", "/sports/booking"])
@pytest.mark.parametrize("version", ["1.0", None])
@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/feeds/scheduled-sessions", "/feeds/{name}"),
        ("/openactive", "/openactive"),
        ("/", "/"),
        ("/auth/.well-known/openid-configuration", "/auth/.well-known/openid-configuration"),
    ],
)
def test_links_lead_through_the_base_path_of_a_custom_domain(
    world: World, base: str, version: str | None, path: str, route: str
) -> None:
    """Both kinds of API put the base path before the path, in both places, and name no stage."""
    world.set(authentication="openid")
    whole = (base + path).rstrip("/") or "/"
    asked = event(whole, route, version=version)
    asked["requestContext"] |= {"domainName": "booking.example.org", "stage": "prod"}
    answer = app.app(asked, None)
    here = f"https://booking.example.org{base}"
    if path == "/":
        assert answer["headers"]["Location"] == f"{here}/openactive"
        return
    assert answer["statusCode"] == 200
    links = set(re.findall(r"https://booking\.example\.org[^\"'< ]*", answer["body"]))
    assert links and all(link.startswith(f"{here}/") or link == here for link in links), links
    if route == "/feeds/{name}":
        assert json.loads(answer["body"])["next"] == f"{here}/feeds/scheduled-sessions"


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("br", False),
        ("", False),
    ],
)
def test_long_answers_are_compressed_for_whoever_takes_that(
    world: World, accepted: str, packed: bool
) -> None:
    asked = event("/openactive", "/openactive", Accept_Encoding=accepted)
    answer, plain = app.app(asked, None), app.app(event("/openactive", "/openactive"), None)
    assert bool(answer.get("isBase64Encoded")) is packed
    if packed:
        assert gzip.decompress(base64.b64decode(answer["body"])).decode() == plain["body"]
        assert (answer["headers"]["Content-Encoding"], answer["headers"]["Vary"]) == (
            "gzip",
            "Accept-Encoding",
        )
        assert answer["headers"]["Content-Type"] == plain["headers"]["Content-Type"]
    else:
        assert answer == plain


def test_short_answers_and_those_of_a_rest_api_are_not(world: World) -> None:
    """A REST API compresses by itself (`minimum_compression_size`)."""
    short = app.app(event("/feeds/slots", "/feeds/{name}", Accept_Encoding="gzip"), None)
    of_rest = app.app(event("/openactive", "/openactive", version=None, Accept_Encoding="gzip"), None)
    assert not short.get("isBase64Encoded") and not of_rest.get("isBase64Encoded")


def test_open_feeds_link_to_where_they_are_served(world: World) -> None:
    """Otherwise a reader would leave the cache with the first page."""
    world.set(open_feeds_url="https://feeds.example")
    world.session()
    page = json.loads(app.app(event("/feeds/scheduled-sessions", "/feeds/{name}"), None)["body"])
    assert page["next"].startswith("https://feeds.example/feeds/scheduled-sessions")
    own = app.app(event(f"{API}/orders-rpde", f"{API}/orders-rpde", X_OpenActive_Test_Client_Id="p"), None)
    assert json.loads(own["body"])["next"].startswith(f"https://{HOST}/")
    site = app.app(event("/openactive", "/openactive"), None)["body"]
    assert "https://feeds.example/feeds/scheduled-sessions" in site
