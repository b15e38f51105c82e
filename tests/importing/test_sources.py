"""Sources: what the schedule imports, from where it stopped, and never twice at a time."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import typer
from rich.console import Console

from chalicelib.importing.harvest import OutOfTime
from chalicelib.importing.rpde import ImportRefused
from chalicelib.importing.sources import KIND, Held, Settings, Source, Sources
from chalicelib.services.pending import Worker
from chalicelib.storage.errors import StoreBusy
from chalicelib.values import replace
from openbooking.cli.sources import follow_source
from tests.importing.site import SELLER, OperatorSite, series, session
from tests.support.builders import AT_ONCE
from tests.support.world import World

NAME = "acme"


class Installation:
    """An installation whose schedule imports from an operator's site."""

    def __init__(self, site: OperatorSite) -> None:
        self.world, self.site = World(), site
        self.sources: Sources = replace(
            self.world.system.sources, web=lambda _: site.web(now=self.world.clock), retry=AT_ONCE
        )

    def add(self, **settings: Any) -> Source:
        return self.sources.add(NAME, self.site.url, Settings(**settings))

    @property
    def source(self) -> Source:
        found = self.sources.find(NAME)
        assert found is not None
        return found

    def schedule(self, has_time: Callable[[], bool] = lambda: True) -> int:
        """One run of the schedule; how much it handled."""
        steps = {KIND: lambda work: self.sources.take_step(work, has_time)}
        system = self.world.system
        worker = Worker(self.sources.pending, steps, AT_ONCE, system.now, system.telemetry)
        return worker.run_kind(KIND, -1)

    def wait(self, **time: int) -> None:
        self.world.clock.now += timedelta(**time)

    def names(self) -> list[str]:
        listings = self.world.store.imported_from(self.site.url)
        return sorted(each.opportunity.id.rpartition("/")[2] for each in listings if not each.deleted)


@pytest.fixture
def site() -> OperatorSite:
    site = OperatorSite(page_size=1)
    site.publish(series(1), *(session(number, of=1) for number in (11, 12, 13)))
    return site


@pytest.fixture
def installation(site: OperatorSite) -> Installation:
    return Installation(site)


def test_a_source_is_imported_when_it_is_due_and_from_where_it_stopped(installation: Installation) -> None:
    installation.add(every=15, defaults="max_leaving = 0.5")
    assert installation.schedule() == 4
    assert installation.names() == ["1", "11", "12", "13"]
    installation.site.publish(session(14, of=1))
    installation.site.delete(session(11, of=1))
    installation.site.requests.clear()
    assert installation.schedule() == 0  # not due yet
    installation.wait(minutes=16)
    installation.schedule()
    assert installation.names() == ["1", "12", "13", "14"]
    report = installation.source.report
    assert report is not None and report.counts is not None
    assert (report.counts["added"], report.counts["withdrawn"], report.counts["unchanged"]) == (1, 1, 3)
    # The pages of the first run were not read again, and no page to look for news and again to read it.
    assert installation.site.requests.count("/feeds/SessionSeries") == 1


def test_a_site_with_nothing_new_costs_one_request_a_feed_and_no_reading(installation: Installation) -> None:
    installation.add()
    installation.schedule()
    installation.wait(minutes=16)
    installation.site.requests.clear()
    installation.schedule()
    assert len(installation.site.requests) == 1 + len(installation.site.listed)
    report = installation.source.report
    assert report is not None and report.counts is None
    assert installation.source.succeeded_at == report.at


def test_a_site_is_not_asked_before_its_last_pages_are_out_of_date(installation: Installation) -> None:
    site = installation.site
    site.cache_headers = {"Cache-Control": "public, max-age=1800"}
    installation.add(every=15)
    installation.schedule()
    site.publish(session(14, of=1))
    site.requests.clear()
    installation.wait(minutes=16)
    assert installation.schedule() == 1
    assert site.requests == [] and installation.source.succeeded_at == installation.world.now()
    installation.wait(minutes=16)
    installation.schedule()
    assert "14" in installation.names()


def test_pages_that_have_not_changed_are_not_sent_again(installation: Installation) -> None:
    site = installation.site
    site.has_etags = True
    installation.add(every=15)
    installation.schedule()
    site.statuses.clear()
    installation.wait(minutes=16)
    installation.schedule()
    assert site.statuses == [200] + len(site.listed) * [304]  # the dataset site, and each feed
    site.publish(session(14, of=1))
    site.statuses.clear()
    installation.wait(minutes=16)
    installation.schedule()
    assert "14" in installation.names()
    # The dataset site for news and again to read it; the page with the session, and the one after it. None twice.
    assert sorted(site.statuses) == 4 * [200] + (len(site.listed) - 1) * [304]


