"""Questions to a deployed API: asked of the real app, and of ones that are broken."""

from __future__ import annotations

import json

import pytest

from openbooking.deployment import smoke
from openbooking.deployment.smoke import Reply
from openbooking.infra import templates
from tests.support.world import World

URL = "https://api.example/prod/"


def answers(world: World) -> smoke.Callable[[str], Reply]:
    """The app, with the gateway's own answer for paths that it does not have."""
    own = {each.response_type: each for each in templates.gateway_responses()}["MISSING_AUTHENTICATION_TOKEN"]

    def fetch(url: str) -> Reply:
        path = "/" + url.removeprefix(URL)
        answer = world.client.http.get(path, headers={"Host": "api.example"})
        if b"Missing Authentication Token" in answer.body:  # Chalice's test client does as API Gateway
            return Reply(own.status, own.headers["Content-Type"], own.template)
        return Reply(answer.status_code, answer.headers.get("Content-Type", ""), answer.body.decode())

    return fetch


def test_an_api_that_works_passes() -> None:
    world = World()
    world.set(authentication="openid")
    world.session()
    assert smoke.check(URL, with_provider=True, fetch=answers(world)) == 5
    assert smoke.check(URL, with_provider=False, fetch=answers(world)) == 4


def test_every_fault_is_named() -> None:
    def broken(url: str) -> Reply:
        return Reply(500, "application/json", json.dumps({"message": "Internal server error"}))

    with pytest.raises(smoke.SmokeTestError) as raised:
        smoke.check(URL, with_provider=True, fetch=broken)
    assert str(raised.value).count("status 500 instead of") == 5


def test_gateway_responses_that_were_reset_are_noticed() -> None:
    right = answers(World())

    def fetch(url: str) -> Reply:
        if url.endswith("no-such-path"):
            return Reply(403, "application/json", '{"message":"Missing Authentication Token"}')
        return right(url)

    with pytest.raises(smoke.SmokeTestError, match="an unknown path: status 403 instead of 404"):
        smoke.check(URL, with_provider=False, fetch=fetch)


def test_another_content_with_the_right_status_is_noticed() -> None:
    right = answers(World())

    def fetch(url: str) -> Reply:
        return Reply(200, "text/html", "parked domain") if url.endswith("openactive") else right(url)

    with pytest.raises(smoke.SmokeTestError, match="the dataset site: status 200, but with another content"):
        smoke.check(URL, with_provider=False, fetch=fetch)


def test_an_api_that_does_not_answer_is_one_fault_for_each_question() -> None:
    with pytest.raises(smoke.SmokeTestError, match="no answer"):
        smoke.check("http://127.0.0.1:9/", with_provider=False)
