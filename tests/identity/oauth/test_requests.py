"""Requests as Authlib reads them: no duplicate field, no metadata that is too large or unknown."""

import json
from typing import Any

import pytest
from authlib.oauth2.rfc6749 import InvalidRequestError

from chalicelib.identity.oauth.requests import Asked, FormRequest, metadata_request


def metadata(body: bytes) -> dict[str, Any]:
    read: dict[str, Any] = metadata_request(Asked("POST", body=body)).payload.data
    return read


def test_parameters_of_a_form_come_before_those_of_the_query() -> None:
    asked = Asked("POST", {"scope": "a"}, b"scope=b&state=", {"content-type": "x"})
    request = FormRequest(asked)
    assert request.payload.data == {"scope": "b"}  # without a value it is missing (RFC 6749, 3.2)
    assert request.headers == {"Content-Type": "x"}


def test_form_of_a_get_is_not_read() -> None:
    assert FormRequest(Asked("GET", {"scope": "a"}, b"scope=b")).payload.data == {"scope": "a"}


@pytest.mark.parametrize(
    "body", [b"scope=a&scope=a", b"\xff", b"&".join(b"a%d=" % each for each in range(51))]
)
def test_form_that_is_not_clear_is_refused(body: bytes) -> None:
    """RFC 6749, section 3.2."""
    with pytest.raises(InvalidRequestError):
        Asked("POST", body=body).form()


def test_unknown_metadata_is_left_out() -> None:
    """RFC 7591, section 2."""
    document = {"client_name": "Broker", "jwks": {}, "redirect_uris": ["https://broker.example/cb"]}
    assert metadata(json.dumps(document).encode()) == {
        "client_name": "Broker",
        "redirect_uris": ["https://broker.example/cb"],
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"client_name": "\\ud800"}',
        b"[" * 10_000,
        b'{"client_name": "' + b"x" * 16_384 + b'"}',
    ],
    ids=lambda body: body[:8].decode("latin-1"),
)
def test_metadata_that_cannot_be_kept_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        metadata(body)
