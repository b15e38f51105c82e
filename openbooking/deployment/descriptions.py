"""botocore's descriptions of services, with no more than functions need: each of them is read at every cold start.

botocore describes more than 400 services, and the endpoints of all of them are one file of 1.2 MB. To read that takes
an eighth of the processor time of a minimal cold start.
"""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

# botocore's description of a service -> the module that makes its client.
CALLED_SERVICES = {
    "dynamodb": "chalicelib.storage.dynamodb.client",
    "kms": "chalicelib.storage.vault",
}

_ENDPOINTS = "botocore/data/endpoints.json"


def service_of(name: str) -> str | None:
    """The service that a file of a package describes."""
    service = re.fullmatch(r"botocore/data/([^/]+)/.+", name)
    return service[1] if service else None


def as_shipped(name: str, data: bytes) -> bytes | None:
    """What a package contains of a file: of descriptions only what is read at run time; None for no file."""
    if name == _ENDPOINTS:
        return json.dumps(_of_called_services(json.loads(data))).encode()
    service = service_of(name)
    if service is not None and service not in CALLED_SERVICES:
        return None
    if service is not None and name.endswith("/service-2.json.gz"):
        described = json.dumps(_without_documentation(json.loads(gzip.decompress(data))))
        return gzip.compress(described.encode(), mtime=0)  # the same file makes the same package
    return data


def _of_called_services(endpoints: dict[str, Any]) -> dict[str, Any]:
    partitions = [
        {
            **each,
            "services": {
                name: each["services"][name]
                for name in sorted(CALLED_SERVICES.keys() & each["services"].keys())
            },
        }
        for each in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def _without_documentation(value: Any) -> Any:
    """Without the texts; a member of a shape that has this name is no text."""
    if isinstance(value, dict):
        return {
            name: _without_documentation(inner)
            for name, inner in value.items()
            if not (name == "documentation" and isinstance(inner, str))
        }
    if isinstance(value, list):
        return [_without_documentation(inner) for inner in value]
    return value
