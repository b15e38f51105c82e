"""Sends the calls on rows to DynamoDB: its JSON protocol, and no more (decision 30).

botocore's client works out the endpoint and the user agent for each call, walks the whole request and the whole answer
along the model of the API, and offers each step to handlers: half the processor time of a booking. Here a call is
encoded, signed, sent and decoded. botocore still finds the endpoint, the credentials and the region, keeps the
connections, and makes all other calls (those on tables).
"""

import base64
import hashlib
import hmac
import random
import time
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ChecksumError, ClientError, HTTPClientError, NoCredentialsError
from botocore.session import Session
from pynamodb.connection import Connection

from chalicelib.storage import codec

_ON_ROWS = {
    "BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "TransactGetItems",
    "TransactWriteItems", "UpdateItem",
}  # fmt: skip
_MEDIA_TYPE = "application/x-amz-json-1.0"
_ALGORITHM = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS = {"http": 80, "https": 443}

# What another attempt may change. Conflicts of transactions are retried where the whole request is.
_RETRIED = {
    "BandwidthLimitExceeded", "InternalFailure", "InternalServerError", "ProvisionedThroughputExceededException",
    "RequestLimitExceeded", "RequestTimeout", "RequestTimeoutException", "ServiceUnavailable", "ThrottledException",
    "Throttling", "ThrottlingException", "TransactionInProgressException",
}  # fmt: skip
_PAUSE_SECONDS = 0.05

_jitter = random.SystemRandom()


