"""One import from an operator's dataset site, from start to end.

All feeds are read before anything is written, so that an unreadable feed changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from botocore.exceptions import ClientError
from pynamodb.exceptions import PynamoDBException

from chalicelib.domain.identifiers import BASE
from chalicelib.domain.parties import Json
from chalicelib.services.inventory import Inventory
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store
from openbooking.importing.catalogue import vat
from openbooking.importing.harvest import Feed, Harvest, harvest, read_site
from openbooking.importing.intake import Intake, Terms, read_harvest
from openbooking.importing.update import Changes, update_inventory
from openbooking.importing.web import SiteError, Web

# PynamoDB does not convert some errors of the engine, such as that for a missing table.
_STORE_FAULTS = (StillBusy, StoreBusy, PynamoDBException, ClientError)
Show = Callable[[str, int, int | None], None]
"""Called with the current step, how much of it is done, and the total, if it is known."""

_FIXED_SELLER_TERMS = {"@id", "taxMode"}


class ImportRefused(Exception):
    """The import cannot start or continue; the message gives the reason and what to do."""


@dataclass(frozen=True)
class ImportOptions:
    """What to import, and information that the feeds do not contain.

    `source` is the name of the operator's site in the inventory, by default its URL.
    """

    url: str
    source: str = ""
    vat_rate: Decimal = Decimal("0.20")
    seller_details: Mapping[str, Json] = field(default_factory=dict)
    own_url: str | None = None
    """The URL of this system, if it is known."""
    deleted_means_cancelled: bool = False
    """Whether the operator deletes sessions that it cancels. If so, Orders on deleted sessions are cancelled."""


@dataclass(frozen=True)
class Imported:
    """What an import has read, and what it changed in the inventory."""

    harvest: Harvest
    intake: Intake
    changes: Changes


def import_rpde(
    inventory: Inventory,
    options: ImportOptions,
    *,
    retry: RetryPolicy,
    show: Show = lambda what, done, total: None,
    web: Callable[[], Web] = Web,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Imported:
    """Import a site. Raises ImportRefused, but not for items that are left out: the result lists these."""
    source = checked_source(options)
    _reach(inventory.store)

    def on_page(feed: Feed) -> None:
        show(f"Reading {feed.kind}", len(feed.items), None)

    try:
        with closing(web()) as site_pages:
            site = read_site(site_pages, options.url)
            harvested = harvest(site_pages, site, on_page)
            terms = Terms(vat(options.vat_rate), options.seller_details, options.own_url)
            intake = read_harvest(harvested, source, terms)
            changes = update_inventory(
                inventory,
                intake,
                source,
                kinds={address.kind for address in site.feeds},
                retry=retry,
                now=now(),
                deleted_means_cancelled=_whole_kinds(harvested) if options.deleted_means_cancelled else (),
                on_progress=lambda done, total: show("Updating the inventory", done, total),
            )
    except SiteError as error:
        raise ImportRefused(f"{error} Nothing was changed.") from None
    except _STORE_FAULTS as error:
        raise ImportRefused(
            f"The inventory could not be brought up to date: {error}."
            " The changes so far are kept; run the import again to do the rest."
        ) from error
    return Imported(harvested, intake, changes)


def _whole_kinds(harvested: Harvest) -> set[str]:
    """The types whose feeds contain no malformed items, so that a missing id means that it was deleted."""
    broken = {feed.kind for feed in harvested.feeds if feed.malformed}
    return {feed.kind for feed in harvested.feeds} - broken


def checked_source(options: ImportOptions) -> str:
    """The name of the site in the inventory. Raises ImportRefused if the site cannot be imported."""
    source = options.source or source_name(options.url)
    if options.own_url and _host_and_port(options.url) == _host_and_port(options.own_url):
        raise ImportRefused(f"{options.url} is this system's own dataset site.")
    return source


def source_name(url: str) -> str:
    """The name of a site in the inventory: its URL, without parts that may differ between imports.

    Raises ImportRefused if it is not a URL of a site.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    host = parts.netloc.rpartition("@")[2].lower()
    if parts.scheme.lower() not in ("http", "https") or not host:
        raise ImportRefused(f"{url} is not an http or https URL.")
    return urlunsplit((parts.scheme.lower(), host, parts.path.rstrip("/"), parts.query, ""))


def read_rate(text: str) -> Decimal:
    """A tax rate such as 0.20. Raises ImportRefused."""
    try:
        rate = Decimal(text)
    except InvalidOperation:
        rate = Decimal(-1)
    if not rate.is_finite() or not 0 <= rate < 1:
        raise ImportRefused(f"The rate of VAT must be a fraction, 0.20 for 20 %, not {text}.")
    return rate


def read_seller_details(path: Path) -> dict[str, Json]:
    """Details of Sellers by their id, from a JSON file. Raises ImportRefused."""
    try:
        details: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImportRefused(f"The details of sellers cannot be read from {path}: {error}.") from None
    if not isinstance(details, dict) or not all(isinstance(each, dict) for each in details.values()):
        raise ImportRefused(
            f'{path} must contain {{"<seller id>": {{"legalName": ..., "address": {{...}}}}, ...}}.'
        )
    for seller_id, each in details.items():
        if fixed := _FIXED_SELLER_TERMS & set(each):
            raise ImportRefused(
                f"{path} must not give {', '.join(sorted(fixed))} of {seller_id}: the feeds do."
            )
    return details


def _reach(store: Store) -> None:
    """Check that the inventory can be reached, before a long harvest. Raises ImportRefused."""
    try:
        store.seller(f"{BASE}/unknown")
    except _STORE_FAULTS as error:
        raise ImportRefused(
            f"The inventory cannot be reached: {error}."
            " Start a local stack with `make run`, or let DYNAMODB_URL name an engine that has the tables."
        ) from None


def _host_and_port(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    try:
        return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return parts.hostname, None
