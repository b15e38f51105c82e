"""Runs the official test suite, one run after the other, each against its own engine and server.

Decides how a run is started, timed and ended. Which runs there are and what they found is in `results`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chalicelib.domain.parties import Json
from chalicelib.runtime.settings import Settings
from chalicelib.values import fields
from openbooking.conformance.checkout import CertificationError, Checkout
from openbooking.conformance.profiles import profile
from openbooking.conformance.results import Result, Run, counts, finished, is_same, save

# The suite's pages for OpenID name this port, whatever its settings say.
OPENID_PORT = 3000
_ROOT = Path(__file__).resolve().parents[2]
# A sandbox for the suite takes minutes on the embedded engine.
_STARTS_WITHIN = 1800.0
_ENDS_WITHIN = 15.0
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# Newer versions of Chromium exit at once with this flag, which the suite gives them.
_BROWSER_SCRIPT = """#!/bin/bash
args=(); for each in "$@"; do [ "$each" = --single-process ] || args+=("$each"); done
exec {browser} "${{args[@]}}"
"""


Serve = Callable[[Run, Path, str | None], AbstractContextManager[str]]


@dataclass(frozen=True)
class Certification:
    """What all runs have in common. `output` is the folder for results, logs and certificates.

    `certificates` is the URL under which the certificates will be published. `features` limits the runs to
    parts of the suite, as paths under test/features, such as `core` or `approval/minimal-proposal`. `serve`
    starts the server of a run, by default in a separate process, and yields its URL.
    """

    checkout: Checkout
    output: Path
    certificates: str
    dynoxide: str | None = None
    strict: bool = True
    features: tuple[str, ...] = ()
    minutes_at_most: float = 120.0
    serve: Serve | None = None

    def run(self, runs: Sequence[Run], say: Callable[[str], None], *, again: bool = False) -> list[Result]:
        """The results of these runs; those that have finished are not repeated, unless `again`.

        `say` gets a line before and after each. Raises CertificationError.
        """
        results = []
        for run in runs:
            result = None if again else self.known(run)
            if result is not None:
                say(f"{run.name}: finished on {result.date}, {result.passed:,} of {result.checks:,} passed")
            else:
                say(f"{run.name}: runs; its output is in {self.folder(run)}/suite.log")
                result = self.certify(run)
                say(
                    f"{run.name}: {result.passed:,} of {result.checks:,} passed in {result.minutes:.1f} minutes"
                )
            results.append(result)
        return results

    def folder(self, run: Run) -> Path:
        return self.output / run.name

    def known(self, run: Run) -> Result | None:
        """The result of an earlier call, if it was of the same run of the same suite."""
        result = finished(self.folder(run))
        same = result is not None and is_same(
            result, commit=self.checkout.commit, strict=self.strict, features=self.features
        )
        return result if same else None

    def certify(self, run: Run) -> Result:
        """Run the suite once, and save the result. Raises CertificationError."""
        folder = self.folder(run).resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        port = OPENID_PORT if run.uses_openid else free_port()
        if run.uses_openid and not is_free(port):
            raise CertificationError(f"Port {port} is in use; the suite needs it for {run.name}.")
        with self._engine(folder) as engine_url, (self.serve or self._server)(run, folder, engine_url) as url:
            began = time.monotonic()
            code, output = self._suite(run, folder, url, port)
            minutes = (time.monotonic() - began) / 60
        result = Result(
            run=run.name,
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            commit=self.checkout.commit,
            strict=self.strict,
            minutes=round(minutes, 1),
            exit_code=code,
            certificate=(folder / "certificate" / "index.html").is_file(),
            substitutes=self.checkout.has_substitutes,
            engine="Dynoxide" if self.dynoxide else "moto",
            features=self.features,
            **counts(output),
        )
        save(result, folder)
        return result

    # --- the parts of a run -----------------------------------------------------------------

    @contextmanager
    def _engine(self, folder: Path) -> Iterator[str | None]:
        """An engine with empty tables; None stands for the embedded one of the server."""
        if self.dynoxide is None:
            yield None
            return
        port = free_port()
        command = [self.dynoxide, "--port", str(port), "--db-path", str(folder / "engine.db")]
        with process(command, folder / "engine.log") as running:
            wait(running, lambda: not is_free(port), 30, "The engine", folder / "engine.log")
            yield f"http://127.0.0.1:{port}"

    @contextmanager
    def _server(self, run: Run, folder: Path, engine_url: str | None) -> Iterator[str]:
        port = free_port()
        command = [sys.executable, "-m", "openbooking", "serve", "--conformance", "--port", str(port)]
        for overlay in run.overlays:
            command += ["--overlay", overlay]
        command += ["--sandbox", "suite" if run.is_random else "none"]
        if engine_url is not None:
            command += ["--dynamodb-url", engine_url]
        environment = {
            "CERTIFICATE_URL": self.certificate_url(run),
            "OPENBOOKING_STATE_DIRECTORY": str(folder / "server"),
        }
        log, url = folder / "server.log", f"http://localhost:{port}"
        with process(command, log, environment=environment, cwd=_ROOT) as running:
            wait(running, lambda: answers(f"{url}/openactive"), _STARTS_WITHIN, "The server", log)
            yield url

    def _suite(self, run: Run, folder: Path, url: str, port: int) -> tuple[int, str]:
        """The suite's exit code and output; -1 if it took too long."""
        command = [self.checkout.node, "start.js"]
        command += [f"test/features/{each.strip('/')}/" for each in self.features]
        environment = {
            "NODE_CONFIG": json.dumps(self._configuration(run, folder, url)),
            "PORT": str(port),
            "PATH": os.pathsep.join([str(Path(self.checkout.node).parent), os.environ.get("PATH", "")]),
            **({"RUN_TESTS_WHICH_FAIL_REFIMPL": "true"} if self.strict else {}),
            **(browser(folder) if run.uses_openid else {}),
        }
        log = folder / "suite.log"
        with process(command, log, environment=environment, cwd=self.checkout.directory) as running:
            try:
                code = running.wait(self.minutes_at_most * 60)
            except subprocess.TimeoutExpired:
                code = -1
        return code, log.read_text("utf-8", errors="replace")

    def _configuration(self, run: Run, folder: Path, url: str) -> Json:
        suite = profile(run.overlays, url=url, output=folder).suite
        suite["integrationTests"] |= {
            # A certificate is only valid for whole runs.
            "generateConformanceCertificate": not self.features,
            "conformanceCertificateId": self.certificate_url(run),
            "conformanceCertificatePath": f"{folder.as_posix()}/certificate/",
        }
        return suite

    def certificate_url(self, run: Run) -> str:
        """Where the certificate of a run will be published."""
        return f"{self.certificates.rstrip('/')}/{run.name}/"