def test_a_complete_reading_asks_for_all_pages_whatever_was_known_of_them(installation: Installation) -> None:
    site = installation.site
    site.has_etags, site.cache_headers = True, {"Cache-Control": "max-age=3600"}
    installation.add(every=15)
    installation.schedule()
    site.statuses.clear()
    installation.wait(days=6)
    installation.schedule()
    assert 304 not in site.statuses
    assert site.requests.count("/feeds/SessionSeries") == 4  # both of its pages, in each reading


@pytest.mark.parametrize("pages", range(9))
def test_a_run_that_exceeds_its_time_continues_in_the_next(site: OperatorSite, pages: int) -> None:
    installation = Installation(site)
    installation.add()
    left = iter([True] * pages)
    installation.schedule(lambda: next(left, False))
    installation.schedule()
    assert installation.names() == ["1", "11", "12", "13"]
    assert installation.source.held_until is None
    assert tuple(installation.sources.pending.entries(KIND, 9)) == installation.source.due_rows


def test_two_runs_of_a_source_never_overlap(installation: Installation) -> None:
    source = installation.add()

    def meanwhile() -> bool:
        with pytest.raises(Held, match="Another run has the source acme"):
            installation.sources.run(source)
        assert installation.schedule() == 0
        return True

    assert installation.sources.run(source, has_time=meanwhile) is not None
    assert installation.names() == ["1", "11", "12", "13"]


def test_a_run_by_command_takes_the_place_of_the_one_that_is_due(installation: Installation) -> None:
    installation.add(every=15)
    installation.sources.run(installation.source)
    assert installation.schedule() == 0  # not due before 15 minutes
    assert tuple(installation.sources.pending.entries(KIND, 9)) == installation.source.due_rows


def test_an_entry_of_an_earlier_run_is_dropped(installation: Installation) -> None:
    installation.add(every=15)
    earlier = installation.source.due_rows  # left by a process that ended before it removed it
    installation.schedule()
    installation.sources.pending.exchange((), earlier)
    assert installation.schedule() == 0
    assert tuple(installation.sources.pending.entries(KIND, 9)) == installation.source.due_rows


def test_the_hold_of_a_killed_run_ends(installation: Installation) -> None:
    source = installation.add()
    installation.sources._take(source)  # and nothing more
    with pytest.raises(Held):
        installation.sources.run(source)
    installation.wait(minutes=17)
    installation.sources.run(source)
    assert installation.names() == ["1", "11", "12", "13"]


def test_a_site_that_fails_is_reported_tried_again_and_overdue_at_last(installation: Installation) -> None:
    installation.add(every=60, alarm_after=3)
    installation.schedule()
    installation.site.faults["/openactive"] = [httpx.Response(404)] * 9
    for _ in range(4):
        installation.wait(minutes=61)
        installation.schedule()
    report = installation.source.report
    assert report is not None and report.problem.endswith("answers 404. Nothing was changed.")
    assert installation.sources.overdue() == [NAME]
    installation.site.faults.clear()
    installation.wait(minutes=61)
    installation.schedule()
    assert installation.sources.overdue() == []
    assert installation.names() == ["1", "11", "12", "13"]


def test_too_much_that_leaves_waits_for_a_confirmation_which_counts_once(installation: Installation) -> None:
    installation.add()
    installation.schedule()
    for number in (11, 12):
        installation.site.delete(session(number, of=1))
    with pytest.raises(ImportRefused, match="would leave sale"):
        installation.sources.run(installation.source)
    assert installation.names() == ["1", "11", "12", "13"]
    installation.sources.run(installation.sources.confirm(NAME))
    assert installation.names() == ["1", "13"]
    assert not installation.source.confirmed


def test_after_six_days_the_site_is_read_from_the_start_and_the_old_pages_go(
    installation: Installation,
) -> None:
    installation.add()
    installation.schedule()
    installation.site.forget(session(11, of=1))  # without a trace: only a complete reading finds it
    installation.wait(days=7)
    with pytest.raises(ImportRefused):
        installation.sources.run(installation.source)
    installation.sources.run(installation.sources.confirm(NAME))
    assert installation.names() == ["1", "12", "13"]
    pages = [
        row
        for kind in installation.sources.pending.kinds()
        if kind.startswith("import-pages")
        for row in installation.sources.pending.entries(kind, 99)
    ]
    assert len(pages) == 3


