"""One import from an operator's dataset site, from start to end.

All feeds are read before anything is written, so that an unreadable feed changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from botocore.exceptions import ClientError
from pynamodb.exceptions import PynamoDBException

from chalicelib.domain.identifiers import BASE
from chalicelib.domain.opportunity_types import EVENTS, OPPORTUNITY_TYPES, OpportunityType
from chalicelib.domain.parties import Json
from chalicelib.services.inventory import Inventory
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Store
from chalicelib.wire.documents import member, read_document
from openbooking.importing import defaults_file
from openbooking.importing.catalogue import vat
from openbooking.importing.defaults import Defaults, DefaultsError
from openbooking.importing.harvest import Feed, Harvest, harvest, read_site
from openbooking.importing.intake import Intake, Terms, read_harvest
from openbooking.importing.sale import MAX_LEAVING
from openbooking.importing.update import Changes, TooMuchLeaves, update_inventory
from openbooking.importing.web import SiteError, Web

# PynamoDB does not convert some errors of the engine, such as that for a missing table.
_STORE_FAULTS = (StillBusy, StoreBusy, PynamoDBException, ClientError)
Show = Callable[[str, int, int | None], None]
"""Called with the current step, how much of it is done, and the total, if it is known."""

_FIXED_SELLER_TERMS = {"@id", "id"}
_TAX_MODES = frozenset({"TaxGross", "TaxNet"})


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
    defaults: Defaults = field(default_factory=Defaults)
    """What the source does not say, from its file."""
    max_leaving: Decimal | None = None
    """The share of the opportunities on sale that may leave sale; None for the source's own limit, or the usual one."""
    is_confirmed: bool = False
    """Whether any share may leave sale."""
    is_dry_run: bool = False
    """Whether nothing is written, and the result is what would be."""


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
            terms = Terms(vat(options.vat_rate), options.seller_details, options.own_url, options.defaults)
            intake = read_harvest(harvested, source, terms)
            changes = update_inventory(
                inventory,
                intake,
                source,
                kinds=_read_kinds(harvested),
                retry=retry,
                now=now(),
                deleted_means_cancelled=_whole_kinds(harvested) if options.deleted_means_cancelled else (),
                max_leaving=None if options.is_confirmed else _limit(options),
                shared_sellers=options.defaults.shared_sellers,
                dry_run=options.is_dry_run,
                on_progress=lambda done, total: show("Updating the inventory", done, total),
            )
    except (SiteError, DefaultsError) as error:
        raise ImportRefused(f"{error} Nothing was changed.") from None
    except TooMuchLeaves as error:
        raise ImportRefused(
            f"{error} Nothing was changed. --dry-run shows why. If the source is right, import it again with --confirm-leaving."
        ) from None
    except _STORE_FAULTS as error:
        raise ImportRefused(
            f"The inventory could not be brought up to date: {error}."
            " The changes so far are kept; run the import again to do the rest."
        ) from error
    return Imported(harvested, intake, changes)


def _limit(options: ImportOptions) -> Decimal:
    for limit in (options.max_leaving, options.defaults.max_leaving):
        if limit is not None:
            return limit
    return MAX_LEAVING


def _read_kinds(harvested: Harvest) -> set[str]:
    """The types that may be withdrawn: their feeds were read to the end, and those of all that they inherit from."""
    failed = {feed.kind for feed in harvested.failed}
    return {
        feed.kind
        for feed in harvested.feeds
        if feed.kind not in failed and not failed & _inherits_from(feed.kind)
    }


def _inherits_from(kind: str) -> set[str]:
    traits = OPPORTUNITY_TYPES.get(OpportunityType(kind)) if kind in OpportunityType.__members__ else None
    if traits is None:
        return set()
    found = {"EventSeries"} if traits.family is EVENTS else set()
    for parent in traits.parents:
        units = OPPORTUNITY_TYPES[parent].units
        found |= {parent.value, *([units] if units else []), *_inherits_from(parent.value)}
    return found


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
        return defaults_file.read_rate(text)
    except DefaultsError as error:
        raise ImportRefused(str(error)) from None


def read_defaults(path: Path) -> Defaults:
    """The defaults of a source, from a TOML file. Raises ImportRefused."""
    try:
        return defaults_file.read_defaults(path)
    except DefaultsError as error:
        raise ImportRefused(str(error)) from None


def read_limit(text: str) -> Decimal:
    """The share that may leave sale, such as 0.10. Raises ImportRefused."""
    try:
        return defaults_file.read_share(text)
    except DefaultsError as error:
        raise ImportRefused(str(error)) from None


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
        if "taxMode" in each and member(each["taxMode"]) not in _TAX_MODES:
            raise ImportRefused(f"{path} must give TaxGross or TaxNet as the taxMode of {seller_id}.")
        if not isinstance(each.get("isOpenBookingAllowed", True), bool):
            raise ImportRefused(f"{path} must give true or false as isOpenBookingAllowed of {seller_id}.")
    return {seller_id: read_document(each) for seller_id, each in details.items()}


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
