"""Reading whole tables a page at a time: pages, parts that are read in parallel, and damaged rows."""

from typing import Generic, TypeVar

from chalicelib.values import dataclass

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One of `of` parts of a table, counted from 0. Together they are the whole table."""

    number: int = 0
    of: int = 1


WHOLE = Part()


@dataclass(frozen=True)
class ScanPage(Generic[T]):
    """Some rows, and the cursor of the next page: None at the end. A page may be empty before the end.

    `unlisted` are the keys of rows that are missing from their lists (`storage.lists`), for scans that look for them.
    """

    rows: tuple[T, ...]
    cursor: str | None = None
    unlisted: tuple[str, ...] = ()


@dataclass(frozen=True)
class BrokenRow:
    """A row that cannot be read, by its key; `error` is the type of the error, without any content."""

    key: str
    error: str
