"""Backups of a stage's tables that are kept for longer than the 35 days of point-in-time recovery (AWS Backup). Pure."""

from __future__ import annotations

import json
from typing import Any

from openbooking.infra import templates
from openbooking.infra.templates import APP_NAME

# Point-in-time recovery has every second of these days.
RECOVERY_DAYS = 35
LONGEST_DAYS = 36_500  # the most that AWS Backup takes
# Sundays, after the daily erasure of people at 03:00. A backup of a DynamoDB table is always a whole one.
SCHEDULE = "cron(0 5 ? * SUN *)"


def backups_template(days: int) -> dict[str, Any]:
    """The template of the stack: a vault, and what fills it each week with backups that are kept for `days`.

    0: the vault alone, so that no more are made and those that exist stay until their own end.
    """
    template: dict[str, Any] = json.loads(templates.BACKUPS.read_text(encoding="utf-8"))
    if not days:
        for name in ("BackupPlan", "BackupSelection"):
            del template["Resources"][name]
        return template
    (rule,) = template["Resources"]["BackupPlan"]["Properties"]["BackupPlan"]["BackupPlanRule"]
    rule["ScheduleExpression"] = SCHEDULE
    rule["Lifecycle"] = {"DeleteAfterDays": days}
    selection = template["Resources"]["BackupSelection"]["Properties"]["BackupSelection"]
    selection["Resources"] = [
        {"Fn::ImportValue": {"Fn::Sub": f"{APP_NAME}-${{Stage}}-{name}Arn"}}
        for name, resource in templates.tables_template()["Resources"].items()
        if resource["Type"] == "AWS::DynamoDB::Table"
    ]
    return template
