"""A Broker that follows a feed from where it has come to, and what the store has for it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.domain.opportunity_types import OPEN_FEEDS
from chalicelib.feeds.contents import FeedContents, listing_item
from chalicelib.runtime.system import System
from chalicelib.storage.dynamodb.feeds import SETTLES_WITHIN
from chalicelib.storage.scans import BrokenRow

Json = dict[str, Any]


@dataclass
class Reader:
    """It keeps what it has read, as a Broker does: nothing tells it that a feed was mended."""

    feed_id: str
    after: int = 0
    known: dict[str, Json] = field(default_factory=dict)

    def read(self, system: System) -> Reader:
        """Read to the end, once all gaps have settled."""
        now = datetime.now(UTC) + SETTLES_WITHIN + timedelta(seconds=5)
        while (rows := system.feeds.page(self.feed_id, self.after, 7, now)).items:
            for item in map(json.loads, rows.items):
                assert item["modified"] > self.after
                if item["state"] == "deleted":
                    self.known.pop(item["id"], None)
                else:
                    self.known[item["id"]] = item["data"]
            assert rows.last is not None
            self.after = rows.last
        return self


def readers(feed_ids: Iterable[str]) -> dict[str, Reader]:
    return {feed_id: Reader(feed_id) for feed_id in feed_ids}


def in_store(system: System, feed_ids: Iterable[str]) -> dict[str, dict[str, Json]]:
    """What a Broker has to know of each feed: read from the store, row by row."""
    contents = FeedContents(system.store, system.consent.is_revoked)
    shown: dict[str, dict[str, Json]] = {feed_id: {} for feed_id in feed_ids}
    for order in system.store.scan_orders(limit=100_000).rows:
        assert not isinstance(order, BrokenRow)
        for feed_id, item in contents.of_order(order).items():
            if item.data is not None and feed_id in shown:
                shown[feed_id][item.id] = json.loads(json.dumps(item.data))
    for listing, capacity in system.store.listings(
        system.store.scan_opportunities(limit=100_000).rows
    ).values():
        item, feed_id = listing_item(listing, capacity), listing.opportunity.type.traits.feed
        if item.data is not None and feed_id in shown and feed_id in OPEN_FEEDS:
            shown[feed_id][item.id] = json.loads(json.dumps(item.data))
    return shown
