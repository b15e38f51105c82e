"""Where a stage belongs: no command works on it with credentials of another account, or in another region."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openbooking.deployment.errors import DeploymentError
from openbooking.deployment.project import Place


class OtherAccountError(DeploymentError):
    sentence = "These AWS credentials belong to another account than the stage:"


class OtherRegionError(DeploymentError):
    sentence = "This is another AWS region than that of the stage:"


def require_place(stage: str, place: Place, client: Callable[[str], Any]) -> None:
    """Check that `client`, which makes a client for a service, works in the place of the stage.

    AWS is asked only if the stage's entry in .chalice/config.json names an account. Raises OtherAccountError,
    OtherRegionError.
    """
    if place == Place():
        return
    region = client("sts").meta.region_name
    if place.region and region != place.region:
        raise OtherRegionError(
            f"{stage} is in {place.region}, not in {region}: set AWS_REGION={place.region}."
        )
    if place.account:
        account = client("sts").get_caller_identity()["Account"]
        if account != place.account:
            raise OtherAccountError(
                f"{stage} is in {place.account}, and they are of {account}: set AWS_PROFILE to a profile of "
                f"{place.account}, or correct `account` in .chalice/config.json."
            )
