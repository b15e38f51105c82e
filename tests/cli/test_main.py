from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
import typer
from typer.testing import CliRunner

from openbooking.cli.main import COMMANDS, app, load
from openbooking.cli.terminal import attached
from openbooking.local.embedded import EmbeddedEngine
from openbooking.local.server import bind


class Serving:
    """`openbooking serve` as a process of its own."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.process = subprocess.Popen(
            [sys.executable, "-m", "openbooking", "serve", "--no-samples", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OPENBOOKING_STATE_DIRECTORY": str(directory), "DYNAMODB_URL": ""},
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
    announced = (tmp_path / "stack.json").exists()
    serving.process.send_signal(signal.SIGINT)
    code, rest = serving.end()
    assert "/openactive" in shown
    assert "make demo" in shown
    assert "curl -s http://localhost:" in shown
    assert announced
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


def test_serve_on_a_port_that_is_taken_says_so(tmp_path: Path) -> None:
    sockets = bind("127.0.0.1", 0)
    sockets[0].listen()
    port = str(sockets[0].getsockname()[1])
    code, rest = Serving(tmp_path, "--port", port).end()
    sockets[0].close()
    assert code == 1
    assert f"Port {port} is taken" in rest
    assert "Traceback" not in rest


def test_serve_without_its_engine_says_so(tmp_path: Path) -> None:
    code, rest = Serving(tmp_path, "--port", "0", "--dynamodb-url", "http://127.0.0.1:1").end()
    assert code == 1
    assert "No DynamoDB engine answers at http://127.0.0.1:1." in rest
    assert "Traceback" not in rest


def test_demo_with_nothing_running_is_a_sentence_and_a_failure(state: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "Nothing answers at http://127.0.0.1:1." in result.output


def test_a_command_finds_no_engine_where_none_runs(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), attached(None):
        pass
    assert "make run" in capsys.readouterr().err


def test_a_command_works_on_the_engine_it_is_told(state: Path) -> None:
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