def test_new_settings_apply_to_what_was_read_before(installation: Installation) -> None:
    installation.add()
    installation.schedule()
    installation.add(defaults='vat_rate = "0.05"\n')
    installation.sources.run(installation.source)
    seller = installation.world.store.seller(SELLER["@id"])
    assert seller is not None and seller.tax_rate is not None and str(seller.tax_rate.rate) == "0.05"


def test_what_is_removed_is_not_imported_again(installation: Installation) -> None:
    installation.add()
    installation.schedule()
    installation.sources.remove(NAME)
    installation.wait(minutes=16)
    installation.site.publish(session(14, of=1))
    assert installation.schedule() == 0
    assert installation.sources.listed() == []
    assert installation.names() == ["1", "11", "12", "13"]
    assert not [kind for kind in installation.sources.pending.kinds() if kind.startswith("import")]


@pytest.mark.parametrize(
    ("settings", "reason"), [({"defaults": "nonsense = 1"}, "nonsense"), ({"vat_rate": "20"}, "fraction")]
)
def test_invalid_settings_are_refused_before_anything_is_stored(
    installation: Installation, settings: dict[str, str], reason: str
) -> None:
    with pytest.raises(ImportRefused, match=reason):
        installation.add(**settings)
    assert installation.sources.find(NAME) is None


def test_a_command_follows_a_site_until_it_is_stopped_and_continues_there(site: OperatorSite) -> None:
    installation = Installation(site)
    installation.world.system.__dict__["sources"] = installation.sources

    class Followed:
        sources = installation.sources
        worker = installation.world.system.worker

    printed, waits = io.StringIO(), [0]

    def wait(seconds: float) -> None:
        waits[0] += 1
        if waits[0] == 1:
            site.publish(session(14, of=1))
        if waits[0] == 3:
            raise KeyboardInterrupt

    def follow() -> None:
        follow_source(Followed, site.url, Settings(), Console(file=printed, width=200), wait=wait)  # type: ignore[arg-type]

    follow()
    assert installation.names() == ["1", "11", "12", "13", "14"]
    assert printed.getvalue().endswith("Stopped. The next --follow continues from here.\n")
    site.requests.clear()
    waits[0] = 2
    follow()
    assert len(site.requests) == 1 + len(site.listed)
    assert installation.sources.listed() == []


@pytest.mark.parametrize(
    "url",
    [
        "https://operator.example/openactive/",
        "http://operator.example/openactive",
        "https://OPERATOR.example:443/openactive#feeds",
        "https://operator.example./open%61ctive",
    ],
)
def test_a_site_is_added_once_in_whatever_spelling(installation: Installation, url: str) -> None:
    installation.add()
    with pytest.raises(
        ImportRefused, match="The source acme imports this site already, as https://operator"
    ) as refused:
        installation.sources.add("other", url, Settings())
    assert "`openbooking sources remove acme`" in str(refused.value)
    with pytest.raises(ImportRefused, match="`openbooking sources run acme` imports it now"):
        installation.sources.follow(url, Settings())
    # Under its own name it gets new settings, and keeps its URL.
    assert installation.sources.add(NAME, url, Settings(every=5)).url == installation.site.url
    assert installation.source.settings.every == 5


@pytest.mark.parametrize(
    "url",
    [
        "https://operator.example/other",
        "https://operator.example:8443/openactive",
        "https://x.example/openactive",
    ],
)
def test_another_site_is_another_source(installation: Installation, url: str) -> None:
    installation.add()
    assert installation.sources.add("other", url, Settings()).name == "other"
    with pytest.raises(ImportRefused, match=r"has another URL: https://operator\.example/openactive"):
        installation.sources.add(NAME, url, Settings())


def test_a_site_that_a_command_follows_now_is_not_added(installation: Installation) -> None:
    followed = installation.sources.follow(installation.site.url, Settings())

    def meanwhile() -> bool:
        with pytest.raises(ImportRefused, match="--follow` imports this site now"):
            installation.add()
        return True

    installation.sources.run(followed, has_time=meanwhile)
    installation.add()  # nobody follows it any more


