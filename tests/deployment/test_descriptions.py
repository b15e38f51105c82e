"""botocore's descriptions as a package has them: clients made with them are the same, and all that is left out is unused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import botocore
import botocore.session
import pytest
from botocore.exceptions import EndpointVariantError
from botocore.loaders import Loader
from botocore.regions import EndpointResolver
from botocore.session import Session

from openbooking.deployment.descriptions import CALLED_SERVICES, as_shipped

DATA = Path(botocore.__file__).parent / "data"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The descriptions of a package, in a directory."""
    root = tmp_path_factory.mktemp("data")
    for path in sorted(DATA.rglob("*")):
        if path.is_file():
            name = path.relative_to(DATA)
            data = as_shipped(f"botocore/data/{name.as_posix()}", path.read_bytes())
            if data is not None:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(data)
    return root


def session_with(directory: Path) -> Session:
    made = botocore.session.Session()
    made.set_credentials("local", "local")
    loader = Loader(extra_search_paths=[str(directory)], include_default_search_paths=False)
    made.register_component("data_loader", loader)
    return made


def test_only_called_services_are_described(shipped: Path) -> None:
    assert {path.name for path in shipped.iterdir() if path.is_dir()} == CALLED_SERVICES.keys()
    endpoints = json.loads((shipped / "endpoints.json").read_text())
    assert {name for each in endpoints["partitions"] for name in each["services"]} == CALLED_SERVICES.keys()


@pytest.mark.parametrize("service", CALLED_SERVICES)
@pytest.mark.parametrize("options", [{}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}])
def test_a_client_calls_the_same_endpoint_in_each_region(
    shipped: Path, service: str, options: dict[str, bool]
) -> None:
    whole, lean = (
        EndpointResolver(json.loads((each / "endpoints.json").read_text())) for each in (DATA, shipped)
    )
    partitions = whole.get_available_partitions()
    assert lean.get_available_partitions() == partitions
    for partition in partitions:
        regions = whole.get_available_endpoints(service, partition)
        assert lean.get_available_endpoints(service, partition) == regions
        for region in [*regions, f"{'us' if partition == 'aws' else partition}-new-1"]:
            wanted = endpoint(whole, service, region, partition, **options)
            assert endpoint(lean, service, region, partition, **options) == wanted


def endpoint(resolver: EndpointResolver, *place: str, **options: bool) -> Any:
    """What a client would call, or why there is no such endpoint."""
    try:
        return resolver.construct_endpoint(*place, **options)
    except EndpointVariantError as error:
        return str(error)


@pytest.mark.parametrize("region", ["eu-west-2", "us-gov-west-1", "cn-north-1"])
@pytest.mark.parametrize("service", CALLED_SERVICES)
def test_a_client_has_the_same_operations(shipped: Path, service: str, region: str) -> None:
    whole, lean = (session_with(each).create_client(service, region_name=region) for each in (DATA, shipped))
    assert lean.meta.endpoint_url == whole.meta.endpoint_url
    assert lean.meta.method_to_api_mapping == whole.meta.method_to_api_mapping
    assert {name: lean.can_paginate(name) for name in lean.meta.method_to_api_mapping} == {
        name: whole.can_paginate(name) for name in whole.meta.method_to_api_mapping
    }
    for name in whole.meta.service_model.operation_names:
        ours, theirs = (each.meta.service_model.operation_model(name) for each in (lean, whole))
        assert (ours.http, ours.auth_type, ours.idempotent_members) == (
            theirs.http, theirs.auth_type, theirs.idempotent_members,
        )  # fmt: skip
        for shape in ("input_shape", "output_shape"):
            one, other = getattr(ours, shape), getattr(theirs, shape)
            assert (one and one.name) == (other and other.name)
    whole.close()
    lean.close()


def test_nothing_but_texts_is_left_out_of_a_description() -> None:
    described: dict[str, Any] = {
        "documentation": "a text",
        "shapes": {
            "One": {
                "members": {"documentation": {"shape": "Two", "documentation": "<p>"}},
                "documentation": "x",
            },
            "Two": {"type": "string", "enum": ["documentation"], "documentation": ""},
        },
    }
    name = "botocore/data/dynamodb/2012-08-10/service-2.json.gz"
    made = as_shipped(name, gzip.compress(json.dumps(described).encode()))
    assert made is not None
    assert json.loads(gzip.decompress(made)) == {
        "shapes": {
            "One": {"members": {"documentation": {"shape": "Two"}}},
            "Two": {"type": "string", "enum": ["documentation"]},
        }
    }
    assert as_shipped(name, gzip.compress(json.dumps(described).encode())) == made


@pytest.mark.parametrize(
    "name",
    [
        "botocore/data/_retry.json",
        "botocore/data/partitions.json",
        "botocore/client.py",
        "a/data/endpoints.json",
    ],
)
def test_any_other_file_is_shipped_as_it_is(name: str) -> None:
    assert as_shipped(name, b"{}") == b"{}"


def test_other_services_are_left_out() -> None:
    assert as_shipped("botocore/data/s3/2006-03-01/service-2.json.gz", b"") is None
