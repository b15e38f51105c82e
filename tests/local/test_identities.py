"""What an operator does, on an installation in memory: secrets that were shown work, what was ended does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.parties import AccessMethod
from chalicelib.identity.register import ApiKey, JournalEntry, Login, Partner, RecordChanged
from chalicelib.runtime.system import install
from chalicelib.storage.errors import StillBusy, StoreBusy
from chalicelib.storage.identities import Record
from openbooking.identities import logins, partners, sellers, tokens
from openbooking.identities.desk import Desk, Refused
from tests.support.memory import MemoryIdentities
from tests.support.oauth import CALLBACK, CHEAP, SCOPE, Browser, Client, add_login, register
from tests.support.world import API, Answer, Bookable, Broker, World, outer, seller_id

SECRET = "sturdy umbrella kettle"
FEED = "openactive-ordersfeed"
BOOKING = "openactive-openbooking"


class Identities(MemoryIdentities):
    """Others may come before a write, or an answer be lost after it: once for each entry."""

    def __init__(self) -> None:
        super().__init__()
        self.before_saves: list[Callable[[], None]] = []
        self.after_saves: list[Callable[[], None]] = []

    def save(self, record: Record, *others: Record) -> Record:
        if self.before_saves:
            self.before_saves.pop(0)()
        saved = super().save(record, *others)
        if self.after_saves:
            self.after_saves.pop(0)()
        return saved


def busy() -> None:
    raise StoreBusy("lost")


@pytest.fixture
def identities() -> Identities:
    return Identities()


@pytest.fixture
def world(identities: Identities) -> Iterator[World]:
    made = World(identities=identities)
    made.set(authentication="openid,api-keys,headers")
    object.__setattr__(made.system.authority, "passwords", CHEAP)
    yield made
    install(None)


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world.system, by="kim", own_url="http://booking.example")


@pytest.fixture
def yoga(world: World) -> Bookable:
    return world.session()


def a_partner(desk: Desk, world: World, **options: Any) -> Client:
    partner, secret = partners.add(desk, "Broker Ltd", redirect_uris=[CALLBACK], **options)
    return Client(world, partner.id, secret)


def a_token(client: Client, scope: str = FEED) -> Answer:
    return client.tokens(grant_type="client_credentials", scope=scope)


def quote(world: World, yoga: Bookable, **headers: str) -> int:
    """C1 with these credentials alone; its status."""
    broker = Broker(world, partner=None, seller=None)
    path = f"{API}/order-quote-templates/10000000-0000-4000-8000-000000000001"
    body = broker.body("OrderQuote", yoga.item())
    return broker.send(
        "PUT", path, body, {name.replace("_", "-"): text for name, text in headers.items()}
    ).status


def feed(world: World, **headers: str) -> int:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Broker(world, partner=None, seller=None).send("GET", f"{API}/orders-rpde", headers=named).status


def done(desk: Desk) -> list[str]:
    return [entry["what"] for entry in desk.journal()]


# --- partners ---------------------------------------------------------------------------------


def test_the_secret_of_a_new_partner_works(desk: Desk, world: World) -> None:
    client = a_partner(desk, world)
    assert a_token(client).status == 200
    assert a_token(Client(world, client.id, client.secret + "x")).status == 401
    assert done(desk) == ["partner added"]


def test_a_new_partner_may_act_for_the_only_seller(desk: Desk, world: World, yoga: Bookable) -> None:
    client = a_partner(desk, world, own_id="till", seller="1")
    token = a_token(client, BOOKING).json["access_token"]
    assert client.id == "till"
    assert quote(world, yoga, Authorization=f"Bearer {token}") == 200
    assert done(desk) == ["partner added"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (" ", {}, "needs a name"),
        ("B", {"own_id": "a b"}, "An id is made of"),
        ("B", {"own_id": ""}, "An id is made of"),
        ("B", {"redirect_uris": ["http://broker.example/cb"]}, "must be an https URL"),
        ("B", {"redirect_uris": ["https://[broken"]}, "must be an https URL"),
        ("B", {"url": "javascript:alert(1)"}, "not an http or https URL"),
        ("B", {"seller": "9"}, "no Seller '9'"),
        ("B", {"own_id": "taken"}, "taken already"),
    ],
)
def test_a_partner_that_makes_no_sense_is_refused_and_nothing_is_written(
    desk: Desk, name: str, options: dict[str, Any], said: str
) -> None:
    partners.add(desk, "First", own_id="taken")
    before = [partner.id for partner in desk.all(Partner)]
    with pytest.raises(Refused, match=said):
        partners.add(desk, name, **options)
    assert [partner.id for partner in desk.all(Partner)] == before
    assert done(desk) == ["partner added"]


def test_a_suspended_partner_gets_no_tokens_until_it_is_resumed(desk: Desk, world: World) -> None:
    client = a_partner(desk, world)
    partners.suspend(desk, client.id)
    assert a_token(client).status == 401
    with pytest.raises(Refused, match="is suspended"):
        partners.suspend(desk, client.id)
    partners.resume(desk, client.id)
    assert a_token(client).status == 200
    with pytest.raises(Refused, match="is not suspended"):
        partners.resume(desk, client.id)


def test_after_a_rotation_the_old_secret_is_good_for_the_hours_that_were_said(
    desk: Desk, world: World
) -> None:
    """AUTH-05."""
    old = a_partner(desk, world)
    new = Client(world, old.id, partners.rotate_secret(desk, old.id, keep_old=timedelta(hours=24)))
    assert (a_token(old).status, a_token(new).status) == (200, 200)
    world.clock.advance(hours=24)
    assert (a_token(old).status, a_token(new).status) == (401, 200)


def test_a_rotation_may_end_the_old_secret_at_once(desk: Desk, world: World) -> None:
    old = a_partner(desk, world)
    new = Client(world, old.id, partners.rotate_secret(desk, old.id, keep_old=timedelta()))
    assert (a_token(old).status, a_token(new).status) == (401, 200)


def test_of_many_rotations_the_last_two_secrets_are_good(desk: Desk, world: World) -> None:
    first = a_partner(desk, world)
    later = [
        Client(world, first.id, partners.rotate_secret(desk, first.id, keep_old=timedelta(hours=24)))
        for _ in range(3)
    ]
    assert [a_token(client).status for client in (first, *later)] == [401, 401, 200, 200]
    partner = desk.partner(first.id)
    assert len(partner.secrets) == 2
    world.clock.advance(hours=12)
    partners.rotate_secret(desk, first.id, keep_old=timedelta(hours=24))
    assert a_token(later[-2]).status == 401


def test_a_later_rotation_does_not_lengthen_the_life_of_an_old_secret(desk: Desk, world: World) -> None:
    client = a_partner(desk, world)
    ends_at = world.clock.now + timedelta(hours=1)
    desk.change(
        desk.partner(client.id),
        lambda found: replace(found, secrets=(replace(found.secrets[0], ends_at=ends_at),)),
    )
    partners.rotate_secret(desk, client.id, keep_old=timedelta(hours=24))
    assert [each.ends_at for each in desk.partner(client.id).secrets] == [ends_at, None]


def test_a_revoked_partner_has_nothing_left_and_its_orders_stay(
    desk: Desk, world: World, yoga: Bookable
) -> None:
    client = a_partner(desk, world)
    add_login(world.system.authority)
    refresh_token = client.authorised()["refresh_token"]
    key = partners.make_key(desk, client.id, seller="2")
    booked = Broker(world, partner=client.id).b("10000000-0000-4000-8000-000000000001", yoga.item())
    ended = partners.revoke(desk, client.id)
    assert booked.status == 201
    assert ended == {"authorisations": 2, "API keys": 1, "refresh tokens": 1}
    assert a_token(client).status == client.refresh(refresh_token).status == 401
    assert feed(world, X_API_Key=key) == 401
    assert partners.listed(desk)[0]["sellers"] == []
    assert world.order("10000000-0000-4000-8000-000000000001", client.id) is not None


def test_a_revoked_partner_can_come_back_with_a_new_secret_under_its_id(desk: Desk, world: World) -> None:
    """AUTH-05."""
    client = a_partner(desk, world)
    partners.revoke(desk, client.id)
    assert partners.resume(desk, client.id).secrets == ()
    assert partners.listed(desk)[0]["state"] == "without a secret"
    back = Client(world, client.id, partners.rotate_secret(desk, client.id, keep_old=timedelta(hours=24)))
    assert (a_token(client).status, a_token(back).status) == (401, 200)


def test_partners_are_shown_with_what_sellers_allow_and_without_secrets(desk: Desk, world: World) -> None:
    client = a_partner(desk, world, seller="1")
    sellers.revoke(desk, "1", client.id)
    partners.make_key(desk, client.id, seller="2", note="till")
    shown = partners.shown(desk, client.id)
    (listed,) = partners.listed(desk)
    assert listed["sellers"] == [outer(seller_id(2))]
    assert [(each["seller"], each["revoked"]) for each in shown["allowed_by"]] == [
        (outer(seller_id(1)), world.clock.now),
        (outer(seller_id(2)), None),
    ]
    assert shown["api_keys"] == 1
    told = json.dumps([shown, listed], default=str)
    assert client.secret not in told
    assert desk.partner(client.id).secrets[0].digest not in told


# --- API keys ---------------------------------------------------------------------------------


def test_an_api_key_works_for_its_seller_until_it_is_revoked(
    desk: Desk, world: World, yoga: Bookable
) -> None:
    client = a_partner(desk, world)
    key = partners.make_key(desk, client.id, seller=outer(seller_id(1)), note="till")
    assert quote(world, yoga, X_API_Key=key) == 200
    (listed,) = partners.keys_listed(desk, client.id)
    assert (listed["seller"], listed["note"], listed["ends"]) == (outer(seller_id(1)), "till", None)
    partners.revoke_key(desk, listed["key"])
    world.clock.advance(minutes=5)
    assert quote(world, yoga, X_API_Key=key) == 401
    assert done(desk) == ["partner added", "API key made", "API key revoked"]


def test_an_api_key_ends_after_its_days(desk: Desk, world: World) -> None:
    client = a_partner(desk, world)
    key = partners.make_key(desk, client.id, days=7)
    assert feed(world, X_API_Key=key) == 200
    world.clock.advance(days=7)
    assert feed(world, X_API_Key=key) == 401
    assert partners.keys_listed(desk, client.id) == []


@pytest.mark.parametrize("given_anew", [False, True])
def test_an_api_key_ends_with_what_its_seller_allowed_but_still_reads_the_feed(
    desk: Desk, world: World, yoga: Bookable, given_anew: bool
) -> None:
    """AUTH-03, OFEED-15: the partner has to see there what has ended."""
    client = a_partner(desk, world)
    key = partners.make_key(desk, client.id, seller="1")
    sellers.revoke(desk, "1", client.id)
    if given_anew:
        sellers.authorise(desk, "1", client.id)
    assert quote(world, yoga, X_API_Key=key) == 401
    assert feed(world, X_API_Key=key) == 200


def test_the_api_key_of_a_suspended_seller_rests(desk: Desk, world: World, yoga: Bookable) -> None:
    key = partners.make_key(desk, a_partner(desk, world).id, seller="1")
    sellers.suspend(desk, "1")
    assert quote(world, yoga, X_API_Key=key) == 401
    sellers.resume(desk, "1")
    world.clock.advance(minutes=5)
    assert quote(world, yoga, X_API_Key=key) == 200


def test_a_key_that_hangs_on_no_authorisation_ends_with_whichever_there_is(
    desk: Desk, world: World, yoga: Bookable
) -> None:
    key = partners.make_key(desk, a_partner(desk, world).id, seller="1")
    (entry,) = desk.all(ApiKey)
    desk.change(entry, lambda found: replace(found, authorisation_id=None))
    assert quote(world, yoga, X_API_Key=key) == 200
    sellers.revoke(desk, "1")
    world.clock.advance(minutes=5)
    assert quote(world, yoga, X_API_Key=key) == 401


def test_the_beginning_of_a_key_must_be_long_enough_and_fit_one(desk: Desk) -> None:
    client_id = partners.add(desk, "B")[0].id
    for number in range(2):
        desk.add(ApiKey(f"abcdef{number}", client_id, None, desk.now()), taken="")
    for prefix, said in (
        ("abcde", "at least 6"),
        ("abcdef", "2 API keys begin"),
        ("abcdee", "No API keys begin"),
    ):
        with pytest.raises(Refused, match=said):
            partners.revoke_key(desk, prefix)
    partners.revoke_key(desk, "ABCDEF1")
    assert [key.digest for key in desk.all(ApiKey)] == ["abcdef0"]


# --- invitations ------------------------------------------------------------------------------


def test_an_invitation_lets_so_many_register_as_was_said(desk: Desk, world: World) -> None:
    token = partners.invite(desk, note="Broker Ltd", uses=2)
    assert [register(world, token).status for _ in range(3)] == [201, 201, 401]
    assert partners.invitations_listed(desk) == []


def test_an_invitation_ends_after_its_days(desk: Desk, world: World) -> None:
    token = partners.invite(desk, days=14)
    world.clock.advance(days=14)
    assert register(world, token).status == 401
    assert partners.invitations_listed(desk) == []


def test_an_invitation_can_be_withdrawn(desk: Desk, world: World) -> None:
    token = partners.invite(desk, note="Broker Ltd")
    (listed,) = partners.invitations_listed(desk)
    assert (listed["note"], listed["uses_left"]) == ("Broker Ltd", 1)
    partners.uninvite(desk, listed["invitation"])
    assert register(world, token).status == 401
    assert done(desk) == ["invitation made", "invitation withdrawn"]


# --- sellers ----------------------------------------------------------------------------------

A_SELLER = {"@id": "kings-mead", "name": "Kings Mead", "taxMode": "gross"}
ADDRESS = {
    "streetAddress": "1 Mead Lane",
    "addressLocality": "Oxford",
    "addressRegion": "Oxfordshire",
    "postalCode": "OX1 1AA",
    "addressCountry": "GB",
}


def test_a_seller_is_added_with_what_its_receipts_lack(desk: Desk, world: World) -> None:
    seller, lacking = sellers.add(desk, A_SELLER)
    assert seller.id == "https://base.invalid/api/identifiers/sellers/kings-mead"
    assert world.store.seller(seller.id) == seller
    assert seller.tax_rate is not None
    assert str(seller.tax_rate.rate) == "0.20"
    assert seller.document == {
        "@type": "Organization",
        "@id": seller.id,
        "name": "Kings Mead",
        "legalName": "Kings Mead",
        "taxMode": "https://openactive.io/TaxGross",
    }
    assert lacking == [f"address.{term}" for term in ADDRESS]


def test_a_seller_as_feeds_have_it_is_taken_with_its_own_id(desk: Desk) -> None:
    document = {
        "@type": "Person",
        "@id": "https://kings.example/sellers/1",
        "name": "Kim King",
        "taxMode": "https://openactive.io/TaxNet",
        "address": {"@type": "PostalAddress", **ADDRESS},
        "isOpenBookingAllowed": False,
    }
    seller, lacking = sellers.add(desk, document, vat_rate="0")
    assert (seller.id, seller.tax_rate, seller.open_booking_allowed) == (document["@id"], None, False)
    assert lacking == []
    assert desk.seller("https://kings.example/sellers/1") == seller


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"@id": None}, "needs an id"),
        ({"@id": " "}, "needs an id"),
        ({"@id": "ftp://kings.example/1"}, "cannot be an id"),
        ({"@id": "kings mead"}, "cannot be an id"),
        ({"@id": "http://booking.example/other/1"}, "cannot be an id"),
        ({"name": None}, "needs a name"),
        ({"name": " "}, "needs a name"),
        ({"legalName": 7}, "legalName must be a text"),
        ({"address": "1 Mead Lane"}, "must be a PostalAddress"),
        ({"address": {"postalCode": 1}}, "must be a PostalAddress"),
        ({"@type": "Place"}, "an Organization or a Person"),
        ({"taxMode": "none"}, "gross .* or net"),
        ({"taxMode": None}, "gross .* or net"),
        ({"@id": "1"}, "sellers/1 already"),
        ({"@id": outer(seller_id(1))}, "sellers/1 already"),
    ],
)
def test_a_seller_that_makes_no_sense_is_refused(
    desk: Desk, world: World, changes: dict[str, Any], said: str
) -> None:
    before = world.store.sellers()
    with pytest.raises(Refused, match=said):
        sellers.add(desk, A_SELLER | changes)
    assert world.store.sellers() == before
    assert done(desk) == []


def test_a_rate_of_tax_that_is_no_fraction_is_refused(desk: Desk) -> None:
    with pytest.raises(Refused, match="fraction"):
        sellers.add(desk, A_SELLER, vat_rate="20")


@pytest.mark.parametrize("text", [None, "{", "[]", "\xff"])
def test_a_file_that_holds_no_seller_is_refused(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "seller.json"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused, match=r"seller\.json (cannot be read|must hold)"):
        sellers.read_file(path)


def test_a_seller_that_is_replaced_keeps_what_no_document_says(desk: Desk, world: World) -> None:
    seller = desk.seller("1")
    world.store.save_seller(replace(seller, access_methods=(AccessMethod.code,)))
    replaced, _ = sellers.add(desk, A_SELLER | {"@id": "1"}, replacing=True)
    assert replaced.access_methods == (AccessMethod.code,)
    assert desk.seller("1").document["name"] == "Kings Mead"


@pytest.mark.parametrize(
    "text",
    ["1", " 1 ", seller_id(1), outer(seller_id(1)), "https://elsewhere.example/api/identifiers/sellers/1"],
)
def test_a_seller_is_found_by_its_id_in_every_form_in_which_it_is_seen(desk: Desk, text: str) -> None:
    assert desk.seller(text).id == seller_id(1)


@pytest.mark.parametrize("text", ["", "9", "https://booking.example/", "x" * 3000, "/api/identifiers/"])
def test_what_is_no_seller_is_refused(desk: Desk, text: str) -> None:
    with pytest.raises(Refused, match="no Seller"):
        desk.seller(text)


def test_without_a_known_url_ids_of_ours_are_shown_short(world: World) -> None:
    desk = Desk(world.system)
    assert [each["id"] for each in sellers.listed(desk)] == ["1", "2"]


def test_an_operator_allows_a_partner_and_ends_that_again(desk: Desk, world: World, yoga: Bookable) -> None:
    """AUTH-06, without a login."""
    client = a_partner(desk, world)
    assert a_token(client, BOOKING).status == 400
    sellers.authorise(desk, "1", client.id)
    token = a_token(client, BOOKING).json["access_token"]
    assert quote(world, yoga, Authorization=f"Bearer {token}") == 200
    assert sellers.listed(desk)[0]["partners"] == [client.id]
    (ended,) = sellers.revoke(desk, "1", client.id)
    assert (ended.partner_id, ended.seller_id) == (client.id, seller_id(1))
    assert a_token(client, BOOKING).status == 400
    assert a_token(client).status == 200
    with pytest.raises(Refused, match=f"sellers/1 does not allow booking partner {client.id}"):
        sellers.revoke(desk, "1", client.id)
    assert done(desk) == ["partner added", "partner authorised", "authorisation revoked"]


def test_a_partner_acts_without_a_login_for_one_seller(desk: Desk, world: World) -> None:
    client = a_partner(desk, world, seller="1")
    with pytest.raises(Refused, match="sellers/1 already"):
        sellers.authorise(desk, "2", client.id)
    with pytest.raises(Refused, match="everything is not a scope"):
        sellers.authorise(desk, "1", client.id, ["everything"])
    assert sellers.listed(desk)[1]["partners"] == []


def test_a_seller_revokes_all_its_partners_and_no_others(desk: Desk, world: World) -> None:
    first, second, other = (a_partner(desk, world, seller=each) for each in ("1", "1", "2"))
    assert {each.partner_id for each in sellers.revoke(desk, "1")} == {first.id, second.id}
    assert [a_token(each, BOOKING).status for each in (first, second, other)] == [400, 400, 200]
    with pytest.raises(Refused, match="sellers/1 allows no booking partner"):
        sellers.revoke(desk, "1")


def test_revoking_ends_refresh_tokens_also_where_it_is_allowed_anew(desk: Desk, world: World) -> None:
    client = a_partner(desk, world)
    add_login(world.system.authority)
    refresh_token = client.authorised()["refresh_token"]
    sellers.revoke(desk, "1", client.id)
    assert client.refresh(refresh_token).status == 400
    client.authorised()
    assert client.refresh(refresh_token).status == 400


def test_a_suspended_seller_is_not_acted_for_until_it_is_resumed(desk: Desk, world: World) -> None:
    client = a_partner(desk, world, seller="1")
    sellers.suspend(desk, "1")
    assert a_token(client, BOOKING).status == 400
    assert [each["state"] for each in sellers.listed(desk)] == ["suspended", "active"]
    with pytest.raises(Refused, match="is suspended"):
        sellers.suspend(desk, "1")
    sellers.resume(desk, "1")
    assert a_token(client, BOOKING).status == 200
    with pytest.raises(Refused, match="is not suspended"):
        sellers.resume(desk, "1")
    with pytest.raises(Refused, match="is not suspended"):
        sellers.resume(desk, "2")


# --- logins -----------------------------------------------------------------------------------


def sign_in(world: World, client: Client, username: str, password: str) -> int:
    browser = Browser(world)
    browser.begin(client, scope=SCOPE)
    return browser.sign_in(username, password).status


def test_a_new_login_works(desk: Desk, world: World) -> None:
    client = a_partner(desk, world)
    login = logins.add(desk, " Alex@kings.example ", ["1", "2", "1"], SECRET)
    assert login.seller_ids == (seller_id(1), seller_id(2))
    assert sign_in(world, client, "alex@kings.example", SECRET) == 200
    assert sign_in(world, client, "alex@kings.example", SECRET + "x") == 403


@pytest.mark.parametrize(
    ("username", "sellers_named", "said"),
    [
        (" ", ["1"], "user name"),
        ("a\x1b[2J", ["1"], "user name"),
        ("a" * 201, ["1"], "user name"),
        ("sam", [], "at least one Seller"),
        ("sam", ["1", "9"], "no Seller '9'"),
        ("ALEX", ["1"], "a login 'ALEX' already"),
    ],
)
def test_a_login_that_makes_no_sense_is_refused(
    desk: Desk, username: str, sellers_named: list[str], said: str
) -> None:
    logins.add(desk, "alex", ["1"], SECRET)
    with pytest.raises(Refused, match=said):
        logins.add(desk, username, sellers_named, SECRET)
    assert [login.username for login in desk.all(Login)] == ["alex"]


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "elevenchars",
        "x" * 201,
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "123456789012",
        "abcdefghijkl",
        "password1234",
        "Password!2026!",
        "p4ssw0rd!!!!",
        "qwertyuiop12",
        "correct horse battery staple",
        "alex@kings.example",
        "Alex@Kings.example1!",
        "openbooking2026",
    ],
)
def test_a_password_that_is_tried_first_is_refused(password: str) -> None:
    with pytest.raises(Refused):
        logins.check_password(password, "alex@kings.example")


@pytest.mark.parametrize(
    "password", [SECRET, "dGqg-zCIil9qo1AhokLF", "alex likes blue kettles", "Übergröße 7 €"]
)
def test_other_passwords_are_taken(password: str) -> None:
    logins.check_password(password, "alex@kings.example")


def test_a_password_can_be_set(desk: Desk, world: World) -> None:
    client = a_partner(desk, world)
    logins.add(desk, "alex", ["1"], SECRET)
    with pytest.raises(Refused, match="12 to 200"):
        logins.set_password(desk, "alex", "short")
    logins.set_password(desk, "ALEX", "another sturdy kettle")
    assert sign_in(world, client, "alex", SECRET) == 403
    assert sign_in(world, client, "alex", "another sturdy kettle") == 200


def test_a_login_speaks_for_the_sellers_it_is_allowed_to(desk: Desk) -> None:
    logins.add(desk, "alex", ["1"], SECRET)
    assert logins.allow(desk, "alex", "2").seller_ids == (seller_id(1), seller_id(2))
    with pytest.raises(Refused, match="sellers/2 already"):
        logins.allow(desk, "alex", "2")
    assert logins.disallow(desk, "alex", "1").seller_ids == (seller_id(2),)
    with pytest.raises(Refused, match="does not speak for"):
        logins.disallow(desk, "alex", "1")
    assert logins.listed(desk)[0]["sellers"] == [outer(seller_id(2))]


def test_a_suspended_login_cannot_be_used_until_it_is_resumed(desk: Desk, world: World) -> None:
    client = a_partner(desk, world)
    logins.add(desk, "alex", ["1"], SECRET)
    logins.suspend(desk, "alex")
    assert sign_in(world, client, "alex", SECRET) == 403
    with pytest.raises(Refused, match="is suspended"):
        logins.suspend(desk, "alex")
    logins.resume(desk, "alex")
    assert sign_in(world, client, "alex", SECRET) == 200


def test_a_removed_login_is_gone_and_the_journal_never_had_its_name(
    desk: Desk, world: World, identities: Identities
) -> None:
    login = logins.add(desk, "alex@kings.example", ["1"], SECRET)
    logins.remove(desk, "alex@kings.example")
    assert sign_in(world, a_partner(desk, world), "alex@kings.example", SECRET) == 403
    with pytest.raises(Refused, match=r"no login 'alex@kings\.example'"):
        logins.remove(desk, "alex@kings.example")
    kept = [record.document for record in identities.parts(f"journal#{world.clock.now:%Y-%m}")]
    assert len(kept) == 3
    assert login.id in kept[0] + kept[1]
    assert "alex" not in "".join(kept)


# --- tokens and keys --------------------------------------------------------------------------


@pytest.fixture
def granted(desk: Desk, world: World) -> list[tuple[Client, str]]:
    """Three partners with refresh tokens: two of Seller 1, one of Seller 2."""
    add_login(world.system.authority)
    add_login(world.system.authority, "sam@porter.example", (2,))
    clients = [a_partner(desk, world, own_id=f"broker-{number}") for number in range(3)]
    users = ("alex@kings.example", "alex@kings.example", "sam@porter.example")
    return [
        (client, client.authorised(user)["refresh_token"])
        for client, user in zip(clients, users, strict=True)
    ]


def good(granted: list[tuple[Client, str]]) -> list[bool]:
    return [client.refresh(token).status == 200 for client, token in granted]


def test_refresh_tokens_are_listed_by_their_grants(desk: Desk, granted: list[tuple[Client, str]]) -> None:
    rows = tokens.listed(desk)
    assert {(row["partner"], row["seller"]) for row in rows} == {
        ("broker-0", outer(seller_id(1))),
        ("broker-1", outer(seller_id(1))),
        ("broker-2", outer(seller_id(2))),
    }
    told = json.dumps(rows, default=str)
    assert not any(token.partition(".")[2] in told for _, token in granted)
    sellers.revoke(desk, "1", "broker-0")
    assert len(tokens.listed(desk)) == 2


@pytest.mark.parametrize(
    ("which", "left"),
    [
        ({"partner": "broker-0"}, [False, True, True]),
        ({"seller": "1"}, [False, False, True]),
        ({"partner": "broker-1", "seller": "1"}, [True, False, True]),
        ({"partner": "broker-1", "seller": "2"}, [True, True, True]),
    ],
)
def test_refresh_tokens_of_a_partner_or_a_seller_can_be_ended(
    desk: Desk, granted: list[tuple[Client, str]], which: dict[str, str], left: list[bool]
) -> None:
    assert len(tokens.revoke(desk, **which)) == left.count(False)
    assert good(granted) == left
    assert done(desk)[-1] == "refresh tokens revoked"


def test_one_grant_can_be_ended(desk: Desk, granted: list[tuple[Client, str]]) -> None:
    grant_id = next(row["grant"] for row in tokens.listed(desk) if row["partner"] == "broker-1")
    tokens.revoke(desk, grant_id)
    assert good(granted) == [True, False, True]
    with pytest.raises(Refused, match="no grant"):
        tokens.revoke(desk, grant_id)


@pytest.mark.parametrize("which", [{}, {"grant_id": "g", "partner": "p"}])
def test_it_must_be_clear_which_tokens_are_meant(desk: Desk, which: dict[str, str]) -> None:
    with pytest.raises(Refused, match="Which"):
        tokens.revoke(desk, **which)


def test_the_first_key_signs_at_once_and_the_next_when_everyone_has_it(desk: Desk, world: World) -> None:
    client = a_partner(desk, world)
    first = tokens.rotate_keys(desk)
    assert a_token(client).status == 200
    second = tokens.rotate_keys(desk)
    assert [(each["key"], each["state"]) for each in tokens.keys_listed(desk)] == [
        (first.kid, "signs"),
        (second.kid, "signs soon"),
    ]
    world.clock.advance(minutes=15)
    assert [each["state"] for each in tokens.keys_listed(desk)] == ["verifies only", "signs"]
    third = tokens.rotate_keys(desk, at_once=True)
    assert third.signs_from == world.clock.now
    assert done(desk)[-3:] == ["signing key made"] * 3


def test_what_a_forgotten_key_has_signed_is_refused(desk: Desk, world: World) -> None:
    client = a_partner(desk, world)
    token = a_token(client).json["access_token"]
    (key,) = tokens.keys_listed(desk)
    tokens.rotate_keys(desk, at_once=True)
    assert feed(world, Authorization=f"Bearer {token}") == 200
    tokens.forget_key(desk, key["key"])
    assert feed(world, Authorization=f"Bearer {token}") == 401
    assert feed(world, Authorization=f"Bearer {a_token(client).json['access_token']}") == 200
    with pytest.raises(Refused, match="no signing key"):
        tokens.forget_key(desk, key["key"])


# --- journal ----------------------------------------------------------------------------------


def test_the_journal_says_who_did_what_when_by_ids(desk: Desk, world: World) -> None:
    client = a_partner(desk, world)
    world.clock.advance(minutes=1)
    sellers.authorise(desk, "1", client.id)
    first, second = desk.journal()
    assert (first["what"], first["by"], first["ids"]) == ("partner added", "kim", [f"partner {client.id}"])
    assert second["at"] == world.clock.now
    assert second["ids"] == [f"partner {client.id}", f"seller {outer(seller_id(1))}"]


def test_the_journal_is_read_by_the_month_and_kept_for_400_days(
    desk: Desk, world: World, identities: Identities
) -> None:
    partners.invite(desk)
    world.clock.advance(days=30)
    assert desk.journal() == []
    assert len(desk.journal("2026-06")) == 1
    (record,) = identities.parts("journal#2026-06")
    assert record.expires_at == world.clock.now + timedelta(days=370)
    with pytest.raises(Refused, match="no month"):
        desk.journal("June")


def test_a_journal_that_cannot_be_written_is_said_and_undoes_nothing(
    desk: Desk, world: World, identities: Identities
) -> None:
    identities.before_saves = [lambda: None, *[busy] * 16]
    client = a_partner(desk, world)
    assert a_token(client).status == 200
    assert desk.unnoted is not None
    assert f"partner added (partner {client.id})" in desk.unnoted


# --- others at the same time ------------------------------------------------------------------


def test_what_others_change_meanwhile_stays(desk: Desk, world: World, identities: Identities) -> None:
    client = a_partner(desk, world)
    other = Desk(world.system, by="sam")

    def suspended() -> None:
        partners.suspend(other, client.id)

    identities.before_saves = [suspended]
    partners.rotate_secret(desk, client.id, keep_old=timedelta(hours=1))
    partner = desk.partner(client.id)
    assert partner.suspended
    assert len(partner.secrets) == 2


def test_who_is_removed_meanwhile_is_said(desk: Desk, identities: Identities) -> None:
    logins.add(desk, "alex", ["1"], SECRET)
    other = Desk(desk.system, by="sam")

    def removed() -> None:
        logins.remove(other, "alex")

    identities.before_saves = [removed]
    with pytest.raises(Refused, match="just removed"):
        logins.suspend(desk, "alex")
    assert desk.all(Login) == []


def test_an_answer_that_was_lost_does_no_harm(desk: Desk, world: World, identities: Identities) -> None:
    identities.after_saves = [busy]
    client = a_partner(desk, world)
    identities.after_saves = [busy]
    new = partners.rotate_secret(desk, client.id, keep_old=timedelta(hours=1))
    assert [a_token(each).status for each in (client, Client(world, client.id, new))] == [200, 200]
    assert len(desk.all(Partner)) == 1
    assert len(desk.partner(client.id).secrets) == 2
    assert done(desk) == ["partner added", "secret rotated"]


def test_an_engine_that_stays_busy_is_given_up(desk: Desk, identities: Identities) -> None:
    identities.before_saves = [busy] * 16
    with pytest.raises(StillBusy):
        partners.add(desk, "Broker Ltd")
    assert desk.all(Partner) == []


def test_a_revocation_that_meets_another_change_is_made_all_the_same(
    desk: Desk, world: World, identities: Identities
) -> None:
    client = a_partner(desk, world, seller="1")

    def more() -> None:
        sellers.allow(Desk(world.system), client.id, seller_id(1), ("openid",))

    identities.before_saves = [more]
    sellers.revoke(desk, "1", client.id)
    assert world.system.authority.authorisation(client.id, seller_id(1)) is None
    assert world.system.authority.revoke(client.id, seller_id(1), "kim") is None


def test_an_entry_of_the_journal_is_never_written_over(desk: Desk) -> None:
    entry = JournalEntry("1", desk.now(), "x", "kim", {})
    desk.register.save(entry)
    with pytest.raises(RecordChanged):
        desk.register.save(replace(entry, what="y"))
