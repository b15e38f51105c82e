"""A stage's own domain name: what is chosen of it, its URL, and the resources in API Gateway and Route 53. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from openbooking.infra import templates

DOMAIN = "Domain"

_HOST = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_CERTIFICATE = re.compile(r"arn:aws[\w-]*:acm:[a-z0-9-]+:\d{12}:certificate/[\w-]+")
_BASE_PATH = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*")
_ZONE = re.compile(r"[A-Z0-9]{5,32}")


@dataclass(frozen=True)
class Domain:
    """`options.domain` of a stage."""

    name: str
    """The host: `booking.example.org`."""
    certificate: str
    """The ARN of its certificate in ACM, in the region of the stage."""
    base_path: str = ""
    """What comes before every path, without slashes at its ends; empty for nothing."""
    hosted_zone: str = ""
    """The id of the zone in Route 53 that gets the record; empty if the DNS is elsewhere."""

    @property
    def url(self) -> str:
        """The base URL of the stage (BASE_URL)."""
        return f"https://{self.name}" + (f"/{self.base_path}" if self.base_path else "")


def domain_from(chosen: Any) -> Domain:
    """Raises ValueError with what is wrong."""
    names = [each.name for each in fields(Domain)]
    if not isinstance(chosen, Mapping) or not all(isinstance(each, str) for each in chosen.values()):
        raise ValueError(f"is not an object with texts for {', '.join(names)}")
    if unknown := sorted(chosen.keys() - set(names)):
        raise ValueError(f"has an unknown part, {', '.join(unknown)}; there are: {', '.join(names)}")
    if missing := sorted({"name", "certificate"} - chosen.keys()):
        raise ValueError(f"has no {' and no '.join(missing)}")
    domain = Domain(**chosen)
    for part, pattern, example in (
        ("name", _HOST, "booking.example.org"),
        ("certificate", _CERTIFICATE, "arn:aws:acm:eu-west-2:123456789012:certificate/ID"),
        ("base_path", _BASE_PATH, "booking"),
        ("hosted_zone", _ZONE, "Z0123456789ABCDEFGHIJ"),
    ):
        value = getattr(domain, part)
        if (value or part in ("name", "certificate")) and not pattern.fullmatch(value):
            raise ValueError(f"has {part} {value!r}, which does not read like {example}")
    if "auth" in domain.base_path.split("/"):
        raise ValueError("has the base path auth, which the firewall would take for the login")
    return domain


def domain_resources(domain: Domain, api: Any, api_stage: Any) -> dict[str, Any]:
    """The domain, the mapping of its base path to a stage of an API (REST or HTTP), and its record in Route 53.

    These are types of version 2 of API Gateway, which both kinds of API accept; a base path may have several parts.
    """
    mapping: dict[str, Any] = {"DomainName": {"Ref": DOMAIN}, "ApiId": api, "Stage": api_stage}
    if domain.base_path:
        mapping["ApiMappingKey"] = domain.base_path
    resources: dict[str, Any] = {
        DOMAIN: {
            "Type": "AWS::ApiGatewayV2::DomainName",
            "Properties": {
                "DomainName": domain.name,
                "DomainNameConfigurations": [
                    {
                        "CertificateArn": domain.certificate,
                        "EndpointType": "REGIONAL",
                        "SecurityPolicy": "TLS_1_2",
                    }
                ],
                "Tags": {each["Key"]: each["Value"] for each in templates.tags()},
            },
        },
        "DomainMapping": {"Type": "AWS::ApiGatewayV2::ApiMapping", "Properties": mapping},
    }
    if domain.hosted_zone:
        resources["DomainRecord"] = {
            "Type": "AWS::Route53::RecordSet",
            "Properties": {
                "HostedZoneId": domain.hosted_zone,
                "Name": domain.name,
                "Type": "A",
                "AliasTarget": {
                    "DNSName": {"Fn::GetAtt": [DOMAIN, "RegionalDomainName"]},
                    "HostedZoneId": {"Fn::GetAtt": [DOMAIN, "RegionalHostedZoneId"]},
                },
            },
        }
    return resources


def domain_outputs() -> dict[str, Any]:
    """What DNS elsewhere needs."""
    return {
        "DomainTarget": {
            "Description": "What a CNAME record of the domain points at, if its DNS is not in Route 53.",
            "Value": {"Fn::GetAtt": [DOMAIN, "RegionalDomainName"]},
        }
    }
