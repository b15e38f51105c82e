"""The example pipeline: what it runs exists, in the right order, and it stores no key."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from openbooking.cli.stage import app as commands
from openbooking.deployment.front import front_template
from openbooking.deployment.project import Options
from openbooking.infra import templates
from openbooking.infra.alarms import alarms_template
from openbooking.infra.backups import backups_template
from openbooking.infra.domain import Domain

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = ROOT / "infra" / "pipeline" / "github-actions.yml"
ROLE = ROOT / "infra" / "pipeline" / "role.json"
DEPLOYER = ROOT / "infra" / "deployer.json"
TEXT = PIPELINE.read_text(encoding="utf-8")
WORKFLOW: Any = yaml.safe_load(TEXT)
STEPS = {name: job["steps"] for name, job in WORKFLOW["jobs"].items()}
RUNS = [step["run"] for step in STEPS["deploy"] if "run" in step]
# What `make package` leaves in dist/ for a stage.
PACKAGED = {
    *("sam.json", "alarms.json", "backups.json", "sbom.json"),
    *(each.zip_name for each in templates.FUNCTIONS),
}


def test_no_key_is_stored_and_only_the_deployment_may_ask_for_credentials() -> None:
    assert "secrets." not in TEXT
    assert not re.search(r"aws-access-key|AWS_SECRET|AKIA", TEXT)
    assert WORKFLOW["permissions"] == {}
    assert WORKFLOW["jobs"]["test"]["permissions"] == {"contents": "read"}
    assert WORKFLOW["jobs"]["deploy"]["permissions"] == {"contents": "read", "id-token": "write"}
    (login,) = (s["with"] for s in STEPS["deploy"] if "configure-aws-credentials" in s.get("uses", ""))
    assert login == {"role-to-assume": "${{ vars.AWS_ROLE }}", "aws-region": "${{ vars.AWS_REGION }}"}


def test_credentials_come_after_everything_that_runs_code_of_others() -> None:
    uses = [step.get("uses", step.get("run", "")) for step in STEPS["deploy"]]
    (login,) = (number for number, use in enumerate(uses) if "configure-aws-credentials" in use)
    (package,) = (number for number, use in enumerate(uses) if use.startswith("make package"))
    assert package < login
    assert all(not use.startswith(("make", "actions/")) for use in uses[login + 1 :])


def test_it_runs_on_the_python_of_the_functions_and_after_the_tests() -> None:
    python = ".".join(map(str, templates.RUNTIME_PYTHON))
    versions = [
        step["with"]["python-version"]
        for steps in STEPS.values()
        for step in steps
        if "setup-python" in step.get("uses", "")
    ]
    assert versions == [python] * len(STEPS)
    assert WORKFLOW["jobs"]["deploy"]["needs"] == ["test", "vulnerabilities"]
    assert {"run": "make test"} in STEPS["test"]


def test_vulnerabilities_are_looked_for_on_each_push_and_every_week_and_stop_the_deployment() -> None:
    assert {"run": "make audit"} in STEPS["vulnerabilities"]
    job = WORKFLOW["jobs"]["vulnerabilities"]
    assert job["permissions"] == {"contents": "read"}
    assert "if" not in job and "continue-on-error" not in TEXT
    # YAML reads the key `on` as true.
    events = WORKFLOW[True]
    assert events["push"] == {"branches": ["main"]}
    ((schedule,),) = (each.values() for each in events["schedule"])
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", schedule), "not once a week"
    # By the schedule nothing is deployed: `deploy` needs `test`, which is skipped.
    assert WORKFLOW["jobs"]["test"]["if"] == "github.event_name != 'schedule'"


def test_tests_ask_no_database_of_vulnerabilities() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (rule,) = re.findall(r"^test:(.*?)\n\n", makefile, re.MULTILINE | re.DOTALL)
    assert "audit " not in rule.replace(".venv-audit", "") and "vulnerabilities" not in rule


def test_two_deployments_never_overlap() -> None:
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is False


def test_every_command_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    everything = [step["run"] for steps in STEPS.values() for step in steps if "run" in step]
    assert {line.split()[1] for line in everything if line.startswith("make ")} <= targets
    ours = {match for line in everything for match in re.findall(r"openbooking stage (\w+)", line)}
    known = {each.name or each.callback.__name__ for each in commands.registered_commands if each.callback}
    assert ours == {"check"} <= known


def test_stacks_are_deployed_in_the_order_in_which_they_need_each_other() -> None:
    stacks = [m[1] for run in RUNS if (m := re.search(r"cloudformation deploy --stack-name (\S+)", run))]
    assert stacks == [
        templates.stack_name("$STAGE"),
        templates.backups_stack_name("$STAGE"),
        "openbooking-$STAGE",
        templates.alarms_stack_name("$STAGE"),
    ]


def test_the_data_and_its_backups_are_protected_from_being_deleted_as_a_whole() -> None:
    protected = [
        m[1] for run in RUNS for m in re.finditer(r"update-termination-protection --stack-name (\S+)", run)
    ]
    assert protected == [templates.stack_name("$STAGE"), templates.backups_stack_name("$STAGE")]


def by_cloudformation(policy: Any) -> set[str]:
    """What CloudFormation may do for the caller with anything; roles have names, and a separate statement."""
    (actions,) = (
        each["Action"]
        for each in policy["PolicyDocument"]["Statement"]
        if each["Resource"] == "*" and "aws:CalledVia" in json.dumps(each.get("Condition"))
    )
    return set(actions)


def test_role_and_policy_may_make_all_that_the_templates_contain() -> None:
    domain = Domain("a.example", "arn:aws:acm:eu-west-2:123456789012:certificate/1", "", "Z12345")
    front = front_template(Options(firewall=True, domain=domain))
    assert front is not None
    releases = templates.releases_template()
    documents = [front, backups_template(400), alarms_template(), templates.tables_template(), releases]
    services = {
        each["Type"].split("::")[1].lower()
        for document in documents
        for each in document["Resources"].values()
    }
    names = {"apigatewayv2": "apigateway"}
    wanted = {f"{names.get(each, each)}:*" for each in services - {"iam"}}
    role = json.loads(ROLE.read_text())["Resources"]["DeployRole"]["Properties"]["Policies"][0]
    by_pipeline = by_cloudformation(role)
    assert wanted <= by_pipeline
    # In front of the functions by pipeline, and the code itself.
    assert {"cloudfront:*", "codedeploy:*", "lambda:*", "events:*"} <= by_pipeline
    person = json.loads(DEPLOYER.read_text())["Resources"]["Deploy"]["Properties"]
    from_laptop = by_cloudformation(person)
    assert wanted <= from_laptop
    assert from_laptop < by_pipeline


@pytest.mark.parametrize("run", [run for run in RUNS if "--template-file" in run])
def test_every_template_is_in_the_source_or_in_the_package(run: str) -> None:
    (file,) = re.findall(r"--template-file (\S+)", run)
    name = file.rpartition("/")[2]
    assert (ROOT / file).exists() or name in {*PACKAGED, "packaged.json"}
    for parameter in re.findall(r"--parameter-overrides (\w+)=", run):
        document = json.loads((ROOT / "infra" / name).read_text())
        assert parameter in document["Parameters"]


def test_the_page_for_people_has_the_same_commands() -> None:
    page = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    for run in RUNS:
        if "cloudformation deploy" in run:
            template = re.findall(r"--template-file (\S+)", run)[0].replace("$STAGE", "prod")
            assert f"--template-file {template}" in page


def test_only_jobs_of_one_environment_of_one_repository_get_the_role() -> None:
    role = json.loads(ROLE.read_text())["Resources"]["DeployRole"]["Properties"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    conditions = statement["Condition"]["StringEquals"]
    assert conditions["token.actions.githubusercontent.com:sub"] == {
        "Fn::Sub": "repo:${Repository}:environment:${Environment}"
    }
    assert WORKFLOW["jobs"]["deploy"]["environment"] == "prod"
    for each in role["Policies"][0]["PolicyDocument"]["Statement"]:
        if each["Resource"] == "*":
            assert each["Condition"] == {
                "ForAnyValue:StringEquals": {"aws:CalledVia": ["cloudformation.amazonaws.com"]}
            }


@pytest.mark.parametrize("template", [ROLE, DEPLOYER, templates.RELEASES], ids=lambda path: path.name)
def test_cloudformation_would_take_the_template(template: Path) -> None:
    linted = subprocess.run(
        [sys.executable, "-c", "from cfnlint.runner import main; main()", str(template)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout
