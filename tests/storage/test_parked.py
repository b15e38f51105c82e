"""Parked records on every store of pending work: whole, once, and split where a row is too small."""

import base64
import random
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.feeds.parked import ParkedRecords, where
from chalicelib.storage.codec import Undecodable, from_json
from chalicelib.storage.dynamodb.tables import Tables
from chalicelib.storage.pending import PendingStore
from tests.storage.conftest import Stores
from tests.support.builders import NOW

ERROR = KeyError("document")


@pytest.fixture
def parked(stores: Stores) -> ParkedRecords:
    return ParkedRecords(stores.pending, timedelta(days=30))


def record(size: int = 10) -> dict[str, Any]:
    """A record whose two images hold so many bytes each, which no compression makes smaller."""
    noise = random.Random(size)
    images = {
        name: {"document": {"B": base64.b64encode(noise.randbytes(size)).decode()}}
        for name in ("NewImage", "OldImage")
    }
    return {"eventID": "e", "dynamodb": {"Keys": {"order_key": {"S": "p#u"}}, **images}}


def test_a_record_is_kept_whole_for_its_time(parked: ParkedRecords) -> None:
    kept, is_new = parked.park("orders", "77", "p#u", record(), ERROR, NOW)
    assert is_new
    assert list(parked.listed("orders")) == [kept]
    assert parked.find("orders", kept.id) == kept
    assert parked.content(kept) == record()
    assert (kept.row, kept.error, kept.parked_at) == ("p#u", "KeyError", NOW)
    assert kept.expires_at == NOW + timedelta(days=30)
    assert list(parked.listed("inventory")) == []


def test_a_record_that_comes_again_is_kept_once(parked: ParkedRecords) -> None:
    first, _ = parked.park("orders", "77", "p#u", record(), ERROR, NOW)
    again, is_new = parked.park("orders", "77", "p#u", record(), ERROR, NOW + timedelta(days=1))
    assert (again, is_new) == (first, False)
    assert len(list(parked.listed("orders"))) == 1


def test_two_shards_may_use_the_same_sequence_number(parked: ParkedRecords) -> None:
    parked.park("orders", "77", "p#u", record(), ERROR, NOW)
    parked.park("orders", "77", "p#v", record(), ERROR, NOW)
    assert len(list(parked.listed("orders"))) == 2


def test_a_record_of_two_rows_as_large_as_rows_may_be_is_split(
    parked: ParkedRecords, engine_tables: Tables | None
) -> None:
    """A row takes 400 KB; the record, with both images in base64, is more than a megabyte."""
    large = record(390_000)
    kept, _ = parked.park("orders", "77", "p#u", large, ERROR, NOW)
    assert parked.content(kept) == large
    if engine_tables is not None:
        client, table = engine_tables.connection.client, engine_tables.pending.Meta.table_name
        rows = client.scan(TableName=table)["Items"]
        rows += client.query(
            TableName=table,
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": "parked-content#orders"}},
        )["Items"]
        assert max(len(row["document"]["S"]) for row in rows) < 390_000
        assert {"expires_at"} <= set.intersection(*(set(row) for row in rows))
    assert parked.discard(kept)
    assert list(parked.listed("orders")) == []


def test_what_is_discarded_is_gone_with_its_content(parked: ParkedRecords, stores: Stores) -> None:
    kept, _ = parked.park("orders", "77", "p#u", record(), ERROR, NOW)
    other, _ = parked.park("orders", "78", "p#u", record(), ERROR, NOW)
    assert parked.discard(kept)
    assert not parked.discard(kept)
    assert stores.pending.count("parked-content#orders", 10) == 1
    assert parked.content(other) == record()


def test_content_that_is_not_all_there_is_not_taken_for_a_record(
    parked: ParkedRecords, stores: Stores
) -> None:
    kept, _ = parked.park("orders", "77", "p#u", record(390_000), ERROR, NOW)
    pending: PendingStore = stores.pending
    [part] = pending.entries("parked-content#orders", 1)
    pending.finish(part)
    with pytest.raises(Undecodable):
        parked.content(kept)


def test_an_error_is_named_by_its_type_and_place_and_not_by_what_it_quotes() -> None:
    """No personal data outside the content."""
    with pytest.raises(Undecodable) as raised:
        from_json('{"email":"geoff@example.com"', dict[str, int])
    named = where(raised.value)
    assert named.startswith("Undecodable at storage/codec.py:")
    assert "geoff" not in named
