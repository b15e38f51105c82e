"""Identifiers, inward and outward."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.identifiers import API, BASE, inward, outward
from chalicelib.domain.orders import OrderKind
from chalicelib.wire.links import (
    is_identifier,
    order_id,
    order_item_id,
    parse_order_item_id,
    parse_proposal_version,
    parse_uuid,
    proposal_version_id,
)

UUID = "10000000-0000-4000-8000-000000000001"
ITEM = "20000000-0000-4000-8000-000000000002"

hosts = st.sampled_from(
    ["http://localhost:8000", "https://booking.example", "https://x.execute-api.eu-west-2.amazonaws.com/dev"]
)
paths = st.text("abcXYZ0123456789-._~/#?=%", max_size=30)


@given(hosts, paths)
def test_our_own_ids_go_out_and_come_back(base_url: str, path: str) -> None:
    inside = f"{BASE}/{path}"
    shown = outward(inside, base_url)
    assert shown == f"{base_url}/{path}"
    assert inward(shown, base_url) == inside


@given(hosts, hosts, paths)
def test_ids_of_others_stay_as_they_are(base_url: str, other: str, path: str) -> None:
    iri = f"{other}.operator.example/{path}"
    assert inward(iri, base_url) == iri
    assert outward(iri, base_url) == iri


@pytest.mark.parametrize(
    "iri", ["http://localhost:80001/x", "http://localhost:8000.evil.example/x", "http://localhost:8000"]
)
def test_beginning_alike_is_not_being_ours(iri: str) -> None:
    assert inward(iri, "http://localhost:8000") == iri


@given(st.uuids(), st.uuids())
def test_order_item_ids_round_trip(order: uuid.UUID, item: uuid.UUID) -> None:
    """B-09, T8."""
    iri = order_item_id(str(order), str(item))
    assert iri.startswith(f"{order_id(OrderKind.Order, str(order))}#/orderedItem/")
    assert parse_order_item_id(iri) == (str(order), str(item))


@given(st.uuids(), st.uuids())
def test_versions_of_proposals_round_trip(order: uuid.UUID, version: uuid.UUID) -> None:
    """P-03."""
    assert parse_proposal_version(proposal_version_id(str(order), str(version))) == (str(order), str(version))
    assert parse_proposal_version(order_id(OrderKind.OrderProposal, str(order))) is None


@pytest.mark.parametrize(
    "iri",
    [
        f"{API}/orders/{UUID}#/orderedItem/{ITEM}-0-",
        f"{API}/orders/{UUID}#/orderedItem/",
        f"{API}/orders/{UUID}",
        f"{API}/orders/nonsense#/orderedItem/{ITEM}",
        f"{API}/order-quotes/{UUID}#/orderedItem/{ITEM}",
        f"https://operator.example/api/openbooking/orders/{UUID}#/orderedItem/{ITEM}",
        f"{API}/orders/{UUID}#/orderedItem/{ITEM}/x",
        f"{API}/orders/{UUID}#/orderedItem/{ITEM}\n",
        "",
    ],
)
def test_what_is_no_order_item_id_is_none(iri: str) -> None:
    """CANCEL-09."""
    assert parse_order_item_id(iri) is None


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (OrderKind.OrderQuote, "order-quotes"),  # C1-14: also at C1
        (OrderKind.OrderProposal, "order-proposals"),
        (OrderKind.Order, "orders"),  # B-11
    ],
)
def test_each_kind_has_its_path(kind: OrderKind, path: str) -> None:
    """C1-14, P-04, B-11; MEDIA-05: absolute and stable."""
    assert order_id(kind, UUID) == f"{BASE}/api/openbooking/{path}/{UUID}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (UUID, UUID),
        ("A0000000-0000-4000-8000-00000000000B", "a0000000-0000-4000-8000-00000000000b"),
        ("a000000000004000800000000000000b", None),
        ("{a0000000-0000-4000-8000-00000000000b}", None),
        ("urn:uuid:a0000000-0000-4000-8000-00000000000b", None),
        ("a0000000-0000-4000-8000-00000000000", None),
        ("order-1", None),
        ("", None),
    ],
)
def test_uuid_is_strict_and_lower_case(text: str, expected: str | None) -> None:
    """GEN-01, T27."""
    assert parse_uuid(text) == expected


@pytest.mark.parametrize(
    ("iri", "expected"),
    [
        (f"{BASE}/api/identifiers/scheduled-sessions/1", True),
        (f"{BASE}/api/identifiers/facility-uses/1/individual-facility-uses/2", True),
        (f"{BASE}/api/identifiers/slots/1#/offers/1", True),
        (f"{BASE}/api/identifiers/slots/1#/other/1", False),
        (f"{BASE}/api/openbooking/orders/1", False),
        (f"{BASE}/somewhere", False),
        ("https://operator.example/sessions/1", True),
        ("http://operator.example/sessions/1#/offers/1", True),
        ("ftp://operator.example/sessions/1", False),
        ("operator.example/sessions/1", False),
        ("urn:session:1", False),
        ("https://", False),
        ("http://[", False),
        ("https://operator.example/a b", False),
        ("https://operator.example/" + "a" * 2100, False),  # no row has such a key
        ("https://operator.example/" + "é" * 1100, False),
        ("7", False),
    ],
)
def test_what_can_be_the_id_of_an_opportunity_or_offer(iri: str, expected: bool) -> None:
    """InvalidOpportunityOrOfferIdError in the error table."""
    assert is_identifier(iri) is expected
