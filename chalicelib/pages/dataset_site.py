"""The dataset site as a page: the published feeds and the API, for people and (as JSON-LD) for programs."""

from typing import Any

from chalicelib.pages.rendering import Page, Service, render
from chalicelib.wire.dataset import FEEDS, DatasetFeed
from chalicelib.wire.rpde import LICENSE

_LICENCES = {LICENSE: "Creative Commons Attribution 4.0 (CC BY 4.0)"}


def dataset_page(service: Service, document: dict[str, Any], feeds: tuple[DatasetFeed, ...] = FEEDS) -> Page:
    """The page of a dataset, with `document` (of `wire.dataset`) embedded as JSON-LD (DATASET-01)."""
    return render(
        "dataset-site",
        service,
        cache_control="public, max-age=3600",
        document=document,
        titles={feed.item_type: feed.title for feed in feeds},
        licence=_LICENCES.get(document["license"], document["license"]),
    )
