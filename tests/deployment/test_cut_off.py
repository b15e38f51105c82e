"""A deployment that is cut off between any two of its calls: what runs then, and that the next one completes it.

Chalice's calls are among them: it changes a function's code before its settings, so that for a moment new code runs with
old settings. Both are proofs (`make prove`): each deployment takes some seconds. The ordinary suite has what these calls
need: the permissions of those who deploy.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from openbooking.deployment import deploy, observation, packaging, project, rehearsal, removal
from openbooking.deployment.deploy import Aws
from openbooking.deployment.imitation import imitation_of_aws
from openbooking.deployment.stage_state import StageState, by_others, drift
from openbooking.infra.templates import FUNCTIONS, ROOT
from tests.support.cutting import Cutter, cutting
from tests.support.permissions import Policy

STAGE = "dev"
FUNCTION = "aws:lambda:eu-west-2:123456789012:function"


@dataclass(frozen=True)
class Prepared(deploy.Stage):
    """A stage whose zip is made by Chalice once, and then has only a mark in it: every deployment uploads it five times.

    What its functions run is started from the assembled project instead.
    """

    def _build(self) -> Path:
        found = packaging.zips(self.build_dir)
        if found:
            return found[0]
        out = self.build_dir / "templates"
        out.mkdir(parents=True)
        project.run_chalice(
            self.build_dir,
            "package",
            "--stage",
            self.name,
            str(out),
            environment={"AWS_DEFAULT_REGION": rehearsal.REGION, **self.aws.environment},
        )
        (made,) = packaging.zips(self.build_dir)
        with zipfile.ZipFile(made, "w") as archive:
            archive.writestr(zipfile.ZipInfo("mark"), self.build_dir.name)
        return made


def changed(
    source: Path, mark: str, settings: Mapping[str, str], concurrency: int, options: Mapping[str, Any]
) -> Path:
    """The source with other code, other settings and other options."""
    for name in ("chalicelib", ".chalice"):
        shutil.copytree(
            ROOT / name,
            source / name,
            ignore=shutil.ignore_patterns("__pycache__", "deployed", "deployments"),
        )
    (source / "app.py").write_text(f"{(ROOT / 'app.py').read_text()}\nMARK = {mark!r}\n")
    (source / "requirements.txt").write_text("")  # nothing is downloaded
    path = source / ".chalice" / "config.json"
    config = json.loads(path.read_text())
    config["stages"][STAGE]["environment_variables"] |= settings
    config["stages"][STAGE]["options"] = options
    config["stages"][STAGE]["lambda_functions"] = {"orders_stream": {"reserved_concurrency": concurrency}}
    path.write_text(json.dumps(config))
    return source


# --- what a function does ------------------------------------------------------------------------

# Started as Lambda starts it: with the code of one release, and the variables that are on AWS.
RUN = """
import json, sys
sys.path.insert(0, sys.argv[1])
import app
class Context:
    def get_remaining_time_in_millis(self): return 20000
name = sys.argv[2]
if name == "api_handler":
    path, route = "/feeds/scheduled-sessions", "/feeds/{name}"
    answer = app.app({
        "resource": route, "path": path, "httpMethod": "GET", "headers": {"Host": "x"},
        "multiValueHeaders": {"Host": ["x"]}, "queryStringParameters": None,
        "multiValueQueryStringParameters": None, "pathParameters": {"name": "scheduled-sessions"},
        "stageVariables": None, "body": None, "isBase64Encoded": False,
        "requestContext": {"httpMethod": "GET", "resourcePath": route, "path": "/dev" + path, "domainName": "x"},
    }, Context())
    assert answer["statusCode"] == 200 and "items" in json.loads(answer["body"]), answer
elif name.endswith("_stream"):
    assert getattr(app, name)({"Records": []}, Context()) == {"batchItemFailures": []}
else:
    fields = dict.fromkeys(("version", "account", "region", "detail-type", "source", "time", "id"), "x")
    getattr(app, name)({**fields, "detail": {}, "resources": []}, Context())
