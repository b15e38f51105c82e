"""Where the store is busy or others are faster: an import tries again, and says where it gave up."""

import io
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from chalicelib.importing.rpde import ImportOptions, ImportRefused
from chalicelib.services.inventory import Inventory
from chalicelib.storage.errors import StoreBusy
from chalicelib.storage.retry import RetryPolicy
from chalicelib.storage.store import Listing
from chalicelib.values import replace
from openbooking.cli.import_report import progress
from openbooking.cli.imports import import_rpde
from tests.importing.site import OperatorSite, series, session
from tests.support.memory import MemoryStore

RETRY = RetryPolicy(pause=lambda seconds: None, jitter=lambda: 0.5, clock=lambda: 0.0)


@pytest.fixture
def site() -> OperatorSite:
    site = OperatorSite()
    site.publish(series(1), session(1, of=1))
    return site


def run(store: MemoryStore, site: OperatorSite, **options: Any) -> str:
    told = io.StringIO()
    console = Console(file=told, width=200, **options)
    import_rpde(
        Inventory(store, store.pending, RETRY),
        ImportOptions(site.url, is_confirmed=True),
        retry=RETRY,
        console=console,
        web=site.web,
    )
    return told.getvalue()


class BusyStore(MemoryStore):
    """Refuses every call that publishes but each `every`th."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self._every = every
        self.calls = 0

    def publish_together(self, listings: Sequence[tuple[Listing, int | None]], **options: Any) -> None:
        self.calls += 1
        if self.calls % self._every:
            raise StoreBusy("throttled")
        super().publish_together(listings, **options)


class RivalledStore(MemoryStore):
    """Somebody else is faster with the first change of each Opportunity."""

    rival = False

    def publish_together(self, listings: Sequence[tuple[Listing, int | None]], **options: Any) -> None:
        for listing, spaces in listings:
            known = self.listings([listing.opportunity.id]).get(listing.opportunity.id, (None, None))[0]
            if self.rival and known is not None and known.version == 1:
                super().publish_together([(replace(known, version=2, source_digest="theirs"), spaces)])
        super().publish_together(listings, **options)


def test_a_store_that_is_busy_for_a_while_gets_it_all_in_the_end(site: OperatorSite) -> None:
    store = BusyStore(every=5)
    run(store, site)
    assert len(store.listings([series(1)["@id"], session(1, of=1)["@id"]])) == 2
    assert store.calls == 10


def test_a_store_that_stays_busy_is_said_and_the_rest_can_be_done_later(site: OperatorSite) -> None:
    store = BusyStore(every=1000)
    with pytest.raises(ImportRefused, match="or is busy: throttled"):
        run(store, site)
    store.calls = 999  # it recovers
    with pytest.raises(ImportRefused):
        run(store, site)
    assert list(store.listings([series(1)["@id"]])) == [series(1)["@id"]]


def test_nothing_is_withdrawn_where_not_everything_could_be_put_in(site: OperatorSite) -> None:
    store = BusyStore(every=1)
    run(store, site)
    site.delete(session(1, of=1))
    site.publish(series(2))
    store._every = 1000
    with pytest.raises(ImportRefused):
        run(store, site)
    assert not store.listings([session(1, of=1)["@id"]])[session(1, of=1)["@id"]][0].deleted


def test_where_somebody_else_is_faster_it_decides_again_on_what_is_there_now(site: OperatorSite) -> None:
    store = RivalledStore()
    run(store, site)
    store.rival = True
    site.publish(session(1, of=1, name="New"))
    run(store, site)
    listing = store.listings([session(1, of=1)["@id"]])[session(1, of=1)["@id"]][0]
    assert (listing.version, listing.opportunity.document["name"]) == (3, "New")


def test_types_that_are_no_longer_listed_or_not_supported_are_named(site: OperatorSite) -> None:
    store = MemoryStore()
    run(store, site)
    del site.listed["ScheduledSession"]
    site.list_feed("Picnic")
    told = run(store, site)
    assert "1 ScheduledSession of an earlier import are kept: the site no longer lists their feed." in told
    assert "Not supported, and not read: Picnic." in told


def test_a_terminal_is_shown_bars_and_a_file_lines(site: OperatorSite) -> None:
    assert "Reading ScheduledSession: 1\n" in run(MemoryStore(), site)
    shown = run(MemoryStore(), site, force_terminal=True)
    assert "Updating the inventory" in shown and "━" in shown and " 2\n" in shown


def test_what_others_have_published_cannot_steer_the_terminal(site: OperatorSite) -> None:
    site.publish(session(2, of=1, startDate="\x1b[2J[red]now"))
    told = run(MemoryStore(), site)
    assert "\x1b" not in told
    assert "[red]now" in told


def test_a_bar_whose_total_is_unknown_ends_full() -> None:
    told = io.StringIO()
    with progress(Console(file=told, width=100, force_terminal=True)) as show:
        show("Reading", 3, None)
    assert told.getvalue().rstrip("\x1b[?25h\n").endswith(" 3")
