"""Values to text and back: nothing is lost, whatever a Broker or an operator has put in."""

import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.domain.capacity import Capacity, Hold
from chalicelib.domain.offers import FlowRequirement, Offer, Prepayment
from chalicelib.domain.opportunities import EventStatus, Opportunity
from chalicelib.domain.opportunity_types import OpportunityType
from chalicelib.domain.orders import Order, OrderItem
from chalicelib.domain.parties import Seller, TaxRate
from chalicelib.domain.pricing import TaxCharge, Totals, UnitPrice
from chalicelib.storage import codec
from chalicelib.storage.codec import Undecodable, from_json, pack, pack_texts, to_json, unpack, unpack_texts
from chalicelib.storage.dictionary import DICTIONARIES

texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
documents = st.dictionaries(texts, json_values, max_size=3)
amounts = st.decimals(min_value=0, max_value=10**8, places=2, allow_nan=False)
rates = st.decimals(min_value=0, max_value=1, places=4, allow_nan=False)
instants = st.integers(0, 4 * 10**15).map(
    lambda n: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=n)
)
lengths = st.timedeltas(timedelta(days=-400), timedelta(days=400))


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def tuples(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=2).map(tuple)


tax_rates = st.builds(TaxRate, name=texts, rate=rates, identifier=maybe(texts))
offers = st.builds(
    Offer,
    id=texts,
    price=amounts,
    currency=maybe(texts),
    prepayment=maybe(st.sampled_from(Prepayment)),
    bookable_in_advance=st.booleans(),
    opens_before=maybe(lengths),
    closes_before=maybe(lengths),
    cancellable_until_before=maybe(lengths),
    allows_cancellation=st.booleans(),
    requirements=st.lists(st.sampled_from(FlowRequirement), unique=True).map(tuple),
    tax_rate=maybe(tax_rates),
    document=documents,
)
opportunities = st.builds(
    Opportunity,
    id=texts,
    type=st.sampled_from(OpportunityType),
    seller_id=texts,
    starts_at=maybe(instants),
    ends_at=maybe(instants),
    status=st.sampled_from(EventStatus),
    is_online=st.booleans(),
    is_physical=st.booleans(),
    access_channel=maybe(documents),
    offers=tuples(offers),
    attendee_details_required=tuples(texts),
    intake_form=tuples(documents),
    document=documents,
    parent=maybe(documents),
    revision=st.integers(1, 10**9),
)
charges = st.builds(
    TaxCharge, name=texts, amount=amounts, currency=maybe(texts), rate=maybe(rates), identifier=maybe(texts)
)
items = st.builds(
    OrderItem,
    position=maybe(st.integers(0, 10**20)),
    opportunity=maybe(opportunities),
    offer=maybe(offers),
    price=maybe(
        st.builds(UnitPrice, amount=amounts, due=amounts, currency=maybe(texts), taxes=tuples(charges))
    ),
    attendee=maybe(documents),
    intake_answers=tuples(documents),
    access_codes=tuples(documents),
    access_passes=tuples(documents),
    access_channel=maybe(documents),
)
totals = st.builds(
    Totals,
    due=amounts,
    currency=maybe(texts),
    prepayment=maybe(st.sampled_from(Prepayment)),
    taxes=tuples(charges),
    tax_excluded=st.booleans(),
)
orders = st.builds(
    Order,
    seller=documents,
    items=tuples(items),
    totals=totals,
    broker=maybe(documents),
    customer=maybe(documents),
    payment=maybe(documents),
    lease_expires_at=maybe(instants),
    created_at=maybe(instants),
)
sellers = st.builds(Seller, document=documents, tax_rate=maybe(tax_rates))
holds = st.builds(Hold, expires_at=maybe(instants))
capacities = st.builds(Capacity, next_expiry_at=maybe(instants))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Order, orders),
        (Opportunity, opportunities),
        (Seller, sellers),
        (Hold, holds),
        (Capacity, capacities),
    ],
)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_value_comes_back_as_it_was(kind: type, values: st.SearchStrategy[Any], data: st.DataObject) -> None:
    """Both as text and compressed."""
    value = data.draw(values)
    assert from_json(to_json(value), kind) == value
    assert unpack(pack(value), kind) == value


