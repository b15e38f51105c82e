"""Less detail of Opportunities and Offers: what is left out first, and what never is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.booking.quote import quote
from chalicelib.domain.limits import MAX_ID_BYTES, json_bytes
from chalicelib.domain.orders import Order
from chalicelib.domain.trimming import (
    MINIMAL_OFFER_BYTES,
    MINIMAL_OPPORTUNITY_BYTES,
    Detail,
    trimmed,
)
from chalicelib.values import replace
from tests.support.builders import a_moment, a_request, a_snapshot, an_offer, an_opportunity

Json = dict[str, Any]
SESSION: Json = {
    "@type": "ScheduledSession",
    "@id": "https://a.example/1",
    "name": "Yoga",
    "description": "Long",
    "beta:formattedDescription": "<p>Long</p>",
    "startDate": "2026-06-03T12:00:00Z",
    "beta:sportsActivityLocation": [{"description": "Hall", "name": "Studio"}],
}
SERIES: Json = {
    "@type": "SessionSeries",
    "@id": "https://a.example/series/1",
    "url": "https://a.example/series/1",
    "description": "Longer",
    "image": [{"@type": "ImageObject", "url": "https://a.example/1.png"}],
    "location": {"@type": "Place", "name": "Kings Mead", "description": "Near", "openingHours": [1, 2]},
    "activity": [{"@type": "Concept", "prefLabel": "Yoga"}, {"@type": "Concept", "prefLabel": "Pilates"}],
}


def an_order(document: Json = SESSION, parent: Json | None = SERIES, offer: Json | None = None) -> Order:
    opportunity = an_opportunity(
        "https://a.example/1", document=document, parent=parent, intake_form=({"@id": "x"},)
    )
    if offer is not None:
        opportunity = replace(opportunity, offers=(an_offer(document=offer),))
    request = a_request()
    request = replace(
        request,
        items=tuple(
            replace(
                request.items[0], position=n, opportunity_id=opportunity.id, offer_id=opportunity.offers[0].id
            )
            for n in range(2)
        ),
    )
    return quote(request, a_snapshot(opportunity), a_moment(), with_customer=True).answer.order


def shown(order: Order, detail: Detail) -> tuple[Json, Json | None]:
    opportunity = trimmed(order, detail).items[0].opportunity
    assert opportunity is not None
    return opportunity.document, opportunity.parent


def test_whole_order_is_the_order() -> None:
    order = an_order()
    assert trimmed(order, Detail.whole) is order


def test_descriptions_go_first_at_any_depth() -> None:
    document, parent = shown(an_order(), Detail.without_descriptions)
    assert document == {
        **{term: SESSION[term] for term in ("@type", "@id", "name", "startDate")},
        "beta:sportsActivityLocation": [{"name": "Studio"}],
    }
    assert parent is not None
    assert parent["location"] == {"@type": "Place", "name": "Kings Mead", "openingHours": [1, 2]}
    assert "image" in parent


def test_then_all_that_requirements_do_not_name() -> None:
    """Requirements 3.3."""
    document, parent = shown(an_order(), Detail.essential)
    assert set(document) == {"@type", "@id", "name", "startDate"}
    assert parent is not None
    assert set(parent) == {"@type", "@id", "url", "location", "activity"}
    assert parent["location"] == {"@type": "Place", "name": "Kings Mead"}
    assert len(parent["activity"]) == 2


def test_last_texts_are_cut_and_what_would_be_wrong_when_cut_is_left_out() -> None:
    long_id = "https://a.example/" + "1" * 400
    document, parent = shown(
        an_order(
            {**SESSION, "@id": long_id, "name": "y" * 500, "url": "https://a.example/" + "u" * 200},
        ),
        Detail.minimal,
    )
    assert document["@id"] == long_id
    assert document["name"] == "y" * 80
    assert "url" not in document
    assert parent is not None
    assert parent["activity"] == SERIES["activity"][:1]


@pytest.mark.parametrize("detail", Detail)
def test_people_prices_ids_and_statuses_are_never_cut(detail: Detail) -> None:
    order = an_order()
    less = trimmed(order, detail)
    assert replace(less, items=order.items) == order
    for item, before in zip(less.items, order.items, strict=True):
        assert replace(item, opportunity=before.opportunity, offer=before.offer) == before
        assert item.opportunity is not None and before.opportunity is not None
        assert item.opportunity.starts_at == before.opportunity.starts_at
        assert item.opportunity.revision == before.opportunity.revision


def test_items_of_one_opportunity_still_share_it() -> None:
    first, second = trimmed(an_order(), Detail.essential).items
    assert first.opportunity == second.opportunity


texts = st.text(st.characters(codec="utf-8"), max_size=300)
terms = st.sampled_from(
    [
        "name",
        "description",
        "url",
        "location",
        "activity",
        "address",
        "geo",
        "@type",
        "startDate",
        "superEvent",
    ]
)
values = st.recursive(
    texts | st.integers() | st.booleans() | texts.map(lambda text: text * 40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(terms | texts, inner, max_size=6),
    max_leaves=12,
)
documents = st.dictionaries(terms, values, max_size=8)


@given(
    document=documents, parent=st.none() | documents, offer=documents, id_size=st.integers(20, MAX_ID_BYTES)
)
def test_minimal_copies_have_a_bound_whatever_was_published(
    document: Json, parent: Json | None, offer: Json, id_size: int
) -> None:
    own = {"@id": "https://a.example/".ljust(id_size, "1")}
    order = an_order({**document, **own}, parent, {**offer, **own, "price": 1})
    item = trimmed(order, Detail.minimal).items[0]
    assert item.opportunity is not None and item.offer is not None
    assert json_bytes([item.opportunity.document, item.opportunity.parent]) <= MINIMAL_OPPORTUNITY_BYTES
    assert json_bytes(item.offer.document) <= MINIMAL_OFFER_BYTES
    assert item.opportunity.document["@id"] == own["@id"]
