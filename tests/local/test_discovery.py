from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from openbooking.local.discovery import (
    StackAddress,
    announce,
    running_stack,
    running_stacks,
    stack_directory,
    withdraw,
    write_atomically,
)
from openbooking.local.server import bind


@pytest.fixture
def address() -> Iterator[StackAddress]:
    """A stack whose two ports answer for as long as the test lasts."""
    sockets = bind("127.0.0.1", 0) + bind("127.0.0.1", 0)
    for each in sockets:
        each.listen()
    urls = [f"http://127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    yield StackAddress(urls[0], urls[1], "openbooking-local", os.getpid())
    for each in sockets:
        each.close()


def test_a_stack_that_announced_itself_is_found(tmp_path: Path, address: StackAddress) -> None:
    announce(address, tmp_path / "new")
    assert running_stack(tmp_path / "new") == address


def test_without_an_announcement_there_is_none(tmp_path: Path) -> None:
    assert running_stack(tmp_path) is None


def test_a_stack_that_withdrew_is_not_found(tmp_path: Path, address: StackAddress) -> None:
    announce(address, tmp_path)
    withdraw(address, tmp_path)
    assert running_stack(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    withdraw(address, tmp_path)


def test_a_second_stack_does_not_take_the_place_of_the_first(tmp_path: Path, address: StackAddress) -> None:
    # The other way round: its API is where the first one's engine is.
    second = StackAddress(address.dynamodb_url, address.url, "openbooking-local", os.getpid())
    announce(address, tmp_path)
    announce(second, tmp_path)
    assert running_stack(tmp_path) == address
    assert running_stacks(tmp_path) == [address, second]
    withdraw(second, tmp_path)
    assert running_stack(tmp_path) == address


def test_when_the_first_stack_ends_the_second_is_found(tmp_path: Path, address: StackAddress) -> None:
    second = StackAddress(address.dynamodb_url, address.url, "openbooking-local", os.getpid())
    announce(address, tmp_path)
    announce(second, tmp_path)
    withdraw(address, tmp_path)
    assert running_stack(tmp_path) == second


def test_a_later_stack_on_the_same_port_is_not_withdrawn_by_an_earlier_one(
    tmp_path: Path, address: StackAddress
) -> None:
    earlier = StackAddress(address.url, "http://127.0.0.1:2", "p", 1)
    announce(earlier, tmp_path)
    announce(address, tmp_path)
    withdraw(earlier, tmp_path)
    assert running_stack(tmp_path) == address


def test_what_a_stack_keeps_while_it_runs_goes_with_it(tmp_path: Path, address: StackAddress) -> None:
    announce(address, tmp_path)
    write_atomically(stack_directory(address, tmp_path) / "quote.json", "{}")
    withdraw(address, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dead", ["url", "dynamodb_url"])
def test_a_stack_that_was_killed_is_not_found(tmp_path: Path, address: StackAddress, dead: str) -> None:
    with_port_closed = {**vars(address), dead: "http://127.0.0.1:1"}
    announce(StackAddress(**with_port_closed), tmp_path)
    assert running_stack(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"url": "x", "started_at": 1})])
def test_a_file_that_says_nothing_useful_is_no_stack(tmp_path: Path, text: str) -> None:
    (tmp_path / "8000").mkdir()
    (tmp_path / "8000" / "stack.json").write_text(text)
    assert running_stack(tmp_path) is None


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "before")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "file", "\ud800")
    assert (tmp_path / "file").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1