def test_row_of_an_older_version_reads_with_the_defaults_of_what_is_new() -> None:
    old = '{"id":"https://a.example/1","type":"Slot","seller_id":"https://a.example/sellers/1"}'
    assert from_json(old, Opportunity) == Opportunity(
        "https://a.example/1", OpportunityType.Slot, "https://a.example/sellers/1"
    )


def test_what_is_no_such_value_is_refused() -> None:
    with pytest.raises(codec.Undecodable):
        from_json('{"id":"x","type":"Festival","seller_id":"y"}', Opportunity)


# --- texts with long strings that stand in them many times ----------------------------------------

long_texts = st.lists(st.text(st.characters(codec="utf-8"), max_size=60), min_size=1, max_size=4).map("".join)


@given(
    strings=st.lists(long_texts, min_size=1, max_size=5),
    picks=st.lists(st.integers(0, 4), max_size=60),
    repeats=st.integers(1, 40),
)
def test_texts_survive_being_packed(strings: list[str], picks: list[int], repeats: int) -> None:
    """Whatever stands in their strings, quotes and control characters included."""
    document = [strings[pick % len(strings)] * repeats for pick in picks]
    texts = [json.dumps(document, ensure_ascii=False), "", json.dumps(strings)]
    assert unpack_texts(pack_texts(*texts)) == texts


def test_long_string_is_stored_once_however_far_apart_its_uses_are() -> None:
    """zlib alone looks back 32 KB."""
    noise = Random(1)
    description = noise.randbytes(30_000).hex()
    once = pack_texts(json.dumps([description]))
    many = pack_texts(json.dumps([[n, description] for n in range(200)]))
    assert len(many) < len(once) + 2_000
    assert len(zlib.compress(json.dumps([[n, description] for n in range(200)]).encode())) > 100 * len(once)


CHECKSUM = 0x45F5C994


@pytest.fixture
def _without_dictionary() -> Iterator[None]:
    codec.write_with_dictionary(False)
    yield
    codec.write_with_dictionary(True)


@pytest.mark.usefixtures("_without_dictionary")
def test_short_texts_can_be_plain_zlib_as_in_release_0_1_0() -> None:
    """ROW_DICTIONARY=false, while functions of 0.1.0 run beside this release."""
    assert zlib.decompress(pack_texts('{"a":1}')) == b'{"a":1}'


def test_rows_with_and_without_a_dictionary_are_read() -> None:
    text = '{"@type":"Organization","name":"Kings Mead"}'
    assert unpack_texts(zlib.compress(text.encode())) == [text]
    packed = pack_texts(text)
    assert unpack_texts(packed) == [text]
    assert len(packed) < len(zlib.compress(text.encode()))


def test_a_row_names_its_dictionary_which_never_changes() -> None:
    """RFC 1950: its checksum follows the first two bytes. With another text, stored rows could not be read."""
    assert list(DICTIONARIES) == [CHECKSUM]
    assert pack_texts("{}")[2:6] == CHECKSUM.to_bytes(4, "big")


def test_a_row_with_the_dictionary_of_a_later_release_cannot_be_read() -> None:
    maker = zlib.compressobj(zdict=b"of a later release")
    with pytest.raises(Undecodable):
        unpack_texts(maker.compress(b"{}") + maker.flush())
    with pytest.raises(Undecodable):
        unpack_texts(pack_texts("{}")[:-1])
    with pytest.raises(Undecodable):
        unpack_texts(pack_texts("{}") + b"more")


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", b"\x01nonsense", b"\x01" + zlib.compress(b'["\x015"]'), zlib.compress(b"\xff")]
)
def test_what_was_not_packed_here_is_refused(data: bytes) -> None:
    with pytest.raises(Undecodable):
        unpack_texts(data)


def test_a_large_text_is_packed_anew_when_the_dictionary_is_switched() -> None:
    text = codec.to_json(
        {f"key{number}": "a long text that comes again and again" for number in range(2_000)}
    )
    with_dictionary = codec.pack_texts(text)
    codec.write_with_dictionary(False)
    try:
        without = codec.pack_texts(text)
    finally:
        codec.write_with_dictionary(True)
    assert without != with_dictionary == codec.pack_texts(text)
    assert codec.unpack_texts(without) == codec.unpack_texts(with_dictionary) == [text]
