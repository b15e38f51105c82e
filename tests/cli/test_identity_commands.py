"""The operator's commands as they are typed, on moto, and on a stage of an imitation of AWS."""

from __future__ import annotations

import base64
import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from typer.testing import CliRunner

from chalicelib.identity.callers import API_KEY_HEADER, ApiKeys
from chalicelib.identity.entries import AuthorisationCode, Login, Partner
from chalicelib.identity.keys import SigningKeys
from chalicelib.runtime.settings import Settings, read_settings, rules_in
from chalicelib.storage.vault import KmsVault
from openbooking.cli.main import app
from openbooking.cli.terminal import attached
from openbooking.deployment import project
from openbooking.deployment.project import Place
from openbooking.local.discovery import StackAddress, announce
from openbooking.local.embedded import EmbeddedEngine
from openbooking.local.stack import TABLE_PREFIX, environment_variables
from tests.support.engines import REGION
from tests.support.terminal import Terminal

PASSWORD = "sturdy umbrella kettle"
SELLER = "https://base.invalid/api/identifiers/sellers/1"


def value(output: str, name: str) -> str:
    match = re.search(rf"^{name}: +(\S+)$", output, re.MULTILINE)
    assert match is not None, output
    return match[1]


def test_the_credentials_that_are_shown_work(terminal: Terminal) -> None:
    output = terminal.says("partners", "add", "Broker Ltd", "--redirect-uri", "https://broker.example/cb")
    partner_id, secret = value(output, "client id"), value(output, "client secret")
    system = terminal.system
    partner = system.credentials.partner(partner_id)
    assert partner is not None
    assert system.credentials.has_secret(partner, secret)
    assert "Save it now" in output
    new = value(terminal.says("partners", "rotate-secret", partner_id, "--keep-old", "0"), "client secret")
    partner = system.credentials.partner(partner_id)
    assert partner is not None
    assert (system.credentials.has_secret(partner, secret), system.credentials.has_secret(partner, new)) == (
        False,
        True,
    )


def test_secrets_are_never_listed(terminal: Terminal) -> None:
    output = terminal.says("partners", "add", "Broker Ltd", "--id", "broker")
    secrets = [
        value(output, "client secret"),
        value(terminal.says("partners", "api-key", "broker", "--seller", "1"), "API key"),
        value(terminal.says("partners", "invite"), "initial access token"),
    ]
    listed = "".join(
        terminal.says(*command.split())
        for command in (
            "partners list", "partners show broker", "partners show broker --json", "partners api-keys broker",
            "partners invitations", "sellers list", "logins list", "tokens list", "tokens keys", "audit",
        )
    )  # fmt: skip
    assert not any(secret in listed for secret in secrets)


def test_an_api_key_that_is_shown_works_until_it_is_revoked(terminal: Terminal) -> None:
    terminal.says("partners", "add", "Broker Ltd", "--id", "broker")
    key = value(terminal.says("partners", "api-key", "broker", "--seller", "1", "--days", "7"), "API key")
    system = terminal.system
    caller = ApiKeys(system.register, system.clock).identify({API_KEY_HEADER: key}, "")
    assert caller is not None
    assert (caller.partner_id, caller.seller_id) == ("broker", SELLER)
    (row,) = terminal.rows("partners", "api-keys", "broker")
    assert "five minutes" in terminal.says("partners", "revoke-api-key", row["key"])
    assert "The partner has no API keys." in terminal.says("partners", "api-keys", "broker")


def test_an_invitation_that_is_shown_works_until_it_is_withdrawn(terminal: Terminal) -> None:
    output = terminal.says("partners", "invite", "--note", "Broker Ltd", "--uses", "2", "--days", "1")
    token = value(output, "initial access token")
    invitation = terminal.system.credentials.invitation(token)
    assert invitation is not None
    assert (invitation.note, invitation.uses_left) == ("Broker Ltd", 2)
    (row,) = terminal.rows("partners", "invitations")
    assert "withdrawn" in terminal.says("partners", "uninvite", row["invitation"])
    assert terminal.system.credentials.invitation(token) is None


def test_a_partner_is_suspended_resumed_and_revoked(terminal: Terminal) -> None:
    terminal.says("partners", "add", "Broker Ltd", "--id", "broker", "--seller", "1")
    assert "is suspended" in terminal.says("partners", "suspend", "broker")
    assert "already" not in terminal.refuses("partners", "suspend", "broker")
    assert "active again" in terminal.says("partners", "resume", "broker")
    assert "authorisations: 1" in terminal.says("partners", "revoke", "broker")
    assert "rotate-secret" in terminal.says("partners", "resume", "broker")
    (row,) = terminal.rows("partners", "list")
    assert (row["state"], row["sellers"]) == ("without a secret", [])


