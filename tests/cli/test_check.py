"""`openbooking check`, `feeds rebuild` and `restore`, as they are typed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from chalicelib.services.checking.check import Report
from chalicelib.services.checking.findings import EXPLANATIONS, Damage, Finding
from chalicelib.services.rebuilding import Rebuild
from openbooking.cli.check import print_report
from openbooking.cli.main import app
from openbooking.deployment.restoring import restore
from openbooking.local.tables import create_tables
from tests.services.checking.site import FEED, SESSIONS, Site, site
from tests.support.engines import Rows, put_back, rows_of, running_engine
from tests.support.readers import Reader, in_store

PREFIX = "openbooking-typed"


@pytest.fixture(scope="module")
def whole() -> Iterator[tuple[Site, Rows]]:
    with running_engine() as url, site(PREFIX, url) as made:
        yield made, rows_of(made.tables)


@pytest.fixture
def here(whole: tuple[Site, Rows], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made, rows = whole
    monkeypatch.setenv("TABLE_PREFIX", PREFIX)
    yield made
    for _ in range(2):
        put_back(made.tables, rows)
        made.pump.drain()
    put_back(made.tables, rows)


def run(here: Site, *arguments: str, typed: str = "") -> Result:
    assert here.installation.url
    result = CliRunner().invoke(app, [*arguments, "--dynamodb-url", here.installation.url], input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def lose_a_space(here: Site) -> None:
    capacity = here.tables.capacity
    capacity(here.yoga.id, "capacity").update([capacity.spaces_left.add(-2)])


def test_without_damage_it_ends_with_0(here: Site) -> None:
    result = run(here, "check")
    assert (result.exit_code, result.stdout) == (
        0,
        "Looked at 12 feed items, 6 opportunities, 10 orders: no damage.\n",
    )


def test_damage_is_explained_and_ends_with_1(here: Site) -> None:
    lose_a_space(here)
    here.pump.drain()
    result = run(here, "check", "--pause", "0")
    assert result.exit_code == 1
    explanation = EXPLANATIONS[Damage.SPACES_DO_NOT_ADD_UP]
    said = " ".join(result.stdout.split())
    assert f"{explanation.title}: 1 {explanation.meaning} {explanation.remedy}" in said
    assert "spaces_left is 2 too low" in said and said.endswith("1 findings.")


def test_repaired_damage_ends_with_0(here: Site) -> None:
    lose_a_space(here)
    here.pump.drain()
    result = run(here, "check", "--pause", "0", "--repair")
    assert result.exit_code == 0 and "no damage, 1 repaired." in result.stdout
    here.pump.drain()
    assert run(here, "check", "--pause", "0").exit_code == 0


def test_a_program_gets_json(here: Site) -> None:
    lose_a_space(here)
    here.pump.drain()
    result = run(here, "check", "--pause", "0", "--json")
    report = json.loads(result.stdout)
    (finding,) = report["findings"]
    assert (finding["damage"], finding["row"], finding["repaired"]) == (
        "spaces-do-not-add-up",
        f"inventory {here.yoga.id} capacity",
        False,
    )
    assert report["looked_at"]["orders"] == 10


@pytest.mark.parametrize("width", [80, 120])
def test_every_explanation_fits_the_terminal(width: int) -> None:
    findings = [
        Finding(damage, f"feeds {FEED} {'0' * 90}", "a detail") for damage in Damage for _ in range(25)
    ]
    report = Report(findings)
    report.unnamed[Damage.UNREADABLE] = 7
    report.restless = ("x" * 100,)
    out = io.StringIO()
    print_report(Console(file=out, width=width), report, findings)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    said = " ".join(out.getvalue().split())
    for explanation in EXPLANATIONS.values():
        assert explanation.meaning in said and explanation.remedy in said
    assert "and 12 more" in said  # 25 and 7, of which 20 are named
    assert max(len(explanation.title) for explanation in EXPLANATIONS.values()) < 76


def test_one_open_feed_is_published_again(here: Site) -> None:
    reader = Reader(SESSIONS).read(here.system)
    for row in list(here.tables.feeds.query(SESSIONS, here.tables.feeds.entry.startswith("change#"))):
        row.delete()
    result = run(here, "feeds", "rebuild", "--feed", SESSIONS)
    assert (result.exit_code, result.stdout) == (0, "Published again: 2 items.\n")
    assert reader.read(here.system).known == in_store(here.system, [SESSIONS])[SESSIONS]
    assert Reader(SESSIONS).read(here.system).known == reader.known


def test_an_interrupted_rebuild_continues(here: Site) -> None:
    here.system.pending.exchange((), [Rebuild(partner_id="partner-1").pending()])
    result = run(here, "feeds", "rebuild", "--partner", "partner-1")
    assert result.exit_code == 0 and "Continuing" in result.stderr
    assert Rebuild.KIND not in here.system.pending.kinds()


def test_numbers_jump_only_where_they_are_lost(here: Site) -> None:
    before = here.system.feeds.state(FEED, []).counter
    run(here, "feeds", "rebuild", "--partner", "partner-1")
    assert before < here.system.feeds.state(FEED, []).counter < 1000
    run(here, "feeds", "rebuild", "--partner", "partner-1", "--lost")
    assert here.system.feeds.state(FEED, []).counter > 10**9


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "Which feeds?"),
        (["--all", "--feed", SESSIONS], "Which feeds?"),
        (["--feed", "lessons"], "no open feed 'lessons'"),
        (["--all", "--old-prefix", PREFIX], "must not be the prefix of the feeds to rebuild"),
    ],
)
def test_a_rebuild_that_cannot_be_meant_is_refused(here: Site, options: list[str], sentence: str) -> None:
    result = run(here, "feeds", "rebuild", *options)
    assert result.exit_code == 1 and sentence in result.stderr


def test_tables_are_brought_back_and_feeds_follow(here: Site) -> None:
    """The commands of docs/restoring.md, one after the other."""
    reader = Reader(FEED).read(here.system)
    client = here.tables.connection.client
    create_tables(client, "copy")
    for table in ("inventory", "orders", "pending", "feeds"):
        restore(client, f"{PREFIX}-{table}", f"copy-{table}", pause=lambda seconds: None)
    here.cancel("booked")
    here.delete("changed")
    here.pump.drain()
    reader.read(here.system)
    asked = run(here, "restore", "--from-prefix", "copy", typed="n\n")
    assert asked.exit_code == 1 and "Nothing was changed." in asked.stderr
    done = run(here, "restore", "--from-prefix", "copy", "--yes")
    assert done.exit_code == 0, done.output
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        f"{PREFIX}-{table}" for table in ("inventory", "orders", "pending")
    ]
    here.pump.drain()
    assert run(here, "feeds", "rebuild", "--all", "--old-prefix", "copy").exit_code == 0
    assert reader.read(here.system).known == in_store(here.system, [FEED])[FEED]
    assert run(here, "check", "--pause", "0").exit_code == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--from-prefix", "nowhere", "--yes"], "There is no such table. nowhere-inventory"),
        (["--from-prefix", PREFIX], "are the originals"),
        (["--from-prefix", "copy", "--stage", "dev"], "Either --stage or an engine"),
    ],
)
def test_a_restore_that_cannot_be_meant_is_refused(here: Site, options: list[str], sentence: str) -> None:
    result = run(here, "restore", *options)
    assert result.exit_code == 1 and sentence in result.stderr
