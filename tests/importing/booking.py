"""An installation that imports from an operator's site, and a Broker that books what came in."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import Any

from rich.console import Console

from chalicelib.domain.parties import Json
from chalicelib.importing.rpde import ImportOptions
from chalicelib.storage.store import Listing
from openbooking.cli.imports import import_rpde
from tests.importing.site import SELLER, OperatorSite
from tests.support.builders import AT_ONCE
from tests.support.world import CUSTOMER, PAYMENT, Answer, Broker, World


class Installation:
    """Our side: the inventory, and the API over it."""

    def __init__(self) -> None:
        self.world = World()
        self.reports: list[str] = []

    def take(self, site: OperatorSite, *, report: Path | None = None, **options: Any) -> str:
        """Import the site; what the command prints."""
        printed = io.StringIO()
        import_rpde(
            self.world.system.inventory,
            ImportOptions(site.url, **options),
            retry=AT_ONCE,
            console=Console(file=printed, width=240),
            report=report,
            web=site.web,
            now=lambda: self.world.clock.now,
        )
        return printed.getvalue()

    def listing(self, opportunity_id: str) -> Listing | None:
        return self.world.store.listings([opportunity_id]).get(opportunity_id, (None, None))[0]

    def on_sale(self, opportunity_id: str) -> list[str]:
        """The names of the Offers that it can be booked with now, by what is stored."""
        listing = self.listing(opportunity_id)
        if listing is None or listing.deleted:
            return []
        opportunity = listing.opportunity
        seller = self.world.store.seller(opportunity.seller_id)
        if seller is None or seller.why_no_bookings:
            return []
        return [
            str(offer.document.get("name"))
            for offer in opportunity.offers
            if opportunity.why_not_bookable(offer, self.world.clock.now) is None
        ]

    def quote(self, opportunity_id: str, offer_id: str | None = None, seller: str = SELLER["@id"]) -> Answer:
        """C2 for one space."""
        return self._send("order-quotes", "OrderQuote", self._item(opportunity_id, offer_id), seller)

    def book(self, opportunity_id: str, offer_id: str | None = None, seller: str = SELLER["@id"]) -> Answer:
        """C2 and B for one space."""
        item, order_uuid = self._item(opportunity_id, offer_id), str(uuid.uuid4())
        quoted = self._send("order-quotes", "OrderQuote", item, seller, order_uuid=order_uuid)
        if quoted.status != 200:
            return quoted
        due = quoted.json["totalPaymentDue"]
        payment = {"payment": PAYMENT} if due["price"] else {}
        return self._send(
            "orders", "Order", item, seller, order_uuid=order_uuid, totalPaymentDue=due, **payment
        )

    def why_not(self, opportunity_id: str, offer_id: str | None = None) -> list[tuple[str, str]]:
        """The errors of C2 for the item, each with its description."""
        answer = self.quote(opportunity_id, offer_id)
        errors = answer.json["orderedItem"][0].get("error", [])
        return [(error["@type"], error["description"]) for error in errors]

    def _item(self, opportunity_id: str, offer_id: str | None) -> Json:
        if offer_id is None:
            listing = self.listing(opportunity_id)
            assert listing is not None and listing.opportunity.offers
            offer_id = listing.opportunity.offers[0].id
        return {
            "@type": "OrderItem",
            "position": 0,
            "orderedItem": opportunity_id,
            "acceptedOffer": offer_id,
        }

    def _send(
        self, path: str, kind: str, item: Json, seller: str, *, order_uuid: str = "", **more: Any
    ) -> Answer:
        broker = Broker(self.world)
        body = broker.body(kind, item, seller=seller, customer=CUSTOMER, **more)
        target = f"/api/openbooking/{path}/{order_uuid or uuid.uuid4()}"
        return broker.send("PUT", target, body, {"X-OpenActive-Test-Seller-Id": seller})
