from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from openbooking.cli.main import COMMANDS, app, load
from openbooking.cli.terminal import attached
from openbooking.local.discovery import StackAddress, announce, running_stack
from openbooking.local.embedded import EmbeddedEngine
from openbooking.local.server import bind


class Serving:
    """`openbooking serve` in its own process."""

    def __init__(self, directory: Path, *options: str, **variables: str) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-m", "openbooking", "serve", "--no-samples", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=Path(__file__).parents[2],
            env={
                **os.environ,
                "OPENBOOKING_STATE_DIRECTORY": str(directory),
                "DYNAMODB_URL": "",
                **variables,
            },
        )

    @property
    def out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def lines_until(self, text: str) -> list[str]:
        lines = []
        for line in self.out:
            lines.append(line)
            if text in line:
                break
        return lines

    def end(self) -> tuple[int, str]:
        rest = self.out.read()
        code = self.process.wait()
        self.out.close()
        return code, rest


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A place for stacks of this test alone."""
    os.environ["OPENBOOKING_STATE_DIRECTORY"] = str(tmp_path)
    yield tmp_path
    del os.environ["OPENBOOKING_STATE_DIRECTORY"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_what_to_try_and_stops_cleanly_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    serving = Serving(tmp_path, "--port", "0")
    shown = "".join(serving.lines_until("Ctrl-C stops it."))
    announced = [each.name for each in tmp_path.glob("*/stack.json")]
    serving.process.send_signal(signal.SIGINT)
    code, rest = serving.end()
    assert "/openactive" in shown
    assert "make demo" in shown
    assert "curl -s http://localhost:" in shown
    assert "tables openbooking-local-* at http://127.0.0.1:" in shown
    assert announced == ["stack.json"]
    assert (code, rest.splitlines()[-1]) == (0, "Stopped.")
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []


def test_serve_stops_also_while_it_starts(tmp_path: Path) -> None:
    serving = Serving(tmp_path, "--port", "0")
    serving.lines_until("Starting")
    serving.process.send_signal(signal.SIGTERM)
    code, rest = serving.end()
    assert (code, rest.splitlines()[-1]) == (0, "Stopped.")
    assert "Traceback" not in rest


def test_what_is_printed_to_copy_is_short_and_works(tmp_path: Path) -> None:
    serving = Serving(tmp_path, "--port", "0", "--samples")
    shown = serving.lines_until("Ctrl-C stops it.")
    (quote,) = (line.split() for line in shown if "-X PUT" in line)
    headers, body = (Path(word[1:]).read_text() for word in quote if word.startswith("@"))
    answer = httpx.put(
        quote[-1], headers=[line.split(": ") for line in headers.splitlines()], content=body.encode()
    )
    served = [serving.out.readline()]
    serving.process.send_signal(signal.SIGINT)
    assert serving.end()[0] == 0
    assert len(" ".join(quote).replace(str(tmp_path), ".local")) < 200
    assert (answer.status_code, answer.json()["@type"]) == (200, "OrderQuote")
    path = quote[-1].partition("/api/")[2]
    assert re.fullmatch(rf"\d\d:\d\d:\d\d PUT    /api/{path} 200 \d+ ms\n", served[0])


def test_a_second_server_leaves_the_first_one_to_the_commands(tmp_path: Path) -> None:
    first = Serving(tmp_path, "--port", "0")
    address = "".join(first.lines_until("The Open Booking API runs at")).split()[-1]
    first.lines_until("Ctrl-C stops it.")
    second = Serving(tmp_path, "--port", "0")
    output = "".join(second.lines_until("Ctrl-C stops it."))
    found = running_stack(tmp_path)
    second.process.send_signal(signal.SIGINT)
    second.end()
    left = running_stack(tmp_path)
    first.process.send_signal(signal.SIGINT)
    first.end()
    assert f"Other openbooking commands use the server at {address}, which was started first." in output
    assert "For this one, add: --dynamodb-url http://127.0.0.1:" in output
    assert found is not None
    assert (found.url, found) == (address, left)


def test_tables_that_a_running_server_serves_are_not_served_twice(tmp_path: Path) -> None:
    engine = EmbeddedEngine()
    engine.start()
    first = Serving(tmp_path, "--port", "0", "--dynamodb-url", engine.url, TABLE_PREFIX="mine")
    shown = "".join(first.lines_until("Ctrl-C stops it."))
    code, rest = Serving(
        tmp_path, "--port", "0", "--dynamodb-url", f"{engine.url}/", TABLE_PREFIX="mine"
    ).end()
    first.process.send_signal(signal.SIGINT)
    first.end()
    engine.stop()
    assert f"tables mine-* at {engine.url}" in shown
    assert code == 1
    assert f"The tables mine-* at {engine.url} are already served at http://localhost:" in rest
    assert len(rest.splitlines()) == 1


@pytest.mark.parametrize("port", ["abc", "70000", "-1", "8_0", "\u0668", ""])
@pytest.mark.parametrize("command", ["serve", "demo"])
def test_an_invalid_port_is_one_sentence(state: Path, command: str, port: str) -> None:
    result = CliRunner().invoke(app, [command, f"--port={port}"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"{port!r} is not a port: choose a number from 1 to 65535, such as PORT=9000 make run"
    ]


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"openbooking {project['version']}\n")


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--port", "{}"], "PORT={} make run"),
        (["--port", "0", "--dynamodb-port", "{}"], "openbooking serve --dynamodb-port {}"),
    ],
)
def test_serve_on_a_port_that_is_taken_is_one_sentence_that_names_another(
    tmp_path: Path, options: list[str], advice: str
) -> None:
    sockets = bind("127.0.0.1", 0)
    sockets[0].listen()
    port = sockets[0].getsockname()[1]
    code, rest = Serving(tmp_path, *(option.format(port) for option in options)).end()
    sockets[0].close()
    assert code == 1
    assert rest.splitlines() == [
        "Starting ...",
        f"Port {port} is in use by another program. Choose another: {advice.format(port + 1)}",
    ]


def test_serve_without_its_engine_says_so(tmp_path: Path) -> None:
    code, rest = Serving(tmp_path, "--port", "0", "--dynamodb-url", "http://127.0.0.1:1").end()
    assert code == 1
    assert rest.splitlines() == [
        "Starting ...",
        "No DynamoDB engine answers at http://127.0.0.1:1. "
        "Start it, or unset DYNAMODB_URL to use the embedded engine.",
    ]


def test_demo_with_nothing_running_is_a_sentence_and_a_failure(state: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "Nothing answers at http://127.0.0.1:1." in result.output


def test_demo_uses_the_stack_on_the_engine_that_was_named(state: Path) -> None:
    nothing = CliRunner().invoke(app, ["demo"])
    assert (nothing.exit_code, nothing.stderr.count("No local stack is running.")) == (1, 1)
    with socket.create_server(("127.0.0.1", 0)) as answering:
        url = f"http://127.0.0.1:{answering.getsockname()[1]}"
        announce(StackAddress(url, url, "openbooking-local", os.getpid()))
        elsewhere = CliRunner().invoke(app, ["demo"], env={"DYNAMODB_URL": "http://127.0.0.1:1"})
        assert elsewhere.exit_code == 1
        assert (
            "No local stack works on http://127.0.0.1:1 (--dynamodb-url, DYNAMODB_URL)." in elsewhere.stderr
        )


def test_a_command_finds_no_engine_where_none_runs(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), attached(None):
        pass
    assert "make run" in capsys.readouterr().err


def test_a_command_works_on_the_given_engine(state: Path) -> None:
    engine = EmbeddedEngine()
    engine.start()
    with attached(engine.url) as url:
        assert url == engine.url == os.environ["DYNAMODB_URL"]
        assert os.environ["TABLE_PREFIX"] == "openbooking-local"
    engine.stop()


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from openbooking.cli.main import app\n"
        "shown = CliRunner().invoke(app, ['--help']).output\n"
        "assert 'suite-config' in shown, shown\n"
        "heavy = {'boto3', 'moto', 'chalice', 'waitress', 'httpx', 'pynamodb', 'chalicelib'} & set(sys.modules)\n"
        "print(*sorted(heavy))"
    )
    checked = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_of_itself_what_the_list_says(name: str) -> None:
    _, line = COMMANDS[name]
    assert line.removesuffix(".") in load(name).help.splitlines()[0]


def test_an_unknown_command_is_refused_with_one_like_it() -> None:
    result = CliRunner().invoke(app, ["partner", "list"])
    assert result.exit_code == 2
    assert "partners" in result.output


def test_help_shows_whole_option_names_and_lines_on_a_narrow_terminal() -> None:
    """In every command: an option that is cut cannot be typed."""

    def walk(command: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
        yield path, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk(inner, [*path, name])

    for name in COMMANDS:
        for path, command in walk(load(name), [name]):
            context = typer.Context(
                command, info_name=" ".join(path), terminal_width=80, max_content_width=80
            )
            shown = command.get_help(context)
            options = {
                each for parameter in command.params for each in parameter.opts if each.startswith("--")
            }
            cut = {option for option in options if option not in shown}
            assert not cut, (path, cut, shown)
            assert "…" not in shown, path
            assert not [line for line in shown.splitlines()[1:] if line.endswith("...")], shown


def test_the_list_of_commands_is_not_cut() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    words = " ".join(shown.split())
    assert all(line in words for _, line in COMMANDS.values())