def test_a_seller_comes_from_options_and_a_file(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "seller.json"
    file.write_text(json.dumps({"name": "From the file", "taxMode": "https://openactive.io/TaxNet"}))
    output = terminal.says(
        "sellers", "add", "--from", str(file), "--id", "kings-mead", "--name", "Kings Mead"
    )
    assert "Seller kings-mead is added." in output
    assert "address.postalCode" in output
    seller = terminal.system.store.seller("https://base.invalid/api/identifiers/sellers/kings-mead")
    assert seller is not None
    assert (seller.document["name"], seller.tax_mode) == ("Kings Mead", "TaxNet")
    assert "already; use --replace" in terminal.refuses(
        "sellers", "add", "--from", str(file), "--id", "kings-mead"
    )
    assert "is replaced" in terminal.says(
        "sellers", "add", "--from", str(file), "--id", "kings-mead", "--replace"
    )
    assert "cannot be read" in terminal.refuses("sellers", "add", "--from", str(tmp_path / "none.json"))
    shown = json.loads(terminal.says("sellers", "show", "kings-mead", "--json"))
    assert (shown["bookable"], shown["tax"], shown["access"]) == (False, "TaxNet", [])
    assert "address.postalCode" in shown["missing"] and "address" in shown["why_not_bookable"]
    [listed] = [row for row in terminal.rows("sellers", "list") if row["id"] == "kings-mead"]
    assert (listed["bookable"], listed["missing"]) == (False, shown["missing"])
    details = {"name": "Kings Mead", "taxMode": "net", "address": {"postalCode": "BS4 3QQ"}}
    file.write_text(json.dumps(details))
    replacing = ("sellers", "add", "--from", str(file), "--id", "kings-mead", "--replace")
    terminal.says(*replacing, "--access", "code", "--access", "barcode")
    terminal.says(*replacing)
    assert "access:            code, barcode" in terminal.says("sellers", "show", "kings-mead")
    assert "gross" in terminal.refuses("sellers", "add", "--id", "x", "--name", "X", "--tax-mode", "both")


def test_an_operator_allows_and_revokes(terminal: Terminal) -> None:
    terminal.says("partners", "add", "Broker Ltd", "--id", "broker")
    assert "broker may act for 1: openactive-openbooking." in terminal.says(
        "sellers", "authorise", "1", "broker", "--scope", "openactive-openbooking"
    )
    assert [row["partners"] for row in terminal.rows("sellers", "list")] == [["broker"], []]
    assert "1 no longer allows booking partner broker." in terminal.says("sellers", "revoke", "1", "broker")
    assert "does not allow" in terminal.refuses("sellers", "revoke", "1", "broker")
    assert "allows no booking partner" in terminal.refuses("sellers", "revoke", "1")
    assert "suspended" in terminal.says("sellers", "suspend", "1")
    assert not terminal.system.consent.may_be_acted_for(SELLER)
    assert "active again" in terminal.says("sellers", "resume", "1")
    shown = terminal.says("partners", "show", "broker")
    assert "acts alone for:     1" in shown


def test_a_password_is_asked_for_twice_and_works(terminal: Terminal) -> None:
    output = terminal.says("logins", "add", "alex@kings.example", "--seller", "1", typed=f"{PASSWORD}\n" * 2)
    assert PASSWORD not in output
    assert sign_in(terminal, PASSWORD).seller_ids == (SELLER,)
    output = terminal.says(
        "logins", "set-password", "alex@kings.example", typed="another sturdy kettle\n" * 2
    )
    assert "has a new password" in output
    sign_in(terminal, "another sturdy kettle")


def test_a_generated_password_works(terminal: Terminal) -> None:
    output = terminal.says("logins", "add", "alex@kings.example", "--seller", "1", "--generate")
    sign_in(terminal, value(output, "password"))
    output = terminal.says("logins", "set-password", "alex@kings.example", "--generate")
    sign_in(terminal, value(output, "password"))


def sign_in(terminal: Terminal, password: str) -> Login:
    return terminal.system.logins.sign_in("alex@kings.example", password, "192.0.2.1")


def test_a_login_is_changed_and_removed(terminal: Terminal) -> None:
    terminal.says("logins", "add", "alex", "--seller", "1", "--generate")
    terminal.says("logins", "allow", "alex", "2")
    terminal.says("logins", "disallow", "alex", "1")
    (row,) = terminal.rows("logins", "list")
    assert (row["username"], row["sellers"], row["state"]) == ("alex", ["2"], "active")
    terminal.says("logins", "suspend", "alex")
    terminal.says("logins", "resume", "alex")
    terminal.says("logins", "remove", "alex")
    assert "There are no logins." in terminal.says("logins", "list")
    output = terminal.says("audit", "--json")
    assert row["id"] in output
    assert "alex" not in output


def test_what_makes_no_sense_is_one_sentence_and_nothing_is_changed(terminal: Terminal) -> None:
    for said, *command in (
        ("There is no booking partner 'x'", "partners", "show", "x"),
        ("There is no booking partner 'x'", "partners", "rotate-secret", "x"),
        ("There is no booking partner 'x'", "sellers", "authorise", "1", "x"),
        ("There is no Seller 'x'", "sellers", "suspend", "x"),
        ("There is no Seller 'x'", "logins", "add", "sam", "--seller", "x", "--generate"),
        ("There is no login 'x'", "logins", "remove", "x"),
        ("There is no login 'x'", "logins", "set-password", "x"),
        ("Which?", "tokens", "revoke"),
        ("There is no grant 'x'", "tokens", "revoke", "x"),
        ("There is no signing key 'x'", "tokens", "forget-key", "x", "--yes"),
        ("at least 6", "partners", "uninvite", "x"),
        ("not a month", "audit", "--month", "May"),
        ("not the cursor", "audit", "--after", "x"),
    ):
        assert said in terminal.refuses(*command)


def test_a_bad_password_is_refused_and_there_is_no_login(terminal: Terminal) -> None:
    assert (
        "12 to 200" in terminal.refuses("logins", "add", "sam", "--seller", "1", typed="short\nshort\n")[-60:]
    )
    assert terminal.rows("logins", "list") == []


def test_a_password_is_asked_for_only_where_the_login_can_be_added(terminal: Terminal) -> None:
    terminal.says("logins", "add", "alex", "--seller", "1", "--generate")
    for said, *login in (
        (f"There is no Seller 'x': see {terminal.pasteable('sellers list')}.", "sam", "--seller", "x"),
        ("There is a login 'ALEX' already.", "ALEX", "--seller", "1"),
        ("A user name has", " ", "--seller", "1"),
    ):
        # One sentence is all: no password was asked for.
        assert terminal.refuses("logins", "add", *login).startswith(said)


def test_names_that_strangers_chose_do_not_move_the_cursor(terminal: Terminal) -> None:
    register = terminal.system.register
    register.save(Partner("p", "\x1b[2J[bold]Broker[/bold]\n", datetime.now(UTC)))
    for command in ("list", "show p"):
        output = terminal.says("partners", *command.split())
        assert "?[2J[bold]Broker[/bold]?" in output


def test_refresh_tokens_are_listed_and_ended(terminal: Terminal) -> None:
    terminal.says("partners", "add", "Broker Ltd", "--id", "broker", "--seller", "1")
    system = terminal.system
    given = system.consent.authorisation("broker", SELLER)
    assert given is not None
    now = system.clock()
    code = AuthorisationCode(
        "digest", "broker", SELLER, given.id, given.scopes, "", "", None, now, now + timedelta(minutes=2), "grant-1"
    )  # fmt: skip
    token = system.grants.open(code)
    assert [row["grant"] for row in terminal.rows("tokens", "list")] == ["grant-1"]
    assert "Revoked: 1." in terminal.says("tokens", "revoke", "--partner", "broker")
    assert system.grants.find(token, "broker") is None
    assert "Revoked: 0." in terminal.says("tokens", "revoke", "--seller", "1")
    assert "There are no refresh tokens." in terminal.says("tokens", "list")


def test_keys_are_rotated_and_forgotten_after_a_question(terminal: Terminal) -> None:
    assert "There are no signing keys yet" in terminal.says("tokens", "keys")
    first = terminal.says("tokens", "rotate-keys").split()[1]
    second = terminal.says("tokens", "rotate-keys", "--at-once").split()[1]
    assert [row["key"] for row in terminal.rows("tokens", "keys")] == [first, second]
    asked = terminal.run("tokens", "forget-key", first, typed="n\n")
    assert (asked.exit_code, asked.stderr.splitlines()[1:]) == (1, ["Nothing was changed."])
    assert "The key is removed." in terminal.says("tokens", "forget-key", first, typed="y\n")
    assert "The key is removed." in terminal.says("tokens", "forget-key", second, "--yes")
    assert terminal.rows("tokens", "keys") == []


def test_forgetting_is_asked_about_only_where_there_is_such_a_key(terminal: Terminal) -> None:
    first = terminal.says("tokens", "rotate-keys").split()[1]
    second = terminal.says("tokens", "rotate-keys", "--at-once").split()[1]
    said = terminal.refuses("tokens", "forget-key", "x")
    assert said == f"There is no signing key 'x': see {terminal.pasteable('tokens keys')}."
    warned = [
        "This key is in use" in terminal.run("tokens", "forget-key", key, typed="n\n").output
        for key in (first, second)
    ]
    assert warned == [False, True]
    assert len(terminal.rows("tokens", "keys")) == 2


def test_each_change_is_one_entry_of_the_journal_with_its_user(terminal: Terminal) -> None:
    terminal.says("partners", "add", "Broker Ltd", "--id", "broker", "--by", "kim")
    with environment_variables(dict.fromkeys(("LOGNAME", "USER", "LNAME", "USERNAME"), "robin")):
        terminal.says("sellers", "authorise", "1", "broker")
    assert terminal.journal() == [("partner added", "kim"), ("partner authorised", "robin")]
    shown = json.loads(terminal.says("audit", "--month", f"{datetime.now(UTC):%Y-%m}", "--json"))
    assert [row["ids"][0] for row in shown["rows"]] == ["partner broker"] * 2
    assert shown["rows"][0]["from"] == "command line"
    assert "No entries." in terminal.says("audit", "--month", "2020-01")


def test_the_journal_is_searched_and_paged(terminal: Terminal) -> None:
    for number in range(3):
        terminal.says("partners", "add", "Broker Ltd", "--id", f"broker-{number}", "--by", "kim")
    terminal.says("sellers", "authorise", "1", "broker-1", "--by", "robin")

    def found(*options: str) -> list[tuple[str, list[str]]]:
        entries = json.loads(terminal.says("audit", "--json", *options))["rows"]
        return [(row["what"], row["ids"]) for row in entries]

    authorised = ("partner authorised", ["partner broker-1", "seller 1"])
    assert found("--partner", "broker-1") == [authorised, ("partner added", ["partner broker-1"])]
    assert found("--seller", "1") == found("--who", "robin") == found("--action", "AUTHOR") == [authorised]
    assert len(found("--who", "kim")) == 3
    assert found("--partner", "broker-1", "--who", "kim") == [("partner added", ["partner broker-1"])]
    pages, after = [], ""
    while True:
        page = json.loads(terminal.says("audit", "--json", "--limit", "1", "--after", after))
        pages += page["rows"]
        if not (after := page["next"]):
            break
    assert [row["ids"][0] for row in pages] == [f"partner broker-{number}" for number in (1, 2, 1, 0)]
    assert "--after" in terminal.run("audit", "--limit", "1").stderr


def test_the_running_local_stack_is_found_and_ids_are_shown_as_its_feeds_have_them(
    terminal: Terminal, engine: EmbeddedEngine, tmp_path: Path
) -> None:
    announce(StackAddress(engine.url, engine.url, TABLE_PREFIX, os.getpid()), tmp_path)
    found = Terminal(terminal.system, [])
    url = f"{engine.url}/api/identifiers/sellers"
    assert [row["id"] for row in found.rows("sellers", "list")] == [f"{url}/1", f"{url}/2"]
    found.says("sellers", "suspend", f"{url}/1")
    assert [row["state"] for row in terminal.rows("sellers", "list")] == ["suspended", "active"]


@pytest.mark.parametrize("named", [False, True])
def test_a_command_follows_the_rules_of_the_server_and_not_of_its_shell(
    engine: EmbeddedEngine, tmp_path: Path, named: bool
) -> None:
    rules = rules_in({"LEASE_SECONDS": "10", "NAMED_LEASING": "false"})
    announce(StackAddress(engine.url, engine.url, TABLE_PREFIX, os.getpid(), rules), tmp_path)
    shell = {"OPENBOOKING_STATE_DIRECTORY": str(tmp_path), "LEASE_SECONDS": "60", "LEASE_SPACES": "1"}
    with environment_variables(shell), attached(engine.url if named else None):
        settings = read_settings(os.environ)
    assert (settings.lease_seconds, settings.named_leasing) == (10, False)
    assert settings.lease_spaces == Settings().lease_spaces


def test_without_an_installation_a_command_says_so(tmp_path: Path, engine: EmbeddedEngine) -> None:
    with environment_variables({"OPENBOOKING_STATE_DIRECTORY": str(tmp_path), "DYNAMODB_URL": None}):
        for said, *options in (
            ("No local stack is running",),
            (
                "openbooking-local-identity at http://127.0.0.1:1 cannot",
                "--dynamodb-url",
                "http://127.0.0.1:1",
            ),
            ("not both", "--dynamodb-url", engine.url, "--stage", "dev"),
            ("is not the name of a stage", "--stage", "Dev_1"),
        ):
            result = CliRunner().invoke(app, ["partners", "list", *options])
            assert (result.exit_code, said in result.stderr, result.stdout) == (1, True, ""), result.output


def test_a_stack_is_not_searched_for_tables_of_another_name(
    terminal: Terminal, engine: EmbeddedEngine, tmp_path: Path
) -> None:
    announce(StackAddress(engine.url, engine.url, TABLE_PREFIX, os.getpid()), tmp_path)
    with environment_variables({"TABLE_PREFIX": "mine"}):
        output = Terminal(terminal.system, []).refuses("partners", "add", "Broker Ltd")
    assert "TABLE_PREFIX=mine contradicts the tables openbooking-local-*" in output


def test_on_a_named_engine_table_prefix_picks_the_tables(terminal: Terminal) -> None:
    with environment_variables({"TABLE_PREFIX": "mine"}):
        output = terminal.refuses("partners", "list")
    assert "There are no tables mine-* at http://127.0.0.1:" in output
    with environment_variables({"TABLE_PREFIX": "mine's"}):
        assert "TABLE_PREFIX=mine's cannot be used" in terminal.refuses("partners", "list")


# --- a stage on AWS ---------------------------------------------------------------------------


def test_a_stage_is_worked_on_in_the_name_of_the_credentials(stage: Terminal) -> None:
    output = stage.says("partners", "add", "Broker Ltd", "--id", "broker")
    partner = stage.system.credentials.partner("broker")
    assert partner is not None
    assert stage.system.credentials.has_secret(partner, value(output, "client secret"))
    (entry,) = stage.journal()
    assert entry[1].startswith("arn:aws:sts::123456789012:")


def test_a_stage_has_its_own_tables_whatever_table_prefix_says(stage: Terminal) -> None:
    with environment_variables({"TABLE_PREFIX": "openbooking-old"}):
        output = stage.refuses("partners", "add", "Broker Ltd")
    assert "TABLE_PREFIX=openbooking-old contradicts the tables openbooking-dev-*" in output


def test_a_key_made_for_a_stage_is_sealed_by_its_kms_key(stage: Terminal) -> None:
    stage.says("tokens", "rotate-keys")
    known = stage.system.register.find(SigningKeys, SigningKeys.key_of())
    assert known is not None
    assert b"PRIVATE KEY" not in base64.b64decode(known.keys[-1].sealed)
    kms = boto3.client("kms", region_name=REGION)
    (key,) = kms.list_keys()["Keys"]
    kms.close()
    assert b"PRIVATE KEY" in KmsVault(key["KeyArn"], REGION).unseal(known.keys[-1].sealed)


def test_a_stage_that_lacks_something_is_a_sentence(aws: None) -> None:
    for said, *command in (
        (
            "openbooking-none-* at eu-west-2: `make deploy STAGE=none` makes them",
            "partners",
            "list",
            "--stage",
            "none",
        ),
        ("The stack openbooking-old-data cannot be read", "tokens", "rotate-keys", "--stage", "old"),
    ):
        result = CliRunner().invoke(app, command)
        assert (result.exit_code, said in result.stderr, result.stdout) == (1, True, ""), result.output
    with environment_variables({"AWS_REGION": None, "AWS_DEFAULT_REGION": None}):
        result = CliRunner().invoke(app, ["partners", "list", "--stage", "dev"])
    assert (result.exit_code, "No region is set" in result.stderr) == (1, True), result.output


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (Place(account="210987654321"), "dev is in 210987654321, and they are of 123456789012"),
        (Place(region="eu-north-1"), f"dev is in eu-north-1, not in {REGION}: set AWS_REGION=eu-north-1"),
    ],
)
def test_a_stage_of_another_account_or_region_is_a_sentence(
    aws: None, monkeypatch: pytest.MonkeyPatch, place: Place, says: str
) -> None:
    monkeypatch.setattr(project, "place_of", lambda stage: place)
    result = CliRunner().invoke(app, ["partners", "list", "--stage", "dev"])
    assert (result.exit_code, says in result.stderr, result.stdout) == (1, True, ""), result.output
    assert "Tables:" not in result.stderr


def test_without_credentials_a_stage_is_refused(aws: None, tmp_path: Path) -> None:
    nothing = {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }
    with environment_variables(nothing):
        result = CliRunner().invoke(app, ["partners", "list", "--stage", "dev"])
    assert (result.exit_code, "credentials" in result.stderr) == (1, True), result.output
