"""Converts requests to the provider for Authlib, and its answers for our endpoints."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749 import InvalidRequestError, JsonRequest
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload, JsonPayload

from chalicelib.values import dataclass, field

# Authlib checks the scheme. The gateway has already checked that the request uses TLS.
_SECURE_URI = "https://provider.invalid/"

# The metadata that a partner may register. Its size must fit into its row and the page that shows it.
_MAX_METADATA_BYTES = 16 * 1024
METADATA_LISTS = {"redirect_uris", "grant_types", "response_types", "contacts"}
METADATA_TEXTS = {
    "client_name",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "scope",
    "software_id",
    "software_version",
    "token_endpoint_auth_method",
    "tos_uri",
}


_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")


@dataclass(frozen=True)
class Asked:
    """A request to the provider: the raw body, and headers with names in lower case."""

    method: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def form(self) -> dict[str, str]:
        """The fields of an HTML form. Raises InvalidRequestError for a duplicate one (RFC 6749, section 3.2)."""
        try:
            pairs = parse_qsl(self.body.decode(), keep_blank_values=True, max_num_fields=50)
        except ValueError as error:
            raise InvalidRequestError("The form cannot be read.") from error
        fields: dict[str, str] = {}
        for name, value in pairs:
            if name in fields:
                # Quote the name only if all its characters are valid in an error_description (RFC 6749, section 5.2).
                raise InvalidRequestError(
                    f"Duplicate parameter{f': {name}' if _NAME.fullmatch(name) else ''}."
                )
            fields[name] = value
        return fields


@dataclass(frozen=True)
class Answered:
    """The provider's answer: a JSON document, or a redirect."""

    status: int
    document: dict[str, Any] | None
    headers: dict[str, str]


class FormRequest(OAuth2Request):  # type: ignore[misc]
    """A request with parameters in its query or its form."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.method, _SECURE_URI, headers=_titled(asked.headers))
        # A parameter without a value is treated as missing (RFC 6749, section 3.2).
        form = asked.form() if asked.method == "POST" else {}
        self._form = {name: value for name, value in form.items() if value}
        self._query = dict(asked.query)
        self.payload = BasicOAuth2Payload(self._form or self._query)

    @property
    def args(self) -> dict[str, str]:
        return self._query

    @property
    def form(self) -> dict[str, str]:
        return self._form


def metadata_request(asked: Asked) -> JsonRequest:
    """A request whose body is the metadata of a client (RFC 7591, section 2)."""
    made = JsonRequest(asked.method, _SECURE_URI, _titled(asked.headers))
    made.payload = _Metadata(asked.body)
    return made


class _Metadata(JsonPayload):  # type: ignore[misc]
    def __init__(self, body: bytes) -> None:
        self._body = body

    @property
    def data(self) -> dict[str, Any]:
        if len(self._body) > _MAX_METADATA_BYTES:
            raise InvalidRequestError(f"The body may have at most {_MAX_METADATA_BYTES} bytes.")
        try:
            document = json.loads(self._body)
            json.dumps(document, ensure_ascii=False).encode()  # fails if it has unpaired surrogates
        except (ValueError, RecursionError) as error:
            raise InvalidRequestError("The body is not JSON.") from error
        if not isinstance(document, dict):
            raise InvalidRequestError("The body is not a JSON object.")
        # Unknown metadata is ignored (RFC 7591, section 2).
        known = METADATA_LISTS | METADATA_TEXTS
        return {name: value for name, value in document.items() if name in known}


def _titled(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.title(): value for name, value in headers.items()}
