"""The CloudFormation stacks of a stage that is deployed from a laptop: the steps to each, by its template and options.

What there is in order: the releases, the data, backups of it; after the app, what is in front of its API, and the alarms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openbooking.deployment import observation, planner, project
from openbooking.deployment.front import front_template
from openbooking.deployment.planner import FoundStack, Step
from openbooking.infra import templates
from openbooking.infra.alarms import alarms_template
from openbooking.infra.backups import backups_template


@dataclass(frozen=True)
class Stacks:
    """The stacks of one stage. `cloudformation` is a boto3 client."""

    stage: str
    cloudformation: Any
    source: Path

    def releases(self) -> list[Step]:
        name = templates.releases_stack_name(self.stage)
        return self._steps(name, templates.releases_template(), protected=True)

    def data(self, parameters: Mapping[str, str]) -> list[Step]:
        name = templates.stack_name(self.stage)
        return self._steps(name, templates.tables_template(), parameters, protected=True)

    def backups(self) -> list[Step]:
        """None if the option is not given: what exists is left as it is."""
        days = project.options_of(self.stage, self.source).backup_days
        if days is None:
            return []
        return self._steps(templates.backups_stack_name(self.stage), backups_template(days), protected=True)

    def front(self, rest_api_id: str, api_stage: str) -> list[Step]:
        """The firewall and the domain; deleted if there is none of them any more."""
        name = templates.front_stack_name(self.stage)
        template = front_template(project.options_of(self.stage, self.source))
        if template is None:
            return planner.plan_no_stack(name, self._found(name))
        return self._steps(name, template, {"RestApiId": rest_api_id, "ApiStage": api_stage})

    def alarms(self, parameters: Mapping[str, str]) -> list[Step]:
        name = templates.alarms_stack_name(self.stage)
        found = self._found(name)
        if found is None or "QuietHours" not in found.parameters:
            # Only a stage in production is expected to have bookings at all times.
            usual = "24" if project.is_production(self.stage, self.source) else "0"
            parameters = {"QuietHours": usual, **parameters}
        watched = self.watched_options()
        return self._steps(name, alarms_template(watched), parameters)

    def watched_options(self) -> frozenset[str]:
        """The options that make something with separate alarms. An HTTP API is made by pipeline only."""
        return frozenset({"firewall"} if project.options_of(self.stage, self.source).firewall else ())

    def _found(self, name: str) -> FoundStack | None:
        return observation.found_stack(self.cloudformation, name)

    def _steps(
        self,
        name: str,
        template: Any,
        parameters: Mapping[str, str] | None = None,
        *,
        protected: bool = False,
    ) -> list[Step]:
        return planner.plan_stack(
            name,
            observation.canonical(template),
            {"Stage": self.stage, **(parameters or {})},
            self._found(name),
            protected=protected,
        )
