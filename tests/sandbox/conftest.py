"""An installation in memory, with Sellers that have terms of service."""

from collections.abc import Iterator

import pytest

from chalicelib.runtime.system import install
from chalicelib.wire.sellers import read_seller
from tests.support.inventory import a_seller_document
from tests.support.world import Broker, World

_TERMS = [
    {
        "@type": "TermsOfUse",
        "name": "Terms",
        "url": "https://kings-mead.example/terms",
        "requiresExplicitConsent": False,
    }
]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    for number, mode in ((1, "TaxGross"), (2, "TaxNet")):
        document = a_seller_document(number, mode, termsOfService=_TERMS)
        known = made.store.seller(document["@id"])
        made.store.save_seller(read_seller(document, known.tax_rate if known else None))
    yield made
    install(None)


@pytest.fixture
def broker(world: World) -> Broker:
    return Broker(world)
