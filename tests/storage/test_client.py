"""The calls on rows, without an engine: what is sent, and what is made of the answer."""

import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ChecksumError, ClientError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.storage.dynamodb.client import RowCalls, RowConnection, Signer

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GET = {"TableName": "t", "Key": {"id": {"S": "a"}}}


class Answer:
    """What `botocore.awsrequest.AWSResponse` has of an HTTP answer."""

    def __init__(self, document: Any, status: int = 200, **headers: str) -> None:
        self.status_code = status
        self.content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.headers = headers


def asking(*answers: Answer | Exception, retries: int = 1) -> tuple[Any, list[Any]]:
    """A client that gets these answers, and the requests that it sends."""
    connection = RowConnection(
        "eu-west-2",
        "http://127.0.0.1:1",
        1,
        1,
        retries,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    sent: list[Any] = []
    left = list(answers)

    def answer(request: Any, **_: Any) -> Answer:
        sent.append(request)
        following = left.pop(0)
        if isinstance(following, Exception):
            raise following
        return following

    connection.client.meta.events.register_first("before-send.dynamodb", answer)
    return connection.client, sent


@given(body=st.binary(), token=st.none() | st.just("token/+="))
def test_the_signature_is_the_one_that_botocore_makes(body: bytes, token: str | None) -> None:
    credentials = Credentials("AKID", "secret/key", token)
    host, target = "dynamodb.eu-west-2.amazonaws.com", "DynamoDB_20120810.Query"
    signed = Signer("eu-west-2", host).headers(target, body, credentials, NOW)
    given = {
        name: value for name, value in signed.items() if name not in ("Authorization", "X-Amz-Security-Token")
    }
    request = AWSRequest("POST", f"https://{host}/", headers=given, data=body)
    request.context["timestamp"] = signed["X-Amz-Date"]
    auth = SigV4Auth(credentials, "dynamodb", "eu-west-2")
    if token:
        request.headers["X-Amz-Security-Token"] = token
    auth_text = auth.string_to_sign(request, auth.canonical_request(request))
    assert signed["Authorization"].endswith(f"Signature={auth.signature(auth_text, request)}")


def test_a_key_is_derived_again_on_another_day_and_for_other_credentials() -> None:
    signer = Signer("eu-west-2", "host")
    for secret, at in (("a", NOW), ("b", NOW), ("b", NOW.replace(day=3)), ("a", NOW)):
        credentials = Credentials("AKID", secret)
        fresh = Signer("eu-west-2", "host").headers("T", b"", credentials, at)
        assert signer.headers("T", b"", credentials, at) == fresh


def test_bytes_are_sent_and_returned_as_bytes() -> None:
    client, sent = asking(Answer({"Item": {"id": {"S": "a"}, "document": {"B": "AAEC"}}}))
    answer = client.get_item(**GET, ExpressionAttributeValues={":b": {"B": b"\x00\x01\x02"}})
    assert answer["Item"]["document"] == {"B": b"\x00\x01\x02"}
    assert json.loads(sent[0].body)["ExpressionAttributeValues"] == {":b": {"B": "AAEC"}}
    assert sent[0].headers["X-Amz-Target"] == "DynamoDB_20120810.GetItem"


def test_rows_of_every_kind_of_answer_have_bytes() -> None:
    row: Callable[[], Any] = lambda: {"document": {"B": "AA=="}}  # noqa: E731
    client, _ = asking(
        Answer({"Items": [row()]}), Answer({"Responses": {"t": [row()]}}), Answer({"Attributes": row()})
    )
    calls = (("Query", "Items"), ("BatchGetItem", "Responses"), ("UpdateItem", "Attributes"))
    found = [client._make_api_call(operation, {})[name] for operation, name in calls]
    assert found == [
        [{"document": {"B": b"\0"}}],
        {"t": [{"document": {"B": b"\0"}}]},
        {"document": {"B": b"\0"}},
    ]


def test_a_refused_transaction_returns_its_reasons_with_bytes() -> None:
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Item": {"document": {"B": "AA=="}}}]
    kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
    answer = Answer({"__type": kind, "Message": "cancelled", "CancellationReasons": reasons}, 400)
    client, sent = asking(answer)
    with pytest.raises(ClientError) as refused:
        client.transact_write_items(TransactItems=[])
    assert refused.value.response["Error"] == {"Code": "TransactionCanceledException", "Message": "cancelled"}
    assert refused.value.response["CancellationReasons"][1]["Item"] == {"document": {"B": b"\0"}}
    assert len(sent) == 1  # another attempt would be refused too


BUSY = Answer({"__type": "x#ThrottlingException", "message": "slow down"}, 400)


@pytest.mark.parametrize("first", [BUSY, Answer(b"<html>", 503), ReadTimeoutError(endpoint_url="x")])
def test_what_may_pass_is_tried_again_with_the_same_token(first: Answer | Exception) -> None:
    """A transaction whose answer was lost must not take effect twice."""
    client, sent = asking(first, Answer({}))
    client.transact_write_items(TransactItems=[])
    tokens = [json.loads(request.body)["ClientRequestToken"] for request in sent]
    assert len(tokens) == 2 and tokens[0] == tokens[1]


@pytest.mark.parametrize(
    ("last", "code"),
    [(BUSY, "ThrottlingException"), (Answer(b"<html>", 503), "503")],
)
def test_it_gives_up_after_the_last_attempt(last: Answer, code: str) -> None:
    client, sent = asking(last, last)
    with pytest.raises(ClientError) as refused:
        client.get_item(**GET)
    assert (refused.value.response["Error"]["Code"], len(sent)) == (code, 2)


def test_without_retries_it_asks_once() -> None:
    client, sent = asking(ReadTimeoutError(endpoint_url="x"), retries=0)
    with pytest.raises(ReadTimeoutError):
        client.get_item(**GET)
    assert len(sent) == 1


def test_an_answer_that_was_changed_on_its_way_is_refused() -> None:
    right = Answer({}, **{"x-amz-crc32": str(zlib.crc32(b"{}"))})
    wrong = Answer({}, **{"x-amz-crc32": "1"})
    client, sent = asking(wrong, right)
    client.get_item(**GET)
    assert len(sent) == 2
    client, _ = asking(wrong, wrong)
    with pytest.raises(ChecksumError):
        client.get_item(**GET)


def test_calls_on_tables_are_made_by_botocore() -> None:
    client, sent = asking(Answer({"TableNames": ["t"]}))
    assert isinstance(client, RowCalls)
    assert client.list_tables()["TableNames"] == ["t"]
    assert b"amz-sdk-request" in {str(name).lower().encode() for name in sent[0].headers}
