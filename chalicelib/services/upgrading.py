"""Adds rows of earlier releases to the lists of their Sellers, once after an upgrade, while the system runs.

Safe to repeat and to interrupt: a row is written only if it is missing from its list and has not changed since it was read.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from chalicelib.domain.orders import OrderKey
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.scans import Part, ScanPage
from chalicelib.storage.store import Store
from chalicelib.values import dataclass

T = TypeVar("T")

_TOGETHER = 100  # rows in one read


@dataclass
class Upgraded:
    """How many rows were looked at, and how many were added to a list."""

    seen: int = 0
    orders: int = 0
    opportunities: int = 0


@dataclass(frozen=True)
class Upgrade:
    """`parts`: how many parts of a table are read in parallel."""

    store: Store
    retry: RetryPolicy
    parts: int = 4

    def run(
        self, *, dry_run: bool = False, on_step: Callable[[Upgraded], None] = lambda done: None
    ) -> Upgraded:
        """Add what is missing; in a dry run only count it. `on_step` gets the counts after each page.

        Raises StillBusy: then run it again.
        """
        done, lock = Upgraded(), Lock()

        def counted(seen: int, orders: int, opportunities: int) -> None:
            with lock:
                done.seen += seen
                done.orders += orders
                done.opportunities += opportunities
                on_step(done)

        def of_orders(part: Part) -> None:
            for seen, unlisted in self._pages(lambda cursor: self.store.scan_orders(cursor, part=part)):
                keys = [OrderKey(*each.rsplit("#", 1)) for each in unlisted]
                counted(seen, self._orders(keys, dry_run), 0)

        def of_opportunities(part: Part) -> None:
            for seen, unlisted in self._pages(
                lambda cursor: self.store.scan_opportunities(cursor, part=part)
            ):
                counted(seen, 0, self._opportunities(unlisted, dry_run))

        for scan in (of_orders, of_opportunities):
            with ThreadPoolExecutor(self.parts) as pool:
                list(pool.map(scan, [Part(number, self.parts) for number in range(self.parts)]))
        return done

    def _pages(self, read: Callable[[str], ScanPage[Any]]) -> Iterator[tuple[int, Sequence[str]]]:
        cursor: str | None = ""
        while cursor is not None:
            page = self._patiently(lambda: read(cursor or ""))  # noqa: B023
            yield len(page.rows), page.unlisted
            cursor = page.cursor

    def _orders(self, keys: Sequence[OrderKey], dry_run: bool) -> int:
        write = self.store.list_orders
        look = self.store.unlisted_orders
        return sum(
            self._patiently(lambda: len(look(some)) if dry_run else write(some))  # noqa: B023
            for some in _together(keys)
        )

    def _opportunities(self, ids: Sequence[str], dry_run: bool) -> int:
        write = self.store.list_opportunities
        look = self.store.unlisted_opportunities
        return sum(
            self._patiently(lambda: len(look(some)) if dry_run else write(some))  # noqa: B023
            for some in _together(ids)
        )

    def _patiently(self, work: Callable[[], T]) -> T:
        return self.retry.run(work, on=(StoreBusy,))


def _together(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), _TOGETHER):
        yield rows[start : start + _TOGETHER]