class RowCalls:
    """Added in front of the bases of botocore's client class: it makes the calls on rows in its own way.

    Handlers of the events `before-parameter-build`, `before-send` and `after-call` are called as by botocore.
    """

    def _make_api_call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The answer of DynamoDB, with bytes for binary attributes.

        Raises ClientError, NoCredentialsError, and botocore's HTTP errors.
        """
        if operation not in _ON_ROWS:
            answer: dict[str, Any] = super()._make_api_call(operation, parameters)  # type: ignore[misc]
            return answer
        return self._on_rows.call(operation, parameters)

    @cached_property
    def _on_rows(self) -> "_Caller":
        return _Caller(self)


class _Caller:
    def __init__(self, client: Any) -> None:
        meta = client.meta
        self._model, self._events = meta.service_model, meta.events
        self._attempts = int((meta.config.retries or {}).get("total_max_attempts", 1))
        parts = urlsplit(meta.endpoint_url)
        port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
        path = parts.path or "/"
        self._url = f"{parts.scheme}://{parts.netloc}{path}"
        self._signer = Signer(meta.region_name, f"{parts.hostname}{port}", path)
        self._target = f"{self._model.metadata['targetPrefix']}."
        self._user_agent = client._user_agent_creator.to_string()
        self._credentials = client._request_signer._credentials
        self._http = client._endpoint.http_session

    def call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if self._credentials is None:
            raise NoCredentialsError
        model = self._model.operation_model(operation)
        # A handler of botocore adds the token with which a repeated transaction takes effect once.
        self._events.emit(
            f"before-parameter-build.dynamodb.{operation}", params=parameters, model=model, context={}
        )
        body = codec.encode(parameters)
        for attempts_left in reversed(range(self._attempts)):
            try:
                http, answer = self._send(operation, body)
            except (HTTPClientError, ChecksumError):
                if not attempts_left:
                    raise
            else:
                if http.status_code < 300 or not attempts_left or not _is_retried(http.status_code, answer):
                    break
            time.sleep(_PAUSE_SECONDS * _jitter.random())
        _decode_binary(answer)
        self._events.emit(
            f"after-call.dynamodb.{operation}", http_response=http, parsed=answer, model=model, context={}
        )
        if http.status_code >= 300:
            raise ClientError(_error(http, answer), operation)
        return answer

    def _send(self, operation: str, body: bytes) -> tuple[AWSResponse, dict[str, Any]]:
        signed = self._signer.headers(
            self._target + operation, body, self._credentials.get_frozen_credentials(), datetime.now(UTC)
        )
        # The content is not compressed; that would cost more processor time than it saves.
        headers = {**signed, "User-Agent": self._user_agent, "Accept-Encoding": "identity"}
        request = AWSPreparedRequest("POST", self._url, headers, body, stream_output=False)
        handled = (
            each for _, each in self._events.emit(f"before-send.dynamodb.{operation}", request=request)
        )
        http = next((each for each in handled if each is not None), None) or self._http.send(request)
        content = http.content
        expected = http.headers.get("x-amz-crc32")
        if expected is not None and zlib.crc32(content) != int(expected):
            raise ChecksumError(
                checksum_type="crc32", expected_checksum=expected, actual_checksum=zlib.crc32(content)
            )
        try:
            decoded = codec.from_json(content, dict[str, Any]) if content else {}
        except codec.Undecodable:
            decoded = {}  # a gateway on the way has answered, with a page
        return http, decoded


def _is_retried(status: int, answer: Mapping[str, Any]) -> bool:
    return status >= 500 or _code(answer) in _RETRIED


def _code(answer: Mapping[str, Any]) -> str:
    return str(answer.get("__type", "")).rpartition("#")[2]


def _error(http: AWSResponse, answer: dict[str, Any]) -> dict[str, Any]:
    """An error in the form that botocore gives it."""
    message = answer.get("message") or answer.get("Message") or ""
    return {
        "Error": {"Code": _code(answer) or str(http.status_code), "Message": message},
        **answer,
        "ResponseMetadata": {
            "HTTPStatusCode": http.status_code,
            "HTTPHeaders": {name.lower(): http.headers[name] for name in http.headers},
        },
    }


def _decode_binary(answer: Mapping[str, Any]) -> None:
    for row in _rows(answer):
        for value in row.values():
            if "B" in value:
                value["B"] = base64.b64decode(value["B"])


def _rows(answer: Mapping[str, Any]) -> Iterator[dict[str, dict[str, Any]]]:
    """The rows in an answer. No attribute of ours has others inside."""
    yield from answer.get("Items") or ()
    for found in (
        (answer.get("Responses") or {}).values() if isinstance(answer.get("Responses"), dict) else ()
    ):
        yield from found
    for holder in (answer, *(answer.get("CancellationReasons") or ())):
        for name in ("Item", "Attributes"):
            if holder.get(name):
                yield holder[name]


class Signer:
    """Signs calls of one host (AWS Signature Version 4): a POST to `path` without a query."""

    def __init__(self, region: str, host: str, path: str = "/") -> None:
        self._region, self._host, self._path = region, host, path
        self._key: tuple[tuple[str, str], bytes] | None = None  # what it was derived from, and the key

    def headers(self, target: str, body: bytes, credentials: Any, now: datetime) -> dict[str, str]:
        """The signed headers, with the signature."""
        at = now.strftime("%Y%m%dT%H%M%SZ")
        signed = {
            "Content-Type": _MEDIA_TYPE,
            "Host": self._host,
            "X-Amz-Date": at,
            **({"X-Amz-Security-Token": credentials.token} if credentials.token else {}),
            "X-Amz-Target": target,
        }
        names = ";".join(name.lower() for name in signed)
        lines = "".join(f"{name.lower()}:{value}\n" for name, value in signed.items())
        request = f"POST\n{self._path}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{at[:8]}/{self._region}/dynamodb/aws4_request"
        text = f"{_ALGORITHM}\n{at}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = _mac(self._signing_key(credentials.secret_key, at[:8]), text).hex()
        signed["Authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return signed

    def _signing_key(self, secret: str, day: str) -> bytes:
        known = self._key
        if known is None or known[0] != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, "dynamodb", "aws4_request"):
                key = _mac(key, part)
            known = self._key = ((secret, day), key)
        return known[1]


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


class RowConnection(Connection):
    """PynamoDB's connection, with a client that makes the calls on rows in its own way."""

    @property
    def session(self) -> Session:
        session = super().session
        # Of each thread, and asked for only to make a client: registered again it stays one handler.
        session.register("creating-client-class.dynamodb", _add_row_calls, unique_id="row-calls")
        return session


def _add_row_calls(base_classes: list[type], **_: Any) -> None:
    base_classes.insert(0, RowCalls)
