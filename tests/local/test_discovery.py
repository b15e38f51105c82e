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


def test_a_later_stack_is_not_withdrawn_by_an_earlier_one(tmp_path: Path, address: StackAddress) -> None:
    earlier = StackAddress("http://127.0.0.1:1", "http://127.0.0.1:2", "p", 1)
    announce(earlier, tmp_path)
    announce(address, tmp_path)
    withdraw(earlier, tmp_path)
    assert running_stack(tmp_path) == address


@pytest.mark.parametrize("dead", ["url", "dynamodb_url"])
def test_a_stack_that_was_killed_is_not_found(tmp_path: Path, address: StackAddress, dead: str) -> None:
    with_port_closed = {**vars(address), dead: "http://127.0.0.1:1"}
    announce(StackAddress(**with_port_closed), tmp_path)
    assert running_stack(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"url": "x", "other": 1})])
def test_a_file_that_says_nothing_useful_is_no_stack(tmp_path: Path, text: str) -> None:
    (tmp_path / "stack.json").write_text(text)
    assert running_stack(tmp_path) is None


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "before")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "file", "\ud800")
    assert (tmp_path / "file").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1
