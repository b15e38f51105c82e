"""What a browser asks for: the way to the dataset site, the site, and the icon."""

from typing import Any

import pytest

import app
from tests.support.world import BASE_URL, Answer, Broker, World


def get(world: World, path: str) -> Answer:
    return Broker(world, None, None).send("GET", path, headers={"Content-Type": None})


def test_base_url_leads_to_the_dataset_site(world: World) -> None:
    answer = get(world, "/")
    assert (answer.status, answer.headers["Location"]) == (303, f"{BASE_URL}/openactive")


@pytest.mark.parametrize(
    ("whole", "site"),
    [
        ("/dev", "https://x.example/dev/openactive"),
        ("/dev/", "https://x.example/dev/openactive"),
        ("/", "https://x.example/openactive"),
    ],
)
def test_stage_is_kept_on_the_way_with_and_without_a_slash(world: World, whole: str, site: str) -> None:
    event: dict[str, Any] = {
        "resource": "/",
        "path": "/",
        "httpMethod": "GET",
        "headers": {},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "httpMethod": "GET",
            "resourcePath": "/",
            "path": whole,
            "domainName": "x.example",
            "stage": "dev",
        },
        "body": None,
        "isBase64Encoded": False,
    }
    assert app.app(event, None)["headers"]["Location"] == site


def test_dataset_site_has_the_headers_of_every_page_and_may_be_kept(world: World) -> None:
    headers = get(world, "/openactive").headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ") and policy.endswith("form-action 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "public, max-age=3600"


@pytest.mark.parametrize("path", ["/favicon.svg", "/favicon.ico"])
def test_icon_is_an_image(world: World, path: str) -> None:
    answer = get(world, path)
    assert (answer.status, answer.media_type) == (200, "image/svg+xml")
    assert answer.body.startswith(b"<svg ")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
