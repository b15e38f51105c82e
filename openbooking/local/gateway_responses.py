"""API Gateway's own answers, from the definition that AWS gets: `infra/gateway.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DEFINITION = Path(__file__).resolve().parents[2] / "infra" / "gateway.json"

Answer = tuple[int, list[tuple[str, str]], bytes]
"""Status, headers, body."""


class GatewayResponses:
    """What the gateway says where the app is not asked, or has failed."""

    def __init__(self, definition: Path = _DEFINITION) -> None:
        resources = json.loads(definition.read_text(encoding="utf-8"))["Resources"]
        self._responses: Mapping[str, Any] = resources["RestAPI"]["Properties"]["GatewayResponses"]

    def answer(self, response_type: str, request_id: str) -> Answer:
        """`response_type` is a GatewayResponse type of API Gateway, such as DEFAULT_5XX."""
        response = self._responses[response_type]
        # Fixed values stand in single quotes in a mapping expression.
        headers = [
            (name, value.strip("'")) for name, value in response["ResponseParameters"]["Headers"].items()
        ]
        template: str = response["ResponseTemplates"]["application/json"]
        body = template.replace("$context.requestId", request_id)
        return int(response["StatusCode"]), headers, body.encode()
