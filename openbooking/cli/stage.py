"""`python -m openbooking.cli.stage deploy|rehearse|package --stage STAGE`."""

from __future__ import annotations

import argparse
import os
import sys

from openbooking.deployment.packaging import BadPackageError, package
from openbooking.deployment.planner import (
    NotDeployedError,
    StackNeedsAttentionError,
    StreamMovedError,
)
from openbooking.deployment.project import ChaliceFailedError, UnknownStageError

REFUSALS = (
    BadPackageError,
    ChaliceFailedError,
    NotDeployedError,
    StackNeedsAttentionError,
    StreamMovedError,
    UnknownStageError,
)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns 1 with one line for a refusal that needs no trace."""
    options = _parser().parse_args(arguments)
    try:
        {"deploy": _deploy, "rehearse": _rehearse, "package": _package}[options.command](options)
    except REFUSALS as refusal:
        print(f"{type(refusal).__doc__} {refusal}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="openbooking.deployment")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, meaning in {
        "deploy": "deploy to the AWS account that boto3 finds",
        "rehearse": "the same, to an imitation of AWS on this machine",
        "package": "make the package for a pipeline in dist/",
    }.items():
        command = commands.add_parser(name, help=meaning)
        command.add_argument("--stage", required=name == "deploy", default="dev")
        if name == "deploy":
            command.add_argument("--deletion-protection", choices=("on", "off"))
    return parser


def _deploy(options: argparse.Namespace) -> None:
    import boto3
    from botocore.config import Config

    from openbooking.deployment.deploy import Aws, deploy

    parameters = {}
    if options.deletion_protection:
        parameters["DeletionProtection"] = str(options.deletion_protection == "on").lower()
    session = boto3.Session()
    # API Gateway takes one deployment in five seconds, and Chalice has just made one.
    patient = Config(retries={"mode": "standard", "max_attempts": 10})
    aws = Aws(lambda service: session.client(service, config=patient), os.environ)
    deployed = deploy(options.stage, aws, parameters=parameters)
    print(f"Serving at {deployed.rest_api_url}")


def _rehearse(options: argparse.Namespace) -> None:
    from openbooking.deployment.rehearsal import rehearse

    rehearse(options.stage)


def _package(options: argparse.Namespace) -> None:
    made = package(options.stage)
    print(f"{made.template}\n{made.zip}")


if __name__ == "__main__":
    sys.exit(main())
