"""What the inventory has of a source before an import, from one scan, on disk.

Decides which documents need not be read again: those that are stored, and were made of the same.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.domain.opportunities import NOT_TAKING_PLACE, Opportunity
from chalicelib.importing.bookability import NotBookable, own_reasons
from chalicelib.importing.defaults import Defaults
from chalicelib.importing.spool import Spool, packed, unpacked
from chalicelib.services.inventory import Inventory
from chalicelib.storage import codec
from chalicelib.storage.errors import CommitRefused, StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing, Packed
from chalicelib.values import dataclass, fields

if TYPE_CHECKING:
    from chalicelib.domain.parties import Json, TaxRate

# The packages whose code decides what is made of a document.
_READERS = ("domain", "importing", "wire")
# 96 bits, which is enough to compare two versions of one document. Rows are billed by the KB.
_DIGEST_BYTES = 12


@dataclass(frozen=True)
class Kept:
    """What is needed of a stored Opportunity that has not changed, instead of its document."""

    id: str
    kind: str
    seller_id: str
    is_off: bool
    digest: str
    reasons: tuple[NotBookable, ...]


class Stored:
    """The Listings of a source, in the order of the scan."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._table = spool.table(
            "place INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, seller TEXT, is_off INTEGER, digest TEXT,"
            " reasons BLOB, listing BLOB, opportunity BLOB"
        )

    def add(self, listing: Listing) -> None:
        opportunity = listing.opportunity
        reasons = () if listing.deleted else tuple(own_reasons(opportunity))
        rest = listing.version, listing.deleted, listing.source, listing.source_digest, listing.closed
        self._spool.database.execute(
            f"INSERT OR REPLACE INTO {self._table} (id, kind, seller, is_off, digest, reasons, listing, opportunity)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                opportunity.id,
                opportunity.type.value,
                opportunity.seller_id,
                opportunity.status in NOT_TAKING_PLACE,
                None if listing.deleted else listing.source_digest,
                packed(reasons) if reasons else None,
                packed(rest),
                listing.packed_opportunity,
            ),
        )

    def if_made_of(self, opportunity_id: str, basis: str) -> Kept | None:
        """What is stored of an Opportunity, if it was made of the documents, defaults and program of this `basis`."""
        found = self._spool.database.execute(
            f"SELECT kind, seller, is_off, digest, reasons FROM {self._table} WHERE id = ?", (opportunity_id,)
        ).fetchone()
        if found is None or found[3] is None or found[3].partition(".")[2] != basis:
            return None
        kind, seller_id, is_off, digest, reasons = found
        return Kept(
            opportunity_id, kind, seller_id, bool(is_off), digest, unpacked(reasons) if reasons else ()
        )

    def opportunity(self, opportunity_id: str) -> Opportunity | None:
        """The Opportunity as it is stored."""
        found = self._spool.database.execute(
            f"SELECT opportunity FROM {self._table} WHERE id = ?", (opportunity_id,)
        ).fetchone()
        return None if found is None else codec.unpack(found[0], Opportunity)

    def __iter__(self) -> Iterator[Listing]:
        for rest, data in self._spool.rows(f"SELECT listing, opportunity FROM {self._table} ORDER BY place"):
            version, deleted, source, digest, closed = unpacked(rest)
            opportunity = codec.unpack(data, Opportunity)
            yield Listing(
                opportunity, version, deleted, source, digest, closed, packed=Packed(opportunity, data)
            )


def read_stored(
    inventory: Inventory,
    source: str,
    retry: RetryPolicy,
    spool: Spool,
    on_page: Callable[[int], None] = lambda done: None,
) -> Stored:
    """Scan the Listings of a source. If the store is busy, only the page is read again. Raises StillBusy."""
    stored, after, done = Stored(spool), None, 0
    while True:
        page = retry.run(
            lambda after=after: inventory.store.imported_page(source, after),  # type: ignore[misc]
            on=(CommitRefused, StoreBusy),
        )
        for listing in page.listings:
            stored.add(listing)
        done += len(page.listings)
        on_page(done)
        after = page.following
        if after is None:
            return stored


def digest_of(*parts: str) -> str:
    """A short digest of some texts."""
    found = hashlib.sha256("\0".join(parts).encode()).digest()[:_DIGEST_BYTES]
    return base64.urlsafe_b64encode(found).decode()


def digest_of_terms(defaults: Defaults, tax_rate: TaxRate | None, own_url: str | None) -> str:
    """A digest of what decides, beside documents, what is made of them: defaults, options, and the program."""
    stated: Json = {each.name: getattr(defaults, each.name) for each in fields(defaults)}
    stated["time_zone"] = str(defaults.time_zone)
    return digest_of(codec.canonical([stated, tax_rate, own_url]).decode(), _program())


@cache
def _program() -> str:
    """A digest of the code that reads documents: a new release may make something else of them."""
    digest = hashlib.sha256()
    for package in _READERS:
        for path in sorted((Path(__file__).parent.parent / package).glob("*.py*")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