@contextmanager
def process(
    command: Sequence[str],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with all its children; its output goes to `log`.

    Settings of this project in the environment are not passed on: each run has its own.
    """
    settings = {item.name.upper() for item in fields(Settings)} | {"DYNAMODB_URL"}
    inherited = {name: value for name, value in os.environ.items() if name not in settings}
    with log.open("wb") as output:
        running = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env={**inherited, **(environment or {})},
            start_new_session=True,
        )
        try:
            yield running
        finally:
            _end(running)


def wait(
    running: subprocess.Popen[bytes], is_ready: Callable[[], bool], seconds: float, what: str, log: Path
) -> None:
    """Return when it is ready. Raises CertificationError if it ends before, or takes longer."""
    ends_at = time.monotonic() + seconds
    while not is_ready():
        if running.poll() is not None:
            raise CertificationError(f"{what} did not start; its output is in {log}.")
        if time.monotonic() > ends_at:
            raise CertificationError(f"{what} did not answer in {seconds:.0f} s; its output is in {log}.")
        time.sleep(0.2)


def browser(folder: Path) -> dict[str, str]:
    """The settings for the suite's browser: those in the environment, or else an installed one. Raises CertificationError."""
    flags = {"CHROMIUM_FLAGS": os.environ.get("CHROMIUM_FLAGS", "--no-sandbox")}
    given = os.environ.get("PUPPETEER_EXECUTABLE_PATH")
    installed = given or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if installed is None:
        raise CertificationError(
            "No browser was found for the pages of OpenID: install Chromium, or set PUPPETEER_EXECUTABLE_PATH."
        )
    script = folder / "browser.sh"
    script.write_text(_BROWSER_SCRIPT.format(browser=installed), "utf-8")
    script.chmod(0o755)
    return {**flags, "PUPPETEER_EXECUTABLE_PATH": str(script)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def answers(url: str) -> bool:
    """Whether a URL answers with success within some seconds."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http URLs of this module only
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _end(running: subprocess.Popen[Any]) -> None:
    """End the whole group: the suite starts processes that outlive it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(running.pid, number)
        except ProcessLookupError:
            break
        try:
            running.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            continue
    running.wait()
