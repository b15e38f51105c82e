"""The result of a deployment, as a value and as what a person reads at its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from openbooking.deployment.planner import Step
from openbooking.deployment.releases import Release
from openbooking.deployment.stage_state import Difference
from openbooking.infra import templates
from openbooking.infra.domain import Domain


@dataclass(frozen=True)
class Deployed:
    """The result of a deployment."""

    rest_api_url: str
    rest_api_id: str
    exports: Mapping[str, str]
    steps: list[Step]
    """The steps in addition to Chalice's own."""
    alarm_email: str
    """The address that gets the alarms; empty if they are not sent."""
    zip: Path
    """The code of the functions."""
    release: Release
    drift: list[Difference]
    """What others had set, and what was kept or repaired."""
    domain: Domain | None = None
    """The stage's own, which leads to the same API."""


def _domain_lines(domain: Domain | None, stage: str) -> Iterator[str]:
    if domain is not None:
        yield f"Domain: {domain.url}"
        if not domain.hosted_zone:
            stack = templates.front_stack_name(stage)
            yield f"DNS: a CNAME record of {domain.name} to the output DomainTarget of the stack {stack}"


def lines_of(deployed: Deployed, stage: str) -> list[str]:
    """What a deployment says at its end."""
    url = deployed.rest_api_url
    return [
        f"Release {deployed.release.id} ({deployed.release.commit or 'no commit'})",
        f"API: {url}api/openbooking",
        f"Dataset site: {url}openactive",
        *_domain_lines(deployed.domain, stage),
        f"Dashboard: openbooking-{stage} in CloudWatch",
        f"Alarms go to {deployed.alarm_email}, once that address has confirmed."
        if deployed.alarm_email
        else f"No address receives the alarms: make deploy STAGE={stage} ALARM_EMAIL=you@example.org",
    ]
