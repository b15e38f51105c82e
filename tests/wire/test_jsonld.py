"""Reading bodies safely, and writing documents."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import MalformedRequestError
from chalicelib.wire.jsonld import (
    MAX_DEPTH,
    number,
    only,
    read_body,
    reference,
    without_empty,
    without_extensions,
    write,
)


def nested(levels: int) -> bytes:
    """Objects inside each other, so many of them."""
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"a": "\xff"}',
        b"\xed\xa0\x80",
        b'{"a": 1} trailing',
        b'{"a": ' + b"9" * 5000 + b"}",
        nested(MAX_DEPTH + 1),
        nested(100_000),
        b"[" * 200_000,
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        read_body(body)


def test_body_may_be_as_deep_as_allowed() -> None:
    assert read_body(nested(MAX_DEPTH))


def test_null_and_empty_properties_are_as_if_absent() -> None:
    """MEDIA-03: numbers and booleans are values, also 0 and false."""
    body = (
        b'{"a": null, "b": "", "c": [], "d": 0, "e": false, "f": {"g": null}, "h": [null], "i": [{"j": ""}]}'
    )
    assert read_body(body) == {"d": 0, "e": False, "f": {}, "i": [{}]}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(""),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_pruned_once_is_pruned(value: Any) -> None:
    """MEDIA-03."""
    pruned = without_empty(value)
    assert without_empty(pruned) == pruned
    if isinstance(pruned, dict):
        assert not any(inner is None or inner in ("", []) for inner in pruned.values())


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_body_comes_back_as_it_was_written(document: dict[str, Any]) -> None:
    assert read_body(write(document).encode()) == without_empty(document)


def test_what_is_written_is_compact_and_keeps_what_json_can_hold() -> None:
    document = {"a": [10**30, 0.1, Decimal("7.50"), True, None], "é": '"\\\n\x7f'}
    assert (
        write(document) == '{"a":[1000000000000000000000000000000,0.1,7.50,true,null],"é":"\\"\\\\\\n\x7f"}'
    )


def test_extensions_are_dropped_at_every_level() -> None:
    """GEN-10, MEDIA-07."""
    document = {"name": "Acme", "acme:colour": "red", "address": [{"acme:x": 1, "postalCode": "OX1"}]}
    assert without_extensions(document) == {"name": "Acme", "address": [{"postalCode": "OX1"}]}
    assert only(document, ("address", "url")) == {"address": [{"postalCode": "OX1"}]}


@pytest.mark.parametrize(
    ("amount", "text"), [("10.00", "10"), ("10.50", "10.5"), ("0.00", "0"), ("12.99", "12.99")]
)
def test_amounts_are_numbers(amount: str, text: str) -> None:
    """MEDIA-10."""
    assert write(number(Decimal(amount))) == text


@given(st.decimals(min_value=0, max_value=10**9, places=2, allow_nan=False))
def test_no_penny_is_lost_on_the_way_out(amount: Decimal) -> None:
    """MEDIA-10."""
    assert Decimal(write(number(amount))) == amount


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://a.example/1", "https://a.example/1"),
        ({"@id": "https://a.example/1"}, "https://a.example/1"),
        ({"@type": "Offer", "@id": "https://a.example/1", "price": 1}, "https://a.example/1"),
        ({"@type": "Offer"}, None),
        ({"@id": 7}, None),
        ("", None),
        (None, None),
        (["https://a.example/1"], None),
        (7, None),
    ],
)
def test_reference_is_an_object_or_the_bare_id(value: Any, expected: str | None) -> None:
    """MEDIA-09."""
    assert reference(value) == expected
