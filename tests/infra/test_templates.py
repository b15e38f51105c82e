"""The templates and policies: what is to stand on AWS, and what every part of it may do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.loaders import Loader
from moto import mock_aws

import app
from chalicelib.domain import errors
from chalicelib.runtime.settings import SettingsError, read_settings
from chalicelib.storage import vault
from chalicelib.storage.dynamodb.tables import Engine, Tables
from openbooking.infra import templates
from openbooking.infra.templates import GatewayResponse, table_definitions
from openbooking.local.tables import create_tables
from tests.support import errors_seen
from tests.support.engines import DYNOXIDE, WITHOUT_DYNOXIDE, dynoxide, moto

ROOT = Path(__file__).resolve().parents[2]
POLICIES = sorted((ROOT / ".chalice").glob("policy-*.json"))
FUNCTIONS = {"api_handler", "orders_stream", "inventory_stream", "lease_sweep", "import_sources"}
EXPORTS = {
    name: f"arn:aws:test:::{name}"
    for name in (
        output["Export"]["Name"]["Fn::Sub"].replace("${Stage}", "dev")
        for output in json.loads(templates.TABLES.read_text())["Outputs"].values()
    )
}


def document(path: Path) -> Any:
    return json.loads(path.read_text())


# --- the tables -----------------------------------------------------------------------------


def key_schema(attributes: Any) -> list[dict[str, str]]:
    keys = [a for a in attributes.values() if a.is_hash_key or a.is_range_key]
    return [
        {"AttributeName": a.attr_name, "KeyType": "HASH" if a.is_hash_key else "RANGE"}
        for a in sorted(keys, key=lambda a: bool(a.is_range_key))
    ]


@pytest.fixture(scope="module")
def models() -> dict[str, list[Any]]:
    tables = Tables(Engine("t", "eu-west-2", "http://127.0.0.1:1", "x", "x"))
    by_name: dict[str, list[Any]] = {}
    for value in vars(tables).values():
        if hasattr(value, "get_attributes"):
            by_name.setdefault(value.Meta.table_name, []).append(value)
    return by_name


def test_every_table_of_the_template_has_a_model_and_every_model_a_table(
    models: dict[str, list[Any]],
) -> None:
    assert {d.name for d in table_definitions("t")} == models.keys()


def test_models_have_the_keys_of_the_template(models: dict[str, list[Any]]) -> None:
    for definition in table_definitions("t"):
        for model in models[definition.name]:
            assert key_schema(model.get_attributes()) == definition.create["KeySchema"]


def test_models_have_the_indexes_of_the_template(models: dict[str, list[Any]]) -> None:
    for definition in table_definitions("t"):
        wanted = {
            index["IndexName"]: index["KeySchema"]
            for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
            for index in definition.create.get(kind, [])
        }
        found = {
            name: key_schema(index.Meta.attributes)
            for model in models[definition.name]
            for name, index in model._indexes.items()
        }
        assert found == wanted


def test_models_that_expire_are_in_tables_that_expire(models: dict[str, list[Any]]) -> None:
    for definition in table_definitions("t"):
        for model in models[definition.name]:
            if "expires_at" in model.get_attributes():
                assert definition.ttl_attribute == "expires_at"


def test_tables_are_guarded_on_aws() -> None:
    for resource in document(templates.TABLES)["Resources"].values():
        if resource["Type"] == "AWS::DynamoDB::Table":
            properties = resource["Properties"]
            assert properties["BillingMode"] == "PAY_PER_REQUEST"
            assert properties["SSESpecification"] == {"SSEEnabled": True}
            assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
            assert properties["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
    assert document(templates.TABLES)["Parameters"]["DeletionProtection"]["Default"] == "true"


@mock_aws
def test_creating_the_tables_again_changes_nothing() -> None:
    client = boto3.client(
        "dynamodb", region_name="eu-west-2", aws_access_key_id="x", aws_secret_access_key="x"
    )
    names = create_tables(client, "again")
    client.put_item(TableName="again-orders", Item={"order_key": {"S": "kept"}})
    assert create_tables(client, "again") == names
    assert client.scan(TableName="again-orders")["Count"] == 1
    described = client.describe_table(TableName="again-inventory")["Table"]
    assert described["StreamSpecification"]["StreamViewType"] == "KEYS_ONLY"
    assert [index["IndexName"] for index in described["GlobalSecondaryIndexes"]] == ["by_expiry", "by_seller"]
    ttl = client.describe_time_to_live(TableName="again-feeds")["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}


def without_index(name: str) -> tuple[Any, ...]:
    """The definitions of the tables as an earlier release had them."""
    earlier = []
    for definition in table_definitions("kept"):
        create = dict(definition.create)
        left = [index for index in create.pop("GlobalSecondaryIndexes", []) if index["IndexName"] != name]
        if left:
            create["GlobalSecondaryIndexes"] = left
        keys = {
            key["AttributeName"]
            for schema in (create, *left, *create.get("LocalSecondaryIndexes", []))
            for key in schema["KeySchema"]
        }
        create["AttributeDefinitions"] = [
            each for each in create["AttributeDefinitions"] if each["AttributeName"] in keys
        ]
        earlier.append(create)
    return tuple(earlier)


@pytest.mark.parametrize("engine", ["moto", pytest.param("dynoxide", marks=pytest.mark.dynoxide)])
def test_tables_of_an_earlier_release_get_the_index_that_they_lack(engine: str, tmp_path: Path) -> None:
    if engine == "dynoxide" and not DYNOXIDE:
        pytest.skip(WITHOUT_DYNOXIDE)
    with moto() if engine == "moto" else dynoxide(tmp_path) as url:
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        client = boto3.client("dynamodb", region_name="eu-west-2", endpoint_url=url, **keys)
        for create in without_index("by_seller"):
            client.create_table(**create)
        create_tables(client, "kept")
        found = client.query(
            TableName="kept-orders",
            IndexName="by_seller",
            KeyConditionExpression="seller_list = :list",
            ExpressionAttributeValues={":list": {"S": "bookings#1"}},
        )
        assert found["Count"] == 0
        described = client.describe_table(TableName="kept-inventory")["Table"]
        assert {index["IndexName"] for index in described["GlobalSecondaryIndexes"]} == {
            "by_expiry",
            "by_seller",
        }
        client.close()


def test_no_table_gets_two_new_indexes_in_one_update() -> None:
    """CloudFormation adds one index to a table at a time; release 0.1.0 had `by_expiry`."""
    for definition in table_definitions("t"):
        names = {index["IndexName"] for index in definition.create.get("GlobalSecondaryIndexes", [])}
        assert len(names - {"by_expiry"}) <= 1


def test_the_key_that_seals_signing_keys_is_turned_and_outlives_a_refused_deletion() -> None:
    resources = document(templates.TABLES)["Resources"]
    key = resources["SigningKey"]["Properties"]
    assert key["EnableKeyRotation"] is True
    assert key["PendingWindowInDays"] == 30
    assert resources["SigningKeyAlias"]["Properties"]["TargetKeyId"] == {"Ref": "SigningKey"}
    # CloudFormation deletes the table first; one that is protected refuses, and the key is not reached.
    assert resources["IdentityTable"]["DependsOn"] == "SigningKey"


def test_the_key_knows_nobody_but_the_account_so_that_iam_says_who_may_use_it() -> None:
    (statement,) = document(templates.TABLES)["Resources"]["SigningKey"]["Properties"]["KeyPolicy"][
        "Statement"
    ]
    assert statement["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}


def test_cloudformation_would_take_the_template() -> None:
    pytest.importorskip("cfnlint", reason="cfn-lint is not installed")
    linted = subprocess.run(
        [sys.executable, "-c", "from cfnlint.runner import main; main()", str(templates.TABLES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout


# --- settings and policies ------------------------------------------------------------------


def test_no_policy_holds_a_wildcard() -> None:
    assert {path.stem.removeprefix("policy-") for path in POLICIES} == FUNCTIONS
    for path in POLICIES:
        assert "*" not in path.read_text()
        assert "?" not in path.read_text()


def test_policies_name_only_what_the_data_stack_exports() -> None:
    for path in POLICIES:
        policy = templates.resolve(document(path), "dev", EXPORTS)
        for statement in policy["Statement"]:
            assert statement["Effect"] == "Allow"
            assert set(statement["Resource"]) <= set(EXPORTS.values())


def test_every_function_may_write_its_own_log_and_no_other() -> None:
    own = {
        "api_handler": "ApiLogGroupArn",
        "orders_stream": "OrdersStreamLogGroupArn",
        "inventory_stream": "InventoryStreamLogGroupArn",
        "lease_sweep": "LeaseSweepLogGroupArn",
        "import_sources": "ImportSourcesLogGroupArn",
    }
    for path in POLICIES:
        (log,) = (s for s in document(path)["Statement"] if s["Sid"] == "Log")
        assert log["Resource"] == [
            {"Fn::ImportValue": {"Fn::Sub": "openbooking-${Stage}-" + own[path.stem.removeprefix("policy-")]}}
        ]


def test_only_stream_handlers_write_feeds() -> None:
    for path in POLICIES:
        writes = any(
            "dynamodb:PutItem" in statement["Action"] and "FeedsTableArn" in str(statement)
            for statement in document(path)["Statement"]
        )
        assert writes == ("_stream" in path.stem)


def test_only_the_api_may_use_the_key_and_only_for_what_the_vault_seals() -> None:
    for path in POLICIES:
        uses = [s for s in document(path)["Statement"] if any(a.startswith("kms:") for a in s["Action"])]
        if path.stem != "policy-api_handler":
            assert uses == []
            continue
        (use,) = uses
        assert use["Action"] == ["kms:Decrypt", "kms:Encrypt"]
        assert use["Condition"] == {
            "StringEquals": {f"kms:EncryptionContext:{name}": value for name, value in vault._CONTEXT.items()}
        }
        resolved = templates.resolve(use, "dev", EXPORTS)
        assert resolved["Resource"] == [EXPORTS["openbooking-dev-SigningKeyArn"]]
        assert resolved["Condition"] == use["Condition"]


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_each_stage_starts_with_what_it_is_told_and_prod_not_without_the_key(stage: str) -> None:
    config = document(ROOT / ".chalice" / "config.json")
    variables = config["stages"][stage]["environment_variables"]
    exports = {name.replace("-dev-", f"-{stage}-"): value for name, value in EXPORTS.items()}
    told = templates.environment(stage, exports)
    assert told == {"SIGNING_KMS_KEY": exports[f"openbooking-{stage}-SigningKeyArn"]}
    settings = read_settings(variables | told)
    assert settings.signing_kms_key
    assert settings.production == (stage == "prod")
    if settings.production:
        with pytest.raises(SettingsError, match="SIGNING_KMS_KEY"):
            read_settings(variables)


def test_all_functions_are_told_the_same_of_the_data_stack() -> None:
    # Streams and sweep sign nothing, but they read the same settings, which are refused without the key.
    resources = document(templates.GATEWAY)["Resources"]
    for name in ("APIHandler", "OrdersStream", "InventoryStream", "LeaseSweep", "ImportSources"):
        told = resources[name]["Properties"]["Environment"]["Variables"]
        assert templates.resolve(told, "dev", EXPORTS) == templates.environment("dev", EXPORTS)


def test_stages_on_aws_refuse_development_headers_and_own_their_tables() -> None:
    config = document(ROOT / ".chalice" / "config.json")
    assert config["autogen_policy"] is False
    assert set(config["stages"]) == {"dev", "prod"}
    for stage, settings in config["stages"].items():
        variables = settings["environment_variables"]
        assert variables["AUTHENTICATION"] == "openid"
        assert int(variables["RATE_LIMIT"]) > 0
        assert variables["TABLE_PREFIX"] == f"openbooking-{stage}"
        assert settings["api_gateway_stage"] == stage


def test_every_function_has_its_own_policy_and_the_api_ends_before_its_gateway() -> None:
    functions = document(ROOT / ".chalice" / "config.json")["lambda_functions"]
    assert functions.keys() == FUNCTIONS
    for name, settings in functions.items():
        assert settings["iam_policy_file"] == f"policy-{name}.json"
    # API Gateway waits 29 seconds.
    assert functions["api_handler"]["lambda_timeout"] < 29


def test_requirements_are_pinned_exactly() -> None:
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        assert not line or line.startswith("#") or line.count("==") == 1


# --- what the gateway says itself -----------------------------------------------------------


def error_classes(base: type[errors.OpenBookingError] = errors.OpenBookingError) -> set[Any]:
    return {base}.union(*(error_classes(sub) for sub in base.__subclasses__()))


@pytest.mark.parametrize("response", templates.gateway_responses(), ids=lambda r: r.response_type)
def test_gateway_answers_are_open_booking_errors(response: GatewayResponse) -> None:
    body = json.loads(response.template)
    assert response.headers["Content-Type"] == "application/vnd.openactive.booking+json; version=1"
    assert body["@context"] == "https://openactive.io/"
    assert body["statusCode"] == response.status
    assert body["description"]
    assert (body["@type"], body["name"], response.status) in {
        (error.term, error.name, error.status) for error in error_classes()
    }


def test_the_gateway_has_an_answer_of_ours_in_every_case() -> None:
    model = Loader().load_service_model("apigateway", "service-2")
    assert {response.response_type for response in templates.gateway_responses()} == set(
        model["shapes"]["GatewayResponseType"]["enum"]
    )


def test_whoever_is_throttled_is_told_when_to_come_back() -> None:
    throttled = [r for r in templates.gateway_responses() if r.status == 429]
    assert len(throttled) == 2
    for response in throttled:
        assert int(response.headers["Retry-After"]) > 0
        errors_seen.note(response.status, json.loads(response.template))


# --- what the gateway lets through ----------------------------------------------------------

# What anybody may read at any time, and keep.
PUBLIC = {"/auth/.well-known/openid-configuration", "/auth/jwks"}


def test_login_tokens_and_registration_are_throttled_more_tightly_than_all_else() -> None:
    general, *tight = templates.throttles()
    assert (general.path, general.verb) == ("*", "*")
    named = {("/" + throttle.path.replace("~1", "/").strip("/"), throttle.verb) for throttle in tight}
    assert {path for path, _ in named} == {
        path for path in app.app.routes if path.startswith("/auth/")
    } - PUBLIC
    for path, verb in named:
        assert verb in app.app.routes[path], "a throttle on a method that is not there stops nothing"
    assert {verb for path, verb in named if path == "/auth/authorize"} == {"GET", "HEAD", "POST"}
    for throttle in tight:
        assert 0 < throttle.rate < general.rate / 10
        assert throttle.rate <= throttle.burst < general.burst


# --- how streams are followed ----------------------------------------------------------------


def test_only_the_age_of_a_record_ends_its_retries() -> None:
    """The handlers park what can never be handled; a busy store or a broken deployment loses nothing."""
    wanted = templates.stream_mappings("dev", EXPORTS)
    assert wanted.keys() == {"orders_stream", "inventory_stream"}
    for mapping in wanted.values():
        assert mapping.report_item_failures
        assert mapping.bisect
        assert (mapping.retries, mapping.longest) == (-1, 24 * 60 * 60)
        assert mapping.failures_arn == EXPORTS["openbooking-dev-StreamFailuresQueueArn"]
    assert wanted["orders_stream"].stream_arn != wanted["inventory_stream"].stream_arn


def test_what_no_stack_exports_cannot_be_imported() -> None:
    wanted = {"Fn::ImportValue": {"Fn::Sub": "openbooking-${Stage}-Nothing"}}
    with pytest.raises(templates.UnknownExportError):
        templates.resolve(wanted, "dev", EXPORTS)
