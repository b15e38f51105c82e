"""What was read of a source and can be imported, on disk: documents by the `@id` of their Opportunity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, overload

from chalicelib.domain.opportunities import NOT_TAKING_PLACE, Opportunity
from chalicelib.importing.spool import Spool
from chalicelib.importing.stored import Kept
from chalicelib.services.inventory import Document
from chalicelib.storage import codec
from chalicelib.values import dataclass
from chalicelib.wire.opportunities import Published

_COLUMNS = "digest, spaces, opportunity"


@dataclass(frozen=True)
class Summary:
    """What is needed of a document to count it: `is_off` if its source says that it does not take place."""

    id: str
    kind: str
    seller_id: str
    is_off: bool


@dataclass(frozen=True)
class Batch:
    """Some documents, and the ids of those that are known to be in the inventory."""

    documents: Sequence[Document]
    listed: Sequence[str]


class Documents(Sequence[Document]):
    """Documents in the order in which they were added. Each can be marked as settled: nothing is left to do for it."""

    def __init__(self, spool: Spool, source: str) -> None:
        self._spool, self._source = spool, source
        self._table = spool.table(
            "place INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, seller TEXT, is_off INTEGER,"
            " settled INTEGER DEFAULT 0, listed INTEGER DEFAULT 0, digest TEXT, spaces INTEGER, opportunity BLOB"
        )
        self._count = 0

    def append(self, document: Document) -> None:
        opportunity = document.published.opportunity
        self._spool.database.execute(
            f"INSERT INTO {self._table} VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?, ?)",
            (
                self._count,
                opportunity.id,
                opportunity.type.value,
                opportunity.seller_id,
                opportunity.status in NOT_TAKING_PLACE,
                document.digest,
                document.published.spaces,
                codec.pack(opportunity) if document.packed is None else document.packed,
            ),
        )
        self._count += 1

    def append_kept(self, kept: Kept) -> None:
        """Add an Opportunity that is stored as it is, without its document."""
        values = self._count, kept.id, kept.kind, kept.seller_id, kept.is_off, kept.digest
        self._spool.database.execute(
            f"INSERT INTO {self._table} (place, id, kind, seller, is_off, digest) VALUES (?, ?, ?, ?, ?, ?)",
            values,
        )
        self._count += 1

    def digest(self, opportunity_id: str) -> str | None:
        """The digest of the document of an Opportunity, None if there is no such document."""
        found = self._row("digest", opportunity_id)
        return None if found is None else str(found[0])

    def find(self, opportunity_id: str) -> Document | None:
        """The document of an Opportunity; None also for one that was added without its document."""
        found = self._row(_COLUMNS, opportunity_id)
        return None if found is None or found[-1] is None else self._read(found)

    def settle(self, opportunity_id: str) -> None:
        self._spool.database.execute(f"UPDATE {self._table} SET settled = 1 WHERE id = ?", (opportunity_id,))

    def note_listed(self, opportunity_id: str) -> None:
        """Note that the inventory has this Opportunity already."""
        self._spool.database.execute(f"UPDATE {self._table} SET listed = 1 WHERE id = ?", (opportunity_id,))

    def settle_of(self, seller_ids: Collection[str]) -> Iterator[Summary]:
        """Settle all documents of these Sellers, and return what they are."""
        for seller_id in seller_ids:
            yield from self.summaries("seller = ? AND settled = 0", seller_id)
            self._spool.database.execute(
                f"UPDATE {self._table} SET settled = 1 WHERE seller = ?", (seller_id,)
            )

    def open_batches(self, size: int) -> Iterator[Batch]:
        """The documents that are not settled, so many at a time."""
        rows = self._spool.rows(
            f"SELECT {_COLUMNS}, listed FROM {self._table} WHERE settled = 0 ORDER BY place"
        )
        while found := list(islice(rows, size)):
            documents = [self._read(row) for *row, _ in found]
            listed = [
                document.published.opportunity.id
                for document, (*_, is_listed) in zip(documents, found, strict=True)
                if is_listed
            ]
            yield Batch(documents, listed)

    def open_count(self) -> int:
        """How many documents are not settled."""
        return sum(self._counted("settled = 0").values())

    def settled_by_kind(self) -> Counter[str]:
        return self._counted("settled = 1")

    def summaries(self, condition: str = "1", *values: Any) -> Iterator[Summary]:
        query = f"SELECT id, kind, seller, is_off FROM {self._table} WHERE {condition} ORDER BY place"
        for opportunity_id, kind, seller_id, is_off in self._spool.rows(query, values):
            yield Summary(opportunity_id, kind, seller_id, bool(is_off))

    def __iter__(self) -> Iterator[Document]:
        return map(self._read, self._spool.rows(f"SELECT {_COLUMNS} FROM {self._table} ORDER BY place"))

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Document: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Document]: ...

    def __getitem__(self, index: int | slice) -> Document | Sequence[Document]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._count))]
        place = index + self._count if index < 0 else index
        found = self._spool.database.execute(
            f"SELECT {_COLUMNS} FROM {self._table} WHERE place = ?", (place,)
        ).fetchone()
        if found is None:
            raise IndexError(index)
        return self._read(found)

    def _counted(self, condition: str) -> Counter[str]:
        query = f"SELECT kind, count(*) FROM {self._table} WHERE {condition} GROUP BY kind"
        return Counter(dict(self._spool.rows(query)))

    def _row(self, columns: str, opportunity_id: str) -> Any:
        query = f"SELECT {columns} FROM {self._table} WHERE id = ?"
        return self._spool.database.execute(query, (opportunity_id,)).fetchone()

    def _read(self, row: Any) -> Document:
        digest, spaces, opportunity = row
        published = Published(codec.unpack(opportunity, Opportunity), spaces)
        return Document(published, self._source, known_digest=digest, packed=opportunity)
