"""The DynamoDB engine of a local stack: its clients and its environment variables.

The embedded engine is in `embedded`; this module is for engines that run separately.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from openbooking.local.running import Running

REGION = "eu-west-2"
# DynamoDB Local keeps separate data for each pair of access key and region, so every process
# that uses an engine uses these; none of the engines checks them.
ACCESS_KEY = "local"


class EngineUnreachableError(Exception):
    """No DynamoDB engine answers at the address given."""

    def __init__(self, url: str) -> None:
        super().__init__(f"No DynamoDB engine answers at {url}.")


def environment(url: str) -> dict[str, str | None]:
    """The environment variables with which AWS's libraries use only the engine at `url`.

    None means that a variable must not be set: a developer's own profile or session would otherwise be
    combined with the engine's credentials.
    """
    return {
        "DYNAMODB_URL": url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_SESSION_TOKEN": None,
        "AWS_PROFILE": None,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
    }


def dynamodb_client(url: str) -> Any:
    return _client("dynamodb", url)


def streams_client(url: str) -> Any:
    # Dynoxide's shard ids are shorter than botocore's model of the API allows.
    return _client("dynamodbstreams", url, parameter_validation=False)


def _client(service: str, url: str, **options: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=ACCESS_KEY,
        config=Config(
            # moto's DescribeStream is not found under an account's own endpoint.
            account_id_endpoint_mode="disabled",
            connect_timeout=2,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 2},
            **options,
        ),
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # An invalid port raises when it is read.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class Engine(Running):
    """An engine that runs separately, at `url`. Its data may outlive the stack."""

    keeps_data = True

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def start(self) -> None:
        """Raises EngineUnreachableError."""
        if not _is_address(self.url):
            raise EngineUnreachableError(self.url)
        client = dynamodb_client(self.url)
        try:
            client.list_tables(Limit=1)
        except (BotoCoreError, ClientError) as error:
            raise EngineUnreachableError(self.url) from error
        finally:
            client.close()

    def stop(self) -> None:
        """Do nothing: the engine was not started by the stack."""
