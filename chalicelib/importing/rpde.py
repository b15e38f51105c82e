"""One import from an operator's dataset site, from start to end.

All feeds are read before anything is written, so that an unreadable feed changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from chalicelib.domain.opportunity_types import EVENTS, OPPORTUNITY_TYPES, OpportunityType
from chalicelib.domain.parties import Json
from chalicelib.domain.source_counts import CounterMode
from chalicelib.importing import defaults_file
from chalicelib.importing.candidates import PARTS
from chalicelib.importing.catalogue import vat
from chalicelib.importing.defaults import Defaults, DefaultsError
from chalicelib.importing.harvest import Feed, Harvest, Log, OutOfTime, harvest, read_site
from chalicelib.importing.intake import Intake, Terms, read_harvest
from chalicelib.importing.last_pages import LastPages
from chalicelib.importing.sale import MAX_LEAVING
from chalicelib.importing.spool import Spool
from chalicelib.importing.stored import read_stored
from chalicelib.importing.update import Changes, Counting, TooMuchLeaves, update_inventory
from chalicelib.importing.web import SiteError, Web, not_of_the_web
from chalicelib.services.inventory import Inventory
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.values import dataclass, field
from chalicelib.wire.documents import member, read_document

Show = Callable[[str, int, int | None], None]
"""Called with the current step, how much of it is done, and the total, if it is known; at least every few seconds."""

# Seconds; shorter pauses are not mentioned.
_SHOWN_PAUSE = 4.0

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
    log: Log | None = None,
    last_pages: LastPages | None = None,
    has_time: Callable[[], bool] = lambda: True,
) -> Imported:
    """Import a site, from where `log` ends, where `last_pages` were read before.

    Raises ImportRefused, but not for items that are left out: the result lists these. Raises OutOfTime once `has_time`
    returns False: a repetition does the rest.
    """
    source = checked_source(options)

    def on_page(feed: Feed) -> None:
        show(f"Reading {feed.kind}", len(feed.items), None)

    def on_wait(why: str, seconds: float) -> None:
        if seconds >= _SHOWN_PAUSE:
            show(f"{why}: trying again in {seconds:.0f} s", 0, None)

    def on_progress(done: int, total: int) -> None:
        show("Updating the inventory", done, total)
        if done < total and not has_time():
            raise OutOfTime

    try:
        spool = Spool()
        with closing(web()) as site_pages:
            site_pages.on_wait = on_wait
            site = read_site(site_pages, options.url)
            harvested = harvest(
                site_pages, site, on_page, spool, log=log, last_pages=last_pages, has_time=has_time
            )
            terms = Terms(vat(options.vat_rate), options.seller_details, options.own_url, options.defaults)
            stored = read_stored(
                inventory, source, retry, spool, lambda done: show("Reading the inventory", done, None)
            )
            # Where the source's numbers of spaces count, those of unchanged items are needed, too.
            is_ours = options.defaults.counter is CounterMode.ours
            intake = read_harvest(harvested, source, terms, spool, stored if is_ours else None, show)
            changes = update_inventory(
                inventory,
                intake,
                source,
                stored=stored,
                kinds=_read_kinds(harvested),
                retry=retry,
                now=now(),
                deleted_means_cancelled=_whole_kinds(harvested) if options.deleted_means_cancelled else (),
                max_leaving=None if options.is_confirmed else _limit(options),
                shared_sellers=options.defaults.shared_sellers,
                counting=Counting(options.defaults.counter, options.defaults.known_after),
                dry_run=options.is_dry_run,
                on_progress=on_progress,
                on_compared=lambda done: show("Comparing with the inventory", done, None),
            )
    except (SiteError, DefaultsError) as error:
        raise ImportRefused(f"{error} Nothing was changed.") from None
    except TooMuchLeaves as error:
        forgotten = "" if options.defaults != Defaults() else f" {_WITHOUT_DEFAULTS}"
        raise ImportRefused(
            f"{error} Nothing was changed. --dry-run shows why.{forgotten} If the source is right, import it again with --confirm-leaving."
        ) from None
    except (StillBusy, StoreBusy) as error:
        raise ImportRefused(interrupted(error)) from error
    return Imported(harvested, intake, changes)


_WITHOUT_DEFAULTS = (
    "This import had no defaults: where an earlier one had a file of them, give it again with --defaults."
)


def _limit(options: ImportOptions) -> Decimal:
    for limit in (options.max_leaving, options.defaults.max_leaving):
        if limit is not None:
            return limit
    return MAX_LEAVING


def _read_kinds(harvested: Harvest) -> set[str]:
    """The types that may be withdrawn: their feeds were read to the end, and those of all that they depend on.

    They depend on what they inherit from, and a course on its sub-events.
    """
    failed = {feed.kind for feed in harvested.failed}
    return {
        feed.kind
        for feed in harvested.feeds
        if feed.kind not in failed
        and not failed & (_inherits_from(feed.kind) | PARTS.get(feed.kind, frozenset()))
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
        raise ImportRefused(not_of_the_web(url))
    return urlunsplit((parts.scheme.lower(), host, parts.path.rstrip("/"), parts.query, ""))


def is_same_site(url: str, other: str) -> bool:
    """Whether two URLs are those of one site, in whatever spelling: by http or https, with or without the usual port."""
    return _site(url) == _site(other)


def _site(url: str) -> tuple[str, str, str]:
    parts = urlsplit(source_name(url))
    host, _, port = (
        parts.netloc.rpartition(":") if re.search(r":\d*$", parts.netloc) else (parts.netloc, "", "")
    )
    is_usual = port in ("", "80", "443")
    path = quote(unquote(parts.path), safe="/") if parts.path else ""
    return host.rstrip(".") + ("" if is_usual else f":{port}"), re.sub("/+", "/", path), parts.query


def read_rate(text: str) -> Decimal:
    """A tax rate such as 0.20. Raises ImportRefused."""
    try:
        return defaults_file.read_rate(text)
    except DefaultsError as error:
        raise ImportRefused(str(error)) from None


def read_defaults_text(text: str) -> Defaults:
    """The defaults in the text of a TOML file. Raises ImportRefused."""
    try:
        return defaults_file.read_text(text)
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


def interrupted(error: Exception) -> str:
    """What to say of an import that the store has ended."""
    return (
        f"The database did not answer, or is busy: {error}."
        " What an import has changed so far is kept, and the next one does the rest."
    )


def _host_and_port(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    try:
        return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return parts.hostname, None
