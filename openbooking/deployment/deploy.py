"""Deploys a stage, shows what that would change, and restores an earlier release.

A deployment is: the data stack, then Chalice, then what Chalice cannot set, then what is in front of the API, then the alarms. Every part checks first
and does only what is missing, so an interrupted deployment is completed by running it again.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import shutil
import socket
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from openbooking.deployment import observation, packaging, planner, project
from openbooking.deployment.errors import DeploymentError
from openbooking.deployment.executor import Executor
from openbooking.deployment.outcome import Deployed
from openbooking.deployment.place import require_place
from openbooking.deployment.planner import Step
from openbooking.deployment.releases import Current, NoSuchReleaseError, Release, Releases
from openbooking.deployment.stacks import Stacks
from openbooking.deployment.stage_state import (
    Difference,
    StageState,
    by_others,
    drift,
    keeping,
    state_from,
    state_to,
)
from openbooking.infra import templates
from openbooking.infra.templates import ACCESS_LOG_LAYOUT, FUNCTIONS, ROOT, RUNTIME_PYTHON


class OnDrift(StrEnum):
    """What to do with what others have set since the last deployment."""

    stop = "stop"
    keep = "keep"
    repair = "repair"


class DriftError(DeploymentError):
    sentence = "This stage was changed since its last deployment, and not by this command."


class NotDeployedYetError(DeploymentError):
    sentence = "This stage was never deployed by this command."


class AccessLogsNeedARoleError(DeploymentError):
    sentence = (
        "API Gateway cannot write access logs: this account and region have no role for it. See "
        "docs/deploying.md#access-logs."
    )


@dataclass(frozen=True)
class Aws:
    """The AWS to use: clients for our own calls, the environment for Chalice."""

    client: Callable[[str], Any]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Who:
    """Who runs a command, and when: for the lock and for the list of releases."""

    by: str = field(default_factory=lambda: f"{getpass.getuser()} on {socket.gethostname()}")
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def at(self) -> str:
        return f"{self.now():%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Stage:
    """One stage of one account, and how to deploy it from `source`. `build` is where its project is assembled.

    `python` is the Python version of the functions; a rehearsal passes its own.
    """

    name: str
    aws: Aws
    source: Path = ROOT
    build: Path | None = None
    python: tuple[int, int] = RUNTIME_PYTHON
    who: Who = field(default_factory=Who)
    say: Callable[[str], None] = print

    # --- commands ---------------------------------------------------------------------------

    def deploy(
        self,
        *,
        parameters: Mapping[str, str] | None = None,
        alarm_parameters: Mapping[str, str] | None = None,
        on_drift: OnDrift = OnDrift.stop,
    ) -> Deployed:
        """Deploy and return the result. A parameter of a stack that is not given keeps its value.

        `parameters` are those of the data stack, `alarm_parameters` those of the alarms stack.
        """
        self.check("deploy")
        with self.locked("deploy") as releases:
            stack_steps = self.stacks.data(parameters or {})
            self._executor.execute(stack_steps)
            exports = self._exports()
            backup_steps = self.stacks.backups()
            self._executor.execute(backup_steps)
            stack_steps += backup_steps
            wanted = self._assemble(exports)
            made = self._build()
            return self._apply(
                releases, exports, wanted, made, stack_steps, alarm_parameters or {}, on_drift, None
            )

    def rollback(self, release_id: str | None = None, *, on_drift: OnDrift = OnDrift.stop) -> Deployed:
        """Restore a release: code, routes, settings and policies. None: the one before the current one.

        Tables and their content stay as they are; the alarms too. Raises NoSuchReleaseError.
        """
        self.check("rollback")
        with self.locked("roll back") as releases:
            current = releases.current()
            if current is None:
                raise NotDeployedYetError(self.name)
            wanted = releases.named(release_id) if release_id else releases.before(current.release)
            python = ".".join(map(str, self.python))
            if wanted.python != python:
                raise NoSuchReleaseError(
                    f"{wanted.id} runs on Python {wanted.python}: run this command with it, not with {python}."
                )
            self.say(f"Back to release {wanted.id}, of {wanted.at} ({wanted.commit or 'no commit'})")
            shutil.rmtree(self.build_dir, ignore_errors=True)
            releases.unpack(wanted, self.build_dir)
            (made,) = packaging.zips(self.build_dir)
            return self._apply(
                releases, self._exports(), state_from(wanted.state), made, [], {}, on_drift, wanted
            )

    def plan(
        self,
        *,
        parameters: Mapping[str, str] | None = None,
        alarm_parameters: Mapping[str, str] | None = None,
    ) -> list[str]:
        """What a deployment would do, a line for each change; changes nothing."""
        self.check("plan")
        data = self.stacks.data(parameters or {})
        backups = self.stacks.backups()
        lines = [str(step) for step in (*self.stacks.releases(), *data, *backups)]
        if any(isinstance(step, planner.CreateStack) for step in data):
            lines += ["create the functions, the API and the schedule"]
            lines += [str(step) for step in self.stacks.front("", self._api_stage)]
            return [*lines, "create the alarms"]
        exports = self._exports()
        wanted = self._assemble(exports)
        made = self._build()
        releases = self.open_releases()
        record = self.record(releases)
        found = observation.found_state(self.aws.client, self.name, self._api_stage, record)
        current = releases.current() if releases else None
        drifted = by_others(drift(current.state, found), releases.attempts()) if releases and current else []
        lines += [f"drift: {each}" for each in drifted]
        wanted = current.keeping(wanted) if current else wanted
        lines += self._function_changes(made)
        deployed = observation.deployed_resources(record)
        lines += [str(step) for step in self._settings_steps(deployed, wanted)]
        lines += [str(step) for step in self._front_steps(deployed)]
        return lines + [str(step) for step in self.stacks.alarms(alarm_parameters or {})]

    def releases(self) -> tuple[list[Release], str | None]:
        """All releases, oldest first, and the id of the current one."""
        self.require_place()
        releases = self.open_releases()
        if releases is None:
            raise NotDeployedYetError(self.name)
        current = releases.current()
        return releases.listed(), current.release if current else None

    def unlock(self) -> Mapping[str, str] | None:
        """Release the lock of any holder; return the holder."""
        self.require_place()
        releases = self.open_releases()
        holder = releases.holder() if releases else None
        if releases and holder:
            releases.unlock()
        return holder

    # --- parts of a deployment ----------------------------------------------------------------

    def _apply(
        self,
        releases: Releases,
        exports: Mapping[str, str],
        wanted: StageState,
        made: Path,
        stack_steps: list[Step],
        alarm_parameters: Mapping[str, str],
        on_drift: OnDrift,
        release: Release | None,
    ) -> Deployed:
        """Run Chalice and what follows. `release` is the one that is restored, or None for a new one."""
        record = self.record(releases)
        found = observation.found_state(self.aws.client, self.name, self._api_stage, record)
        current = releases.current()
        if current and on_drift is not OnDrift.repair:
            wanted = current.keeping(wanted)
        differences = by_others(
            drift(current.state, found) if current else self._unknown_concurrency(wanted, found),
            releases.attempts(),
        )
        wanted = self._decide(differences, wanted, on_drift)
        kept = frozenset((each.part, each.name) for each in differences) | (
            current.kept if current else set()
        )
        project.set_concurrency(self.build_dir, self.name, wanted.concurrency)

        releases.begin(wanted)
        deployed = self._run_chalice(releases, record)
        if packaging.zips(self.build_dir) != [made]:
            raise packaging.BadPackageError("Chalice has deployed another zip than the one that was checked")
        steps = self._settings_steps(deployed, wanted)
        self._executor.execute(steps)

        # A release that is restored keeps what is in front of it, and its alarms.
        if release is None:
            for later in (self._front_steps(deployed), self.stacks.alarms(alarm_parameters)):
                self._executor.execute(later)
                steps += later
        if release is None:
            release = self._new_release(releases, made, wanted)
        kept = frozenset() if on_drift is OnDrift.repair else kept
        releases.set_current(Current(release.id, wanted, kept))
        alarms = observation.found_stack(
            self.aws.client("cloudformation"), templates.alarms_stack_name(self.name)
        )
        rest_api = deployed["rest_api"]
        return Deployed(
            rest_api["rest_api_url"],
            rest_api["rest_api_id"],
            exports,
            [*stack_steps, *steps],
            alarms.parameters.get("AlarmEmail", "") if alarms else "",
            made,
            release,
            differences,
            project.options_of(self.name, self.source).domain,
        )

    def _decide(self, differences: list[Difference], wanted: StageState, on_drift: OnDrift) -> StageState:
        if not differences:
            return wanted
        if on_drift is OnDrift.stop:
            raise DriftError(
                "; ".join(map(str, differences))
                + ". Add DRIFT=keep to leave these as they are, or DRIFT=repair to set them back."
            )
        for each in differences:
            self.say(f"{'Kept' if on_drift is OnDrift.keep else 'Set back'}: {each}")
        return keeping(wanted, differences) if on_drift is OnDrift.keep else wanted

    @staticmethod
    def _unknown_concurrency(wanted: StageState, found: StageState) -> list[Difference]:
        """Before the first release there is nothing to compare with; Chalice would still erase this."""
        return [
            Difference("concurrency", name, wanted.concurrency.get(name), value)
            for name, value in found.concurrency.items()
            if value is not None and value != wanted.concurrency.get(name)
        ]

    @property
    def stacks(self) -> Stacks:
        return Stacks(self.name, self.aws.client("cloudformation"), self.source)

    def _settings_steps(self, deployed: Mapping[str, Mapping[str, Any]], wanted: StageState) -> list[Step]:
        if "rest_api" not in deployed:
            return []
        api_id, api_stage = deployed["rest_api"]["rest_api_id"], self._api_stage
        gateway = self.aws.client("apigateway")
        return [
            *planner.plan_gateway(
                api_id,
                api_stage,
                wanted.responses.values(),
                observation.found_gateway_responses(gateway, api_id),
            ),
            *planner.plan_throttles(
                api_id,
                api_stage,
                wanted.throttles.values(),
                observation.found_throttles(gateway, api_id, api_stage),
            ),
            *planner.plan_access_logs(
                api_id,
                api_stage,
                self._access_logs(gateway),
                observation.found_access_logs(gateway, api_id, api_stage),
            ),
            *planner.plan_streams(
                wanted.mappings, observation.found_mappings(self.aws.client("lambda"), deployed)
            ),
        ]

    def _front_steps(self, deployed: Mapping[str, Mapping[str, Any]]) -> list[Step]:
        if "rest_api" not in deployed:
            return []
        return self.stacks.front(deployed["rest_api"]["rest_api_id"], self._api_stage)

    def _access_logs(self, gateway: Any) -> tuple[str, str]:
        if not project.options_of(self.name, self.source).access_logs:
            return "", ""
        if not gateway.get_account().get("cloudwatchRoleArn"):
            raise AccessLogsNeedARoleError
        arn = self._exports()[f"{templates.APP_NAME}-{self.name}-AccessLogGroupArn"]
        return arn.removesuffix(":*"), ACCESS_LOG_LAYOUT

    def _assemble(self, exports: Mapping[str, str]) -> StageState:
        """Assemble Chalice's project; return what is to be set beside it."""
        streams = templates.stream_mappings(self.name, exports)
        project.assemble(
            self.build_dir,
            self.name,
            source=self.source,
            policy=lambda document: templates.resolve(document, self.name, exports),
            environment={f"{handler.upper()}_ARN": each.stream_arn for handler, each in streams.items()}
            | templates.environment(self.name, exports),
        )
        return StageState(
            {each.response_type: each for each in templates.gateway_responses()},
            {f"{each.verb} {each.path}": each for each in templates.throttles()},
            streams,
            project.concurrency_of(self.name, self.source),
        )

    def _build(self) -> Path:
        return packaging.build_zip(
            self.build_dir,
            self.name,
            self.build_dir / "templates",
            source=self.source,
            environment=self.aws.environment,
        )

    def _function_changes(self, made: Path) -> Iterator[str]:
        """How the functions would change; Chalice updates all of them in any case."""
        digest = b64encode(hashlib.sha256(made.read_bytes()).digest()).decode()
        variables = project.variables_in(self.build_dir, self.name)
        lambda_ = self.aws.client("lambda")
        for function in FUNCTIONS:
            name = function.deployed_name(self.name)
            try:
                found = lambda_.get_function_configuration(FunctionName=name)
            except lambda_.exceptions.ResourceNotFoundException:
                yield f"create the function {name}"
                continue
            if found["CodeSha256"] != digest:
                yield f"update the code of {name}"
            current = found.get("Environment", {}).get("Variables", {})
            for key in sorted(variables.keys() | current.keys()):
                if variables.get(key) != current.get(key):
                    yield f"set {key} of {name}: was {current.get(key)}, will be {variables.get(key)}"

    def _run_chalice(self, releases: Releases, record: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        working = self.build_dir / ".chalice" / "deployed" / f"{self.name}.json"
        working.parent.mkdir(parents=True, exist_ok=True)
        working.write_text(json.dumps(record))
        try:
            project.run_chalice(
                self.build_dir, "deploy", "--stage", self.name, "--connection-timeout", "120",
                environment=self.aws.environment,
            )  # fmt: skip
        finally:
            # Also after a failure, when Chalice has not written what it had made.
            releases.keep_record(
                observation.completed_record(
                    self.aws.client, self.name, self._api_stage, json.loads(working.read_text())
                )
            )
        return observation.deployed_resources(json.loads(working.read_text()))

    def record(self, releases: Releases | None) -> dict[str, Any]:
        """Chalice's record: the team's, or one of this checkout from before there was a bucket."""
        known = releases.record() if releases else None
        local = self.source / ".chalice" / "deployed" / f"{self.name}.json"
        if known is None and local.exists():
            known = json.loads(local.read_text())
        return observation.completed_record(self.aws.client, self.name, self._api_stage, known)

    def _new_release(self, releases: Releases, made: Path, state: StageState) -> Release:
        release = Release(
            id=releases.next_id(),
            commit=_commit(self.source),
            at=self.who.at,
            by=self.who.by,
            python=".".join(map(str, self.python)),
            sha256=hashlib.sha256(made.read_bytes()).hexdigest(),
            state=state_to(state),
        )
        latest = releases.listed()[-1:]
        if latest and replace(latest[0], id="", at="", by="") == replace(release, id="", at="", by=""):
            return latest[0]  # the same code and settings: not another release
        releases.add(release, self.build_dir)
        return release

    # --- what all of them need ------------------------------------------------------------------

    def check(self, command: str) -> None:
        """Raises UnknownStageError, WrongPythonError, BadOptionError, OtherAccountError, OtherRegionError."""
        project.require_stage(self.name, self.source)
        packaging.require_python(self.python, f"{command} STAGE={self.name}")
        project.options_of(self.name, self.source)
        self.require_place()

    def require_place(self) -> None:
        """Check that the credentials belong to the stage. Raises OtherAccountError, OtherRegionError."""
        require_place(self.name, project.place_of(self.name, self.source), self.aws.client)

    @contextmanager
    def locked(self, doing: str) -> Iterator[Releases]:
        """Hold the lock of the stage. Raises LockedError."""
        self._executor.execute(self.stacks.releases())
        releases = self.open_releases()
        assert releases is not None
        with releases.locked(self.who.by, self.who.at, doing):
            yield releases

    def found(self, releases: Releases | None) -> StageState:
        """What is set on the stage now, beside Chalice's own resources."""
        record = self.record(releases)
        return observation.found_state(self.aws.client, self.name, self._api_stage, record)

    def open_releases(self) -> Releases | None:
        """What the team remembers of the stage, or None before its first deployment."""
        name = templates.releases_stack_name(self.name)
        if observation.found_stack(self.aws.client("cloudformation"), name) is None:
            return None
        exports = observation.exports(self.aws.client("cloudformation"), name)
        bucket = exports[f"{templates.APP_NAME}-{self.name}-ReleasesBucketName"]
        return Releases(self.aws.client("s3"), bucket)

    def _exports(self) -> dict[str, str]:
        return observation.exports(self.aws.client("cloudformation"), templates.stack_name(self.name))

    @property
    def _executor(self) -> Executor:
        return Executor(self.aws.client, self.say)

    @property
    def build_dir(self) -> Path:
        """Where its project is assembled."""
        return self.build or self.source / "build" / self.name

    @property
    def _api_stage(self) -> str:
        return project.api_stage_of(self.name, self.source)


def _commit(source: Path) -> str:
    """The commit of the source, with `+` if files differ from it; empty outside of a checkout."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(source), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short=12", "HEAD")
    return commit + "+" if commit and git("status", "--porcelain") else commit