class LostAnswers:
    """A register whose next write is made, and its answer lost, as on a machine that is too slow for its time-outs."""

    def __init__(self, register: Any) -> None:
        self._register, self.lost, self.is_busy = register, 0, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._register, name)

    def save(self, *entries: Any, **more: Any) -> Any:
        if self.is_busy:
            raise StoreBusy("throttled")
        saved = self._register.save(*entries, **more)
        if self.lost:
            self.lost -= 1
            raise StoreBusy("the answer did not come in time")
        return saved


def test_a_write_whose_answer_is_lost_is_not_that_of_another_run(site: OperatorSite) -> None:
    installation = Installation(site)
    installation.add()
    register = LostAnswers(installation.sources.register)
    # It is tried again, and finds what it has written itself.
    retry = replace(AT_ONCE, attempts=3)
    sources = replace(installation.sources, register=register, retry=retry)  # type: ignore[arg-type]
    for _ in range(2):
        register.lost = 1
        sources.run(installation.source)  # takes the source
        installation.wait(minutes=20)
    register.lost = 9  # the last write of a run is the report
    sources.add(NAME, site.url, Settings(every=7))
    assert installation.source.settings.every == 7


def test_a_run_that_is_slow_after_its_last_page_keeps_its_source(installation: Installation) -> None:
    """What is read is sorted, compared and written for longer than a hold lasts."""
    source, tried = installation.add(), []

    def slowly(what: str, done: int, total: int | None) -> None:
        installation.wait(minutes=10)
        with pytest.raises(Held):
            installation.sources.run(source)
        tried.append(what)

    assert installation.sources.run(source, show=slowly) is not None
    assert "Updating the inventory" in tried and installation.source.report is not None


def test_a_hold_that_has_ended_is_extended_if_nobody_else_has_the_source(installation: Installation) -> None:
    source, seen = installation.add(), []

    def stopped(what: str, done: int, total: int | None) -> None:
        if what == "Sorting items":
            seen.append(what)
            installation.wait(hours=2)  # a suspended machine

    assert installation.sources.run(source, show=stopped) is not None and seen
    assert installation.source.report is not None


def test_a_run_whose_source_was_taken_meanwhile_ends_before_it_writes(installation: Installation) -> None:
    source = installation.add()

    def stopped(what: str, done: int, total: int | None) -> None:
        if what == "Reading the inventory":
            installation.wait(hours=2)
            installation.sources.run(source)

    with pytest.raises(Held, match="Another run has taken the source acme"):
        installation.sources.run(source, show=stopped)
    assert installation.names() == ["1", "11", "12", "13"]


def test_following_continues_when_the_source_or_the_database_is_busy_for_a_time(site: OperatorSite) -> None:
    installation = Installation(site)
    told, passes = io.StringIO(), [0]
    others_run: list[Source] = []
    register = LostAnswers(installation.sources.register)

    class Followed:
        sources = replace(installation.sources, register=register)  # type: ignore[arg-type]
        worker = installation.world.system.worker

    def wait(seconds: float) -> None:
        passes[0] += 1
        found = installation.sources.find(site.url)
        assert found is not None
        if passes[0] == 1:
            others_run.append(installation.sources._take(found))
        if passes[0] == 4:
            installation.sources._release(others_run[0])
            site.publish(session(14, of=1))
        if passes[0] == 5:
            assert "14" in installation.names()
            register.is_busy = True
        if passes[0] == 6:
            register.is_busy = False
            installation.wait(minutes=17)
            site.publish(session(15, of=1))
        if passes[0] == 7:
            raise KeyboardInterrupt

    console = Console(file=told, width=200)
    follow_source(Followed, site.url, Settings(), console, wait=wait)  # type: ignore[arg-type]
    assert "15" in installation.names()
    assert told.getvalue().count("Another run has the source") == 1
    assert told.getvalue().count("The database is busy") == 1


def test_following_ends_at_once_if_another_follows(site: OperatorSite) -> None:
    installation = Installation(site)
    followed = installation.sources.follow(site.url, Settings())
    installation.sources._take(followed)

    class Followed:
        sources = installation.sources
        worker = installation.world.system.worker

    with pytest.raises(typer.Exit):
        follow_source(Followed, site.url, Settings(), Console(file=io.StringIO()))  # type: ignore[arg-type]


def test_without_time_a_reading_stops_before_a_page(installation: Installation) -> None:
    with pytest.raises(OutOfTime):
        installation.sources.run(installation.add(), has_time=lambda: False)
