"""What a browser asks for: the way to the dataset site, the site, and the icon."""

import json
import re
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


def dataset(world: World) -> tuple[str, Any]:
    """The page, and the document in it."""
    page = get(world, "/openactive").body.decode()
    match = re.search(r'<script type="application/ld\+json">(.*?)</script>', page, re.S)
    assert match
    return page, json.loads(match[1])


class TestPublisher:
    def test_that_nobody_has_named_is_the_service_at_its_own_address(self, world: World) -> None:
        """The validators want a URL and a logo (DATASET-01); both lead to something that exists."""
        world.set(service_name="Avonmead Bookings")
        page, document = dataset(world)
        publisher = document["publisher"]
        assert (publisher["name"], publisher["legalName"]) == ("Avonmead Bookings", "Avonmead Bookings")
        assert publisher["url"] == BASE_URL
        assert publisher["logo"]["url"] == f"{BASE_URL}/favicon.svg"
        assert get(world, "/favicon.svg").status == 200
        assert "example.com" not in page
        assert f'href="{BASE_URL}"' not in page  # a link to where the reader is leads nowhere

    def test_is_at_the_site_of_the_service_unless_it_has_one_of_its_own(self, world: World) -> None:
        world.set(service_url="https://avonmead.example")
        assert dataset(world)[1]["publisher"]["url"] == "https://avonmead.example"
        world.set(publisher_url="https://council.example", publisher_name="The Council")
        page, document = dataset(world)
        assert document["publisher"]["url"] == "https://council.example"
        assert document["publisher"]["legalName"] == "The Council"
        assert '<a href="https://council.example">The Council</a>' in page


@pytest.mark.parametrize(
    ("settings", "authority"),
    [
        ({"authentication": "openid"}, f"{BASE_URL}/auth"),
        (
            {"authentication": "issuer", "issuer": "https://login.example/", "issuer_audience": "x"},
            "https://login.example/",
        ),
    ],
)
def test_dataset_site_shows_where_brokers_get_their_tokens(
    world: World, settings: dict[str, str], authority: str
) -> None:
    world.set(**settings)
    page, document = dataset(world)
    assert document["accessService"]["authenticationAuthority"] == authority
    assert f"<code>{authority}</code>" in page
    assert f'href="{authority.rstrip("/")}/.well-known/openid-configuration"' in page


def test_dataset_site_without_a_provider_shows_none(world: World) -> None:
    world.set(authentication="api-keys")
    assert "openid" not in dataset(world)[0].lower()