print(app.MARK)
"""


class Story:
    """One stage on a simulated AWS, two releases of it, and what was found after each cut."""

    def __init__(self, url: str, through: str, cutter: Cutter, scratch: Path) -> None:
        self.cutter = cutter
        self.direct = rehearsal.aws_at(url)
        self.scratch = scratch
        self.stages = {
            # Each has a variable that the other one does not know.
            mark: self._stage(mark, rehearsal.aws_at(through), settings, concurrency, options)
            for mark, settings, concurrency, options in (
                ("A", {"RATE_LIMIT": "111", "SETTING_OF_A": "1"}, 3, {"backup_days": 90}),
                ("B", {"RATE_LIMIT": "222", "SETTING_OF_B": "1"}, 5, {"backup_days": 400, "firewall": True}),
            )
        }
        self.worked: dict[tuple[str, str, str], str] = {}
        self.seen: set[tuple[str, str]] = set()

    def _stage(
        self,
        mark: str,
        aws: Aws,
        settings: Mapping[str, str],
        concurrency: int,
        options: Mapping[str, Any],
    ) -> Prepared:
        return Prepared(
            STAGE,
            aws,
            source=changed(self.scratch / f"source-{mark}", mark, settings, concurrency, options),
            build=self.scratch / mark,
            python=rehearsal.PYTHON,
            who=deploy.Who("test"),
            say=lambda line: None,
        )

    def deploy(self, mark: str) -> None:
        self.cutter.begin()
        stage = self.stages[mark]
        stage.unlock()
        self.cutter.begin()
        stage.deploy()

    def deploy_cut(self, mark: str, after: int) -> None:
        self.cutter.begin()
        self.stages[mark].unlock()
        self.cutter.begin(after)
        try:
            self.stages[mark].deploy()
        except Exception:
            pass
        else:
            pytest.fail(f"the deployment has finished, although it was cut off after {after} calls")
        finally:
            self.cutter.begin()

    def pairs(self) -> dict[str, tuple[str, str]]:
        """Function -> of which release its code is, and its settings."""
        found = {}
        lambda_ = self.direct.client("lambda")
        codes = {
            base64.b64encode(hashlib.sha256(zips[0].read_bytes()).digest()).decode(): mark
            for mark, stage in self.stages.items()
            if (zips := packaging.zips(stage.build_dir))
        }
        for function in FUNCTIONS:
            current = lambda_.get_function_configuration(FunctionName=function.deployed_name(STAGE))
            variables = current["Environment"]["Variables"]
            settings = {"111": "A", "222": "B"}[variables["RATE_LIMIT"]]
            assert (
                f"SETTING_OF_{settings}" in variables,
                len([n for n in variables if "SETTING_OF" in n]),
            ) == (True, 1)
            found[function.name] = codes[current["CodeSha256"]], settings
        return found

    def check_pairs(self) -> None:
        """Start every function with the code and the settings that it has now."""
        for function, (code, settings) in self.pairs().items():
            self.seen.add((code, settings))
            if (function, code, settings) not in self.worked:
                self.worked[function, code, settings] = self._run(function, code)

    def _run(self, function: str, code: str) -> str:
        name = next(each for each in FUNCTIONS if each.name == function).deployed_name(STAGE)
        found = self.direct.client("lambda").get_function_configuration(FunctionName=name)
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(self.stages[code].build_dir), function],
            env={
                **self.direct.environment,
                **found["Environment"]["Variables"],
                "AWS_REGION": rehearsal.REGION,
                "_HANDLER": "app.app" if function == "api_handler" else f"app.{function}",
                "PATH": os.environ["PATH"],
            },
            cwd=self.scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{function}, code {code}: {done.stdout[-500:]}{done.stderr[-2000:]}"
        assert done.stdout.splitlines()[-1] == code
        return code

    def state(self) -> Any:
        """All that a deployment makes, without what differs in each one: times, and the number of a release."""
        releases = self.stages["A"].open_releases()
        assert releases is not None
        found: StageState = self.stages["A"].found(releases)
        current = releases.current()
        assert current is not None
        release = releases.named(current.release)
        clients = {name: self.direct.client(name) for name in ("apigateway", "lambda", "events", "iam")}
        roles = sorted(each["RoleName"] for each in clients["iam"].list_roles()["Roles"])
        return {
            "pairs": self.pairs(),
            "found": found,
            "current": (current.state, current.kept, release.sha256),
            "attempts": releases.attempts(),
            "locked": releases.holder(),
            "apis": [each["id"] for each in clients["apigateway"].get_rest_apis()["items"]],
            "mappings": sorted(
                each["UUID"] for each in clients["lambda"].list_event_source_mappings()["EventSourceMappings"]
            ),
            "rules": sorted(each["Name"] for each in clients["events"].list_rules()["Rules"]),
            "policies": {
                role: clients["iam"].get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
                for role in roles
                for name in clients["iam"].list_role_policies(RoleName=role)["PolicyNames"]
            },
            "record": releases.record(),
            "stacks": {
                each["StackName"]: observation.found_stack(
                    self.direct.client("cloudformation"), each["StackName"]
                )
                for each in self.direct.client("cloudformation").list_stacks()["StackSummaries"]
                if each["StackStatus"] != "DELETE_COMPLETE"
            },
        }


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with imitation_of_aws() as url, cutting(url) as (through, cutter):
        yield Story(url, through, cutter, tmp_path_factory.mktemp("cut"))


def cut_and_resume(story: Story, wanted: Any, after: int) -> None:
    story.deploy("A")
    story.deploy_cut("B", after)
    story.check_pairs()
    # What was cut off has set values itself: nothing of it is taken for a change by another person.
    story.deploy("B")
    assert story.state() == wanted, f"after {after} calls"


def whole(story: Story) -> tuple[list[str], Any]:
    """The calls of a deployment of B over A that is not cut off, and its result."""
    story.deploy("A")
    story.deploy("B")
    return story.cutter.calls, story.state()


@pytest.mark.proof
def test_new_code_runs_with_old_settings_and_the_next_deployment_completes_it(story: Story) -> None:
    calls, wanted = whole(story)
    code = next(n for n, call in enumerate(calls, 1) if call.endswith("/code"))
    assert "/configuration" in calls[code], "Chalice does not change the settings after the code any more"
    api = next(n for n, call in enumerate(calls, 1) if call.startswith("PUT /restapis/"))
    story.deploy("A")
    for after in (code, api):  # twice in a row
        story.deploy_cut("B", after)
        story.check_pairs()
    assert ("B", "A") in story.seen

    # Control: without the note of what they were going to set, this would be taken for a change by another person.
    releases = story.stages["B"].open_releases()
    assert releases is not None
    current = releases.current()
    assert current is not None
    differences = drift(current.state, story.stages["B"].found(releases))
    assert "reserved concurrency of orders_stream: was 3, is 5" in map(str, differences)
    assert by_others(differences, releases.attempts()) == []

    story.deploy("B")
    assert story.state() == wanted


def test_the_policies_for_people_allow_what_the_commands_ask(story: Story) -> None:
    template = json.loads((ROOT / "infra" / "deployer.json").read_text())
    cutter = story.cutter
    cutter.policy, cutter.denied = Policy(template, STAGE, "Deploy"), set()
    try:
        for mark in "AB":
            story.deploy(mark)
        stage = story.stages["B"]
        stage.plan()
        stage.rollback()
        removal.remove(stage)
        assert cutter.denied == set()

        # Data is deleted by those only who may.
        with pytest.raises(ClientError):
            removal.remove(stage, with_data=True)
        assert {action for action, _ in cutter.denied} == {"dynamodb:DescribeTable"}
        cutter.policy, cutter.denied = Policy(template, STAGE, "Deploy", "DeleteData"), set()
        stage.unlock()
        removal.remove(stage, with_data=True)
        assert cutter.denied == set()

        # And nobody may do it to another stage.
        other = Policy(template, "prod", "Deploy", "DeleteData")
        assert not other.allows("lambda:UpdateFunctionCode", f"arn:{FUNCTION}:openbooking-dev-orders_stream")
        assert other.allows("lambda:UpdateFunctionCode", f"arn:{FUNCTION}:openbooking-prod-orders_stream")
    finally:
        cutter.policy = None


@pytest.mark.proof
def test_a_deployment_may_be_cut_off_after_any_of_its_calls(story: Story) -> None:
    calls, wanted = whole(story)
    assert len(calls) > 20
    for after in range(len(calls)):
        cut_and_resume(story, wanted, after)
    assert story.seen == {("A", "A"), ("B", "A"), ("B", "B")}
